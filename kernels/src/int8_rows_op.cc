// Reads the operators' tensors, checks them, and works on rows with ONNX Runtime's own threads. See int8_rows_op.h.
#include "int8_rows_op.h"

#include <algorithm>
#include <memory>
#include <string>

#include "op_status.h"
#include "op_tensors.h"
#include "op_threads.h"
#include "row_kernels.h"

namespace blockstitch {

namespace {

using ort::Api;

constexpr size_t kMostInputs = 5;
constexpr size_t kMostOutputs = 3;

struct Attributes {
  size_t rotation = 1;
  float epsilon = 0;
  size_t queryWidth = 0;
  size_t keyWidth = 0;
};

/// One call: tensors in, outputs to come. `width` is that of a row of bytes, or of floats where there are no bytes.
struct Call {
  TensorView in[kMostInputs];
  size_t rows;
  size_t width;
  void* out[kMostOutputs];

  const float* floats(size_t i) const { return static_cast<const float*>(in[i].data); }
  const int32_t* sums() const { return static_cast<const int32_t*>(in[0].data); }
  template <typename Element>
  Element* row(size_t output, size_t row, size_t width) const {
    return static_cast<Element*>(out[output]) + row * width;
  }
};

using RowWork = void (*)(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float* buffer);

/// What one operator is. Inputs and outputs by letter: see `typeOf`.
struct RowOp : ort::CustomOp {
  const char* name;
  const char* inputs;   ///< x float [n, K] · s int32 [n, W] · r float [n] · c float [W] · w float [K] · b float [W]
  const char* outputs;  ///< f float [n, K] · b bytes [n, K] · r float [n] · q k v float, parts of W
  size_t sumsPerValue;  ///< W / K
  RowWork work;

  bool rotates() const { return std::string(outputs).find('b') != std::string::npos; }
  bool norms() const { return std::string(inputs).find('w') != std::string::npos; }
  bool splits() const { return outputs[0] == 'q'; }
};

struct Kernel {
  Api api;
  const RowOp* op;
  Attributes attributes;
};

void quantized(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float* floats, size_t at) {
  kernels.rotate(floats, call.width, attributes.rotation);
  kernels.toBytes(floats, call.width, call.row<uint8_t>(at, row, call.width), call.row<float>(at + 1, row, 1));
}

void quantizeRow(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float* buffer) {
  const float* from = call.floats(0) + row * call.width;
  std::copy(from, from + call.width, buffer);
  quantized(kernels, attributes, call, row, buffer, 0);
}

void normQuantizeRow(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float* buffer) {
  kernels.norm(call.floats(0) + row * call.width, call.floats(1), call.width, attributes.epsilon, buffer);
  quantized(kernels, attributes, call, row, buffer, 0);
}

void addNormQuantizeRow(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float* buffer) {
  const size_t width = call.width;
  float* sum = call.row<float>(0, row, width);
  kernels.toFloats(call.sums() + row * width, call.floats(1)[row], call.floats(2), call.floats(3) + row * width, width, sum);
  kernels.norm(sum, call.floats(4), width, attributes.epsilon, buffer);
  quantized(kernels, attributes, call, row, buffer, 1);
}

void gateQuantizeRow(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float* buffer) {
  kernels.gate(call.sums() + row * 2 * call.width, call.floats(1)[row], call.floats(2), call.width, buffer);
  quantized(kernels, attributes, call, row, buffer, 0);
}

void dequantizeRow(const RowKernels& kernels, const Attributes&, const Call& call, size_t row, float*) {
  kernels.toFloats(call.sums() + row * call.width, call.floats(1)[row], call.floats(2), nullptr, call.width,
                   call.row<float>(0, row, call.width));
}

void dequantizeQkvRow(const RowKernels& kernels, const Attributes& attributes, const Call& call, size_t row, float*) {
  const size_t widths[] = {attributes.queryWidth, attributes.keyWidth, call.width - attributes.queryWidth - attributes.keyWidth};
  size_t from = 0;
  for (size_t part = 0; part < 3; from += widths[part], part++) {
    kernels.toFloats(call.sums() + row * call.width + from, call.floats(1)[row], call.floats(2) + from, call.floats(3) + from,
                     widths[part], call.row<float>(part, row, widths[part]));
  }
}

ort::ElementType typeOf(bool isOutput, char letter) {
  if (isOutput) return letter == 'b' ? ort::kUint8 : ort::kFloat;
  return letter == 's' ? ort::kInt32 : ort::kFloat;
}

/// @returns an empty string, or what is wrong
std::string readShapes(const Kernel& kernel, Call* call) {
  const RowOp& op = *kernel.op;
  const TensorView& first = call->in[0];
  if (first.rank != 2 || first.shape[1] < 1) return "the first input must be [n, width] with a width of 1 or more";
  call->rows = static_cast<size_t>(first.shape[0]);
  const size_t columns = static_cast<size_t>(first.shape[1]);
  if (columns % op.sumsPerValue != 0) return "sums must hold a gate and a value for each output";
  call->width = columns / op.sumsPerValue;
  for (size_t i = 1; op.inputs[i] != '\0'; i++) {
    const TensorView& each = call->in[i];
    const char letter = op.inputs[i];
    const size_t length = letter == 'r' ? call->rows : letter == 'w' ? call->width : columns;
    const bool fits = letter == 'x' ? each.isMatrix(call->rows, call->width)
                                    : each.rank == 1 && static_cast<size_t>(each.shape[0]) == length;
    if (!fits) return "input " + std::to_string(i) + " does not fit the first one";
  }
  if (op.rotates() && call->width % kernel.attributes.rotation != 0) return "rotation must divide the width of a row";
  if (op.splits() && kernel.attributes.queryWidth + kernel.attributes.keyWidth >= call->width) {
    return "query_width and key_width must leave a part for the values";
  }
  return {};
}

ort::Status* allocateOutputs(const Kernel& kernel, ort::KernelContext* context, Call* call) {
  const Attributes& attributes = kernel.attributes;
  for (size_t i = 0; kernel.op->outputs[i] != '\0'; i++) {
    size_t width = call->width;
    if (kernel.op->splits()) {
      const size_t widths[] = {attributes.queryWidth, attributes.keyWidth, width - attributes.queryWidth - attributes.keyWidth};
      width = widths[i];
    }
    const int64_t shape[2] = {static_cast<int64_t>(call->rows), static_cast<int64_t>(width)};
    const size_t rank = kernel.op->outputs[i] == 'r' ? 1 : 2;
    if (ort::Status* status = allocateOutput(kernel.api, context, i, shape, rank, &call->out[i])) return status;
  }
  return nullptr;
}

ort::Status* compute(const Kernel& kernel, ort::KernelContext* context) {
  Call call{};
  for (size_t i = 0; kernel.op->inputs[i] != '\0'; i++) {
    if (ort::Status* status = viewInput(kernel.api, context, i, &call.in[i])) return status;
  }
  const std::string wrong = readShapes(kernel, &call);
  if (!wrong.empty()) return opFailure(kernel.api, ort::kInvalidArgument, wrong.c_str(), kernel.op->name);
  if (ort::Status* status = allocateOutputs(kernel, context, &call)) return status;
  const RowKernels& kernels = rowKernels();
  onRows(kernel.api, context, call.rows, call.width * kernel.op->sumsPerValue, [&](size_t row) {
    static thread_local std::vector<float> buffer;
    if (buffer.size() < call.width) buffer.resize(call.width);
    kernel.op->work(kernels, kernel.attributes, call, row, buffer.data());
  });
  return nullptr;
}

ort::Status* readAttributes(Api api, const ort::KernelInfo* info, const RowOp& op, Attributes* attributes) {
  if (op.rotates()) {
    if (ort::Status* status = readRotation(api, info, op.name, &attributes->rotation)) return status;
  }
  if (op.splits()) {
    if (ort::Status* status = readOpInteger(api, info, op.name, "query_width", 1, INT32_MAX, &attributes->queryWidth)) return status;
    if (ort::Status* status = readOpInteger(api, info, op.name, "key_width", 1, INT32_MAX, &attributes->keyWidth)) return status;
  }
  if (!op.norms()) return nullptr;
  return ort::call<ort::Status*>(api, ort::kKernelInfoGetAttributeFloat, info, "epsilon", &attributes->epsilon);
}

const RowOp& rowOp(const ort::CustomOp* op) { return *static_cast<const RowOp*>(op); }

RowOp makeOp(const char* name, const char* inputs, const char* outputs, size_t sumsPerValue, RowWork work) {
  RowOp op{};
  static_cast<ort::CustomOp&>(op) = opTemplate();
  op.name = name;
  op.inputs = inputs;
  op.outputs = outputs;
  op.sumsPerValue = sumsPerValue;
  op.work = work;
  op.getName = [](const ort::CustomOp* self) { return rowOp(self).name; };
  op.getExecutionProviderType = [](const ort::CustomOp*) -> const char* { return "CPUExecutionProvider"; };
  op.getInputTypeCount = [](const ort::CustomOp* self) { return std::char_traits<char>::length(rowOp(self).inputs); };
  op.getOutputTypeCount = [](const ort::CustomOp* self) { return std::char_traits<char>::length(rowOp(self).outputs); };
  op.getInputType = [](const ort::CustomOp* self, size_t i) { return typeOf(false, rowOp(self).inputs[i]); };
  op.getOutputType = [](const ort::CustomOp* self, size_t i) { return typeOf(true, rowOp(self).outputs[i]); };
  op.kernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.createKernelV2 = [](const ort::CustomOp* self, Api api, const ort::KernelInfo* info, void** kernel) {
    return guardedStatus(api, [&]() -> ort::Status* {
      auto made = std::make_unique<Kernel>(Kernel{api, &rowOp(self), {}});
      if (ort::Status* status = readAttributes(api, info, rowOp(self), &made->attributes)) return status;
      *kernel = made.release();
      return nullptr;
    }, rowOp(self).name);
  };
  op.kernelComputeV2 = [](void* data, ort::KernelContext* context) {
    const Kernel& kernel = *static_cast<const Kernel*>(data);
    return guardedStatus(kernel.api, [&] { return compute(kernel, context); }, kernel.op->name);
  };
  return op;
}

}  // namespace

const std::vector<const ort::CustomOp*>& int8RowOps() {
  static const RowOp all[] = {
      makeOp("QuantizeRows", "x", "br", 1, &quantizeRow),
      makeOp("NormQuantizeRows", "xw", "br", 1, &normQuantizeRow),
      makeOp("AddNormQuantizeRows", "srcxw", "fbr", 1, &addNormQuantizeRow),
      makeOp("GateQuantizeRows", "src", "br", 2, &gateQuantizeRow),
      makeOp("DequantizeRows", "src", "f", 1, &dequantizeRow),
      makeOp("DequantizeQkv", "srcb", "qkv", 1, &dequantizeQkvRow),
  };
  static const std::vector<const ort::CustomOp*> pointers = [] {
    std::vector<const ort::CustomOp*> result;
    for (const RowOp& op : all) result.push_back(&op);
    return result;
  }();
  return pointers;
}

}  // namespace blockstitch
