// Reads the op's tensors, finds the step's plan, runs blockAttention with ONNX Runtime's own threads.
// ONNX Runtime is C to us: every function that it calls is noexcept and answers with a status.
#include "block_attention_op.h"

#include <atomic>
#include <memory>
#include <string>

#include "attention.h"
#include "op_status.h"
#include "op_tensors.h"
#include "op_threads.h"

namespace blockstitch {

namespace {

using ort::Api;

std::atomic<uint64_t> totalCalls{0};
std::atomic<uint64_t> totalNanoseconds{0};

class Kernel {
 public:
  static ort::Status* create(Api api, const ort::KernelInfo* info, void** kernel) {
    auto made = std::make_unique<Kernel>();
    made->api_ = api;
    if (ort::Status* status = readOpAttributes(api, info, &made->shape_)) return status;
    *kernel = made.release();
    return nullptr;
  }

  ort::Status* compute(ort::KernelContext* context) const {
    OpInputs inputs;
    if (ort::Status* status = readOpInputs(api_, context, shape_, &inputs)) return status;
    void* output = nullptr;
    if (ort::Status* status = allocateOpOutput(api_, context, inputs, &output)) return status;
    return attendStep(api_, context, shape_, inputs, static_cast<float*>(output));
  }

  Api api() const { return api_; }

 private:
  Api api_ = nullptr;
  AttentionShape shape_{};
};

ort::Status* computeKernel(void* data, ort::KernelContext* context) noexcept {
  const CountedCall counted;
  const Kernel& kernel = *static_cast<const Kernel*>(data);
  return guardedStatus(kernel.api(), [&] { return kernel.compute(context); });
}

ort::CustomOp makeOp() {
  ort::CustomOp op = opTemplate();
  op.getExecutionProviderType = [](const ort::CustomOp*) -> const char* { return "CPUExecutionProvider"; };
  op.getInputType = [](const ort::CustomOp*, size_t index) { return index == kMetadataInput ? ort::kInt32 : ort::kFloat; };
  op.getOutputType = [](const ort::CustomOp*, size_t) { return ort::kFloat; };
  op.kernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.createKernelV2 = [](const ort::CustomOp*, Api api, const ort::KernelInfo* info, void** kernel) {
    return guardedStatus(api, [&] { return Kernel::create(api, info, kernel); });
  };
  op.kernelComputeV2 = &computeKernel;
  return op;
}

}  // namespace

ort::Status* attendStep(Api api, const ort::KernelContext* context, const AttentionShape& shape, const OpInputs& inputs,
                        float* output) {
  const int32_t poolId = metadataPoolId(inputs.metadata, inputs.metadataSize);
  const std::shared_ptr<KvPool> pool = findPool(poolId);
  if (pool == nullptr) {
    return opFailure(api, ort::kInvalidArgument, "there is no KV pool " + std::to_string(poolId) + " in host memory");
  }
  const PoolShape& poolShape = pool->shape();
  if (shape.layer >= poolShape.layers || shape.kvHeads != poolShape.kvHeads || shape.headDim != poolShape.headDim) {
    return opFailure(api, ort::kInvalidArgument, "KV pool " + std::to_string(poolId) +
                                                   " was made for another model: its layers, kv heads or head_dim differ");
  }
  std::string wrong;
  const AttentionPlan* plan = PlanCache::ofThread().find(
      inputs.metadata, inputs.metadataSize, {inputs.rows, poolShape.pages, poolShape.pageTokens, inputs.positions},
      {shape.heads, shape.kvHeads, shape.headDim}, &wrong);
  if (plan == nullptr) return opFailure(api, ort::kInvalidArgument, wrong);
  const auto floats = [&](size_t i) { return static_cast<const float*>(inputs.tensors[i].data); };
  const AttentionInputs tensors{floats(0), floats(1), floats(2), floats(3), floats(4)};
  blockAttention(shape, tensors, *plan, *pool, output,
                 [&](size_t count, const std::function<void(size_t)>& task) { onOpThreads(api, context, count, task); });
  return nullptr;
}

CountedCall::CountedCall() : begin_(std::chrono::steady_clock::now()) {}

CountedCall::~CountedCall() {
  const auto taken = std::chrono::steady_clock::now() - begin_;
  totalCalls.fetch_add(1, std::memory_order_relaxed);
  totalNanoseconds.fetch_add(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count()),
                             std::memory_order_relaxed);
}

const ort::CustomOp* blockAttentionOp() {
  static const ort::CustomOp op = makeOp();
  return &op;
}

OperatorStatistics operatorStatistics() {
  return {totalCalls.load(std::memory_order_relaxed), totalNanoseconds.load(std::memory_order_relaxed), attentionPlansMade()};
}

}  // namespace blockstitch
