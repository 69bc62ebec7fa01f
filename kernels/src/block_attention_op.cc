// Reads the op's tensors, checks them, runs blockAttention with ONNX Runtime's own threads.
#include "block_attention_op.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <string>

#include "attention.h"
#include "op_tensors.h"

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
    const std::shared_ptr<KvPool> pool = findPool(metadataPoolId(inputs.metadata, inputs.metadataSize));
    if (pool == nullptr) return opFailure(api_, ort::kInvalidArgument, "no such KV pool");
    const PoolShape& poolShape = pool->shape();
    if (shape_.layer >= poolShape.layers || shape_.kvHeads != poolShape.kvHeads || shape_.headDim != poolShape.headDim) {
      return opFailure(api_, ort::kInvalidArgument, "the KV pool was made for another model");
    }
    StepView step;
    const std::string wrong = readStepMetadata(inputs.metadata, inputs.metadataSize,
                                               {inputs.rows, poolShape.pages, poolShape.pageTokens, inputs.positions}, &step);
    if (!wrong.empty()) return opFailure(api_, ort::kInvalidArgument, wrong);
    void* output = nullptr;
    if (ort::Status* status = allocateOpOutput(api_, context, inputs, &output)) return status;
    const auto floats = [&](size_t i) { return static_cast<const float*>(inputs.tensors[i].data); };
    const AttentionInputs tensors{floats(0), floats(1), floats(2), floats(3), floats(4)};
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
  ort::CustomOp op = opTemplate();
  op.getExecutionProviderType = [](const ort::CustomOp*) -> const char* { return "CPUExecutionProvider"; };
  op.getInputType = [](const ort::CustomOp*, size_t index) { return index == kMetadataInput ? ort::kInt32 : ort::kFloat; };
  op.getOutputType = [](const ort::CustomOp*, size_t) { return ort::kFloat; };
  op.kernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.createKernelV2 = [](const ort::CustomOp*, Api api, const ort::KernelInfo* info, void** kernel) {
    return Kernel::create(api, info, kernel);
  };
  op.kernelComputeV2 = &computeKernel;
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
