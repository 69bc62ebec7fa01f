// Reads the op's tensors, checks them, runs blockAttention with ONNX Runtime's own threads.
#include "block_attention_op.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <string>

#include "attention.h"

namespace blockstitch {

namespace {

using ort::Api;

constexpr const char* kInputs[] = {"query", "key", "value", "cos", "sin", "step_metadata"};
constexpr size_t kInputCount = sizeof kInputs / sizeof kInputs[0];

std::atomic<uint64_t> totalCalls{0};
std::atomic<uint64_t> totalNanoseconds{0};

ort::Status* failure(Api api, ort::ErrorCode code, const std::string& message) {
  return ort::call<ort::Status*>(api, ort::kCreateStatus, static_cast<int>(code), ("BlockAttention: " + message).c_str());
}

struct TensorView {
  void* data = nullptr;
  int64_t shape[4] = {0, 0, 0, 0};
  size_t rank = 0;
};

ort::Status* viewOf(Api api, const ort::Value* value, TensorView* view) {
  ort::TensorShapeInfo* info = nullptr;
  ort::Status* status = ort::call<ort::Status*>(api, ort::kGetTensorTypeAndShape, value, &info);
  if (status != nullptr) return status;
  status = ort::call<ort::Status*>(api, ort::kGetDimensionsCount, static_cast<const ort::TensorShapeInfo*>(info), &view->rank);
  if (status == nullptr && view->rank <= 4) {
    status = ort::call<ort::Status*>(api, ort::kGetDimensions, static_cast<const ort::TensorShapeInfo*>(info), view->shape,
                                     view->rank);
  }
  ort::call<void>(api, ort::kReleaseTensorTypeAndShapeInfo, info);
  if (status != nullptr) return status;
  return ort::call<ort::Status*>(api, ort::kGetTensorMutableData, const_cast<ort::Value*>(value), &view->data);
}

class Kernel {
 public:
  static ort::Status* create(Api api, const ort::KernelInfo* info, void** kernel) {
    int64_t layer = 0, heads = 0, kvHeads = 0, headDim = 0, rotaryDim = 0, interleaved = 0, window = 0;
    float scale = 0, softcap = 0;
    struct {
      const char* name;
      int64_t* value;
    } const integers[] = {{"layer", &layer},           {"num_heads", &heads},
                          {"num_kv_heads", &kvHeads},  {"head_dim", &headDim},
                          {"rotary_dim", &rotaryDim},  {"rotary_interleaved", &interleaved},
                          {"sliding_window", &window}};
    for (const auto& each : integers) {
      if (ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelInfoGetAttributeInt64, info, each.name, each.value)) return status;
    }
    if (ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelInfoGetAttributeFloat, info, "scale", &scale)) return status;
    if (ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelInfoGetAttributeFloat, info, "softcap", &softcap)) return status;
    if (layer < 0 || heads < 1 || kvHeads < 1 || heads % kvHeads != 0 || window < 0) {
      return failure(api, ort::kInvalidArgument, "bad layer, num_heads, num_kv_heads or sliding_window");
    }
    if (headDim < 8 || headDim > 256 || headDim % 8 != 0 || rotaryDim < 0 || rotaryDim > headDim || rotaryDim % 2 != 0) {
      return failure(api, ort::kInvalidArgument, "head_dim must be a multiple of 8 up to 256, rotary_dim even and no larger");
    }
    auto made = std::make_unique<Kernel>();
    made->api_ = api;
    made->shape_ = {static_cast<size_t>(layer),     static_cast<size_t>(heads), static_cast<size_t>(kvHeads),
                    static_cast<size_t>(headDim),   static_cast<size_t>(rotaryDim), interleaved != 0, scale,
                    static_cast<size_t>(window),    softcap};
    *kernel = made.release();
    return nullptr;
  }

  ort::Status* compute(ort::KernelContext* context) const {
    TensorView inputs[kInputCount];
    for (size_t i = 0; i < kInputCount; i++) {
      const ort::Value* value = nullptr;
      if (ort::Status* status = ort::call<ort::Status*>(api_, ort::kKernelContextGetInput,
                                                        static_cast<const ort::KernelContext*>(context), i, &value)) return status;
      if (ort::Status* status = viewOf(api_, value, &inputs[i])) return status;
    }
    const TensorView& query = inputs[0];
    const size_t rows = static_cast<size_t>(query.shape[0]);
    const auto isMatrix = [&](const TensorView& view, size_t height, size_t width) {
      return view.rank == 2 && static_cast<size_t>(view.shape[0]) == height && static_cast<size_t>(view.shape[1]) == width;
    };
    const size_t keyWidth = shape_.kvHeads * shape_.headDim;
    if (!isMatrix(query, rows, shape_.heads * shape_.headDim) || !isMatrix(inputs[1], rows, keyWidth) ||
        !isMatrix(inputs[2], rows, keyWidth)) {
      return failure(api_, ort::kInvalidArgument, "query, key and value must be [T, heads * head_dim]");
    }
    const size_t positions = static_cast<size_t>(inputs[3].shape[0]);
    if (!isMatrix(inputs[3], positions, shape_.rotaryDim / 2) || !isMatrix(inputs[4], positions, shape_.rotaryDim / 2)) {
      return failure(api_, ort::kInvalidArgument, "cos and sin must be [positions, rotary_dim / 2]");
    }
    const auto* metadata = static_cast<const int32_t*>(inputs[5].data);
    const size_t metadataSize = static_cast<size_t>(inputs[5].shape[0]);
    const std::shared_ptr<KvPool> pool = findPool(metadataPoolId(metadata, metadataSize));
    if (pool == nullptr) return failure(api_, ort::kInvalidArgument, "no such KV pool");
    const PoolShape& poolShape = pool->shape();
    if (shape_.layer >= poolShape.layers || shape_.kvHeads != poolShape.kvHeads || shape_.headDim != poolShape.headDim) {
      return failure(api_, ort::kInvalidArgument, "the KV pool was made for another model");
    }
    StepView step;
    const std::string wrong =
        readStepMetadata(metadata, metadataSize, {rows, poolShape.pages, poolShape.pageTokens, positions}, &step);
    if (!wrong.empty()) return failure(api_, ort::kInvalidArgument, wrong);
    ort::Value* outputValue = nullptr;
    if (ort::Status* status = ort::call<ort::Status*>(api_, ort::kKernelContextGetOutput, context, size_t{0},
                                                      static_cast<const int64_t*>(query.shape), size_t{2}, &outputValue)) return status;
    void* output = nullptr;
    if (ort::Status* status = ort::call<ort::Status*>(api_, ort::kGetTensorMutableData, outputValue, &output)) return status;
    const AttentionInputs tensors{static_cast<const float*>(query.data), static_cast<const float*>(inputs[1].data),
                                  static_cast<const float*>(inputs[2].data), static_cast<const float*>(inputs[3].data),
                                  static_cast<const float*>(inputs[4].data)};
    blockAttention(shape_, tensors, step, *pool, static_cast<float*>(output),
                   [&](size_t count, const std::function<void(size_t)>& task) { spread(context, count, task); });
    return nullptr;
  }

 private:
  /// On ONNX Runtime's threads, which are idle while the op runs: a pool of our own would compete with them.
  void spread(const ort::KernelContext* context, size_t count, const std::function<void(size_t)>& task) const {
    if (count == 1) return task(0);
    void (*const each)(void*, size_t) = [](void* data, size_t index) {
      (*static_cast<const std::function<void(size_t)>*>(data))(index);
    };
    ort::call<ort::Status*>(api_, ort::kKernelContextParallelFor, context, each, count, size_t{0},
                            const_cast<void*>(static_cast<const void*>(&task)));
  }

  Api api_ = nullptr;
  AttentionShape shape_{};
};

ort::Status* computeKernel(void* kernel, ort::KernelContext* context) {
  const auto begin = std::chrono::steady_clock::now();
  ort::Status* status = static_cast<const Kernel*>(kernel)->compute(context);
  const auto taken = std::chrono::steady_clock::now() - begin;
  totalCalls.fetch_add(1, std::memory_order_relaxed);
  totalNanoseconds.fetch_add(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count()),
                             std::memory_order_relaxed);
  return status;
}

ort::CustomOp makeOp() {
  ort::CustomOp op{};
  op.version = ort::kApiVersion;
  op.getName = [](const ort::CustomOp*) { return "BlockAttention"; };
  op.getExecutionProviderType = [](const ort::CustomOp*) -> const char* { return "CPUExecutionProvider"; };
  op.getInputType = [](const ort::CustomOp*, size_t index) { return index == kInputCount - 1 ? ort::kInt32 : ort::kFloat; };
  op.getInputTypeCount = [](const ort::CustomOp*) { return kInputCount; };
  op.getOutputType = [](const ort::CustomOp*, size_t) { return ort::kFloat; };
  op.getOutputTypeCount = [](const ort::CustomOp*) { return size_t{1}; };
  op.kernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.getInputCharacteristic = [](const ort::CustomOp*, size_t) { return ort::kRequired; };
  op.getOutputCharacteristic = [](const ort::CustomOp*, size_t) { return ort::kRequired; };
  op.getInputMemoryType = [](const ort::CustomOp*, size_t) { return ort::kMemoryDefault; };
  op.getVariadicInputMinArity = [](const ort::CustomOp*) { return 0; };
  op.getVariadicInputHomogeneity = [](const ort::CustomOp*) { return 0; };
  op.getVariadicOutputMinArity = [](const ort::CustomOp*) { return 0; };
  op.getVariadicOutputHomogeneity = [](const ort::CustomOp*) { return 0; };
  op.createKernelV2 = [](const ort::CustomOp*, Api api, const ort::KernelInfo* info, void** kernel) {
    return Kernel::create(api, info, kernel);
  };
  op.kernelComputeV2 = &computeKernel;
  op.getStartVersion = [](const ort::CustomOp*) { return 1; };
  op.getEndVersion = [](const ort::CustomOp*) { return 1; };
  return op;
}

}  // namespace

const ort::CustomOp* blockAttentionOp() {
  static const ort::CustomOp op = makeOp();
  return &op;
}

OperatorStatistics operatorStatistics() {
  return {totalCalls.load(std::memory_order_relaxed), totalNanoseconds.load(std::memory_order_relaxed)};
}

}  // namespace blockstitch
