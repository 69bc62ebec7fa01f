// Sums become floats, attention works on them, its rows become bytes. See byte_attention_op.h.
#include "byte_attention_op.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "block_attention_op.h"
#include "op_status.h"
#include "op_tensors.h"
#include "op_threads.h"
#include "row_kernels.h"

namespace blockstitch {

namespace {

using ort::Api;

constexpr const char* kName = "ByteBlockAttention";
enum Input : size_t { kSums, kScales, kColumnScales, kBias, kCos, kInputs = 7 };

class Kernel {
 public:
  static ort::Status* create(Api api, const ort::KernelInfo* info, void** kernel) {
    auto made = std::make_unique<Kernel>();
    made->api_ = api;
    if (ort::Status* status = readOpAttributes(api, info, &made->shape_)) return status;
    if (ort::Status* status = readRotation(api, info, kName, &made->rotation_)) return status;
    if (made->outputWidth() % made->rotation_ != 0) {
      return opFailure(api, ort::kInvalidArgument, "rotation must divide num_heads * head_dim", kName);
    }
    *kernel = made.release();
    return nullptr;
  }

  ort::Status* compute(ort::KernelContext* context) const {
    TensorView in[kInputs];
    for (size_t i = 0; i < kInputs; i++) {
      if (ort::Status* status = viewInput(api_, context, i, &in[i])) return status;
    }
    const size_t rows = static_cast<size_t>(in[kSums].shape[0]);
    const bool fits = in[kSums].isMatrix(rows, width()) && in[kScales].isVector(rows) && in[kColumnScales].isVector(width()) &&
                      in[kBias].isVector(width());
    if (!fits) return opFailure(api_, ort::kInvalidArgument, "sums must be [n, (heads + 2 kv_heads) * head_dim] with scales to fit", kName);

    // Floats of one call after another stand in the same memory.
    static thread_local std::vector<float> floats;
    const size_t needed = rows * (width() + outputWidth());
    if (floats.size() < needed) floats.resize(needed);
    OpInputs inputs;
    const size_t widths[] = {outputWidth(), keyWidth(), keyWidth()};
    float* part = floats.data();
    for (size_t i = 0; i < 3; part += rows * widths[i], i++) {
      inputs.tensors[i] = {part, {static_cast<int64_t>(rows), static_cast<int64_t>(widths[i])}, 2};
    }
    float* attended = part;
    std::copy(in + kCos, in + kInputs, inputs.tensors + 3);
    if (ort::Status* status = checkOpInputs(api_, shape_, &inputs)) return status;

    const RowKernels& kernels = rowKernels();
    onRows(api_, context, rows, width(), [&](size_t row) {
      size_t from = 0;
      for (size_t i = 0; i < 3; from += widths[i], i++) {
        kernels.toFloats(static_cast<const int32_t*>(in[kSums].data) + row * width() + from, at(in[kScales], row),
                         &at(in[kColumnScales], from), &at(in[kBias], from), widths[i],
                         static_cast<float*>(inputs.tensors[i].data) + row * widths[i]);
      }
    });
    if (ort::Status* status = attendStep(api_, context, shape_, inputs, attended)) return status;

    void* bytes = nullptr;
    void* scales = nullptr;
    if (ort::Status* status = allocateOutput(api_, context, 0, inputs.tensors[0].shape, 2, &bytes)) return status;
    if (ort::Status* status = allocateOutput(api_, context, 1, in[kScales].shape, 1, &scales)) return status;
    onRows(api_, context, rows, outputWidth(), [&](size_t row) {
      float* const floatsOfRow = attended + row * outputWidth();
      kernels.rotate(floatsOfRow, outputWidth(), rotation_);
      kernels.toBytes(floatsOfRow, outputWidth(), static_cast<uint8_t*>(bytes) + row * outputWidth(), static_cast<float*>(scales) + row);
    });
    return nullptr;
  }

  Api api() const { return api_; }

 private:
  size_t keyWidth() const { return shape_.kvHeads * shape_.headDim; }
  size_t outputWidth() const { return shape_.heads * shape_.headDim; }
  size_t width() const { return outputWidth() + 2 * keyWidth(); }
  static const float& at(const TensorView& tensor, size_t index) { return static_cast<const float*>(tensor.data)[index]; }

  Api api_ = nullptr;
  AttentionShape shape_{};
  size_t rotation_ = 1;
};

ort::Status* computeKernel(void* data, ort::KernelContext* context) noexcept {
  const CountedCall counted;
  const Kernel& kernel = *static_cast<const Kernel*>(data);
  return guardedStatus(kernel.api(), [&] { return kernel.compute(context); }, kName);
}

ort::CustomOp makeOp() {
  ort::CustomOp op = opTemplate();
  op.getName = [](const ort::CustomOp*) { return kName; };
  op.getExecutionProviderType = [](const ort::CustomOp*) -> const char* { return "CPUExecutionProvider"; };
  op.getInputTypeCount = [](const ort::CustomOp*) -> size_t { return kInputs; };
  op.getOutputTypeCount = [](const ort::CustomOp*) -> size_t { return 2; };
  op.getInputType = [](const ort::CustomOp*, size_t index) {
    return index == kSums || index == kInputs - 1 ? ort::kInt32 : ort::kFloat;
  };
  op.getOutputType = [](const ort::CustomOp*, size_t index) { return index == 0 ? ort::kUint8 : ort::kFloat; };
  op.kernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.createKernelV2 = [](const ort::CustomOp*, Api api, const ort::KernelInfo* info, void** kernel) {
    return guardedStatus(api, [&] { return Kernel::create(api, info, kernel); }, kName);
  };
  op.kernelComputeV2 = &computeKernel;
  return op;
}

}  // namespace

const ort::CustomOp* byteAttentionOp() {
  static const ort::CustomOp op = makeOp();
  return &op;
}

}  // namespace blockstitch
