// Hands the op's device tensors and the session's stream to the pool's device library. Nothing here waits for the GPU,
// and no exception leaves (op_status.h).
#include "device_attention_op.h"

#include <memory>
#include <string>

#include "device_library.h"
#include "op_status.h"
#include "op_tensors.h"

namespace blockstitch {

namespace {

using ort::Api;

class DeviceKernel {
 public:
  DeviceKernel(Api api, KvDtype elementType) : api_(api), elementType_(elementType) {}

  static ort::Status* create(Api api, const ort::KernelInfo* info, KvDtype elementType, void** kernel) {
    auto made = std::make_unique<DeviceKernel>(api, elementType);
    if (ort::Status* status = readOpAttributes(api, info, &made->shape_)) return status;
    *kernel = made.release();
    return nullptr;
  }

  ort::Status* compute(ort::KernelContext* context) const {
    OpInputs inputs;
    if (ort::Status* status = readOpInputs(api_, context, shape_, &inputs)) return status;
    const int32_t poolId = metadataPoolId(inputs.metadata, inputs.metadataSize);
    const std::shared_ptr<DevicePool> pool = findDevicePool(poolId);
    if (pool == nullptr) {
      return opFailure(api_, ort::kInvalidArgument, "there is no KV pool " + std::to_string(poolId) + " on a device");
    }
    void* stream = nullptr;
    if (ort::Status* status = ort::call<ort::Status*>(api_, ort::kKernelContextGetGpuComputeStream,
                                                      static_cast<const ort::KernelContext*>(context), &stream)) return status;
    void* output = nullptr;
    if (ort::Status* status = allocateOpOutput(api_, context, inputs, &output)) return status;
    const auto floats = [&](size_t i) { return static_cast<const float*>(inputs.tensors[i].data); };
    DeviceAttention attention{};
    attention.query = inputs.tensors[0].data;
    attention.key = inputs.tensors[1].data;
    attention.value = inputs.tensors[2].data;
    attention.cos = floats(3);
    attention.sin = floats(4);
    attention.output = output;
    attention.metadata = inputs.metadata;
    attention.metadataSize = inputs.metadataSize;
    attention.rows = static_cast<int64_t>(inputs.rows);
    attention.positions = static_cast<int64_t>(inputs.positions);
    attention.elementType = static_cast<int32_t>(elementType_);
    attention.layer = static_cast<int32_t>(shape_.layer);
    attention.heads = static_cast<int32_t>(shape_.heads);
    attention.kvHeads = static_cast<int32_t>(shape_.kvHeads);
    attention.headDim = static_cast<int32_t>(shape_.headDim);
    attention.rotaryDim = static_cast<int32_t>(shape_.rotaryDim);
    attention.interleaved = shape_.interleaved ? 1 : 0;
    attention.window = static_cast<int32_t>(shape_.slidingWindow);
    attention.scale = shape_.scale;
    attention.softcap = shape_.softcap;
    attention.stream = stream;
    const std::string wrong = pool->attend(attention);
    return wrong.empty() ? nullptr : opFailure(api_, ort::kFail, wrong);
  }

  Api api() const { return api_; }

 private:
  Api api_;
  KvDtype elementType_;
  AttentionShape shape_{};
};

template <ort::ElementType kType, KvDtype kElement>
ort::CustomOp makeOp() {
  ort::CustomOp op = opTemplate();
  op.getExecutionProviderType = [](const ort::CustomOp*) { return deviceProvider(); };
  op.getInputType = [](const ort::CustomOp*, size_t index) {
    return index == kMetadataInput ? ort::kInt32 : index < 3 ? kType : ort::kFloat;
  };
  op.getOutputType = [](const ort::CustomOp*, size_t) { return kType; };
  // The plan is made on the host, so the metadata stays there.
  op.getInputMemoryType = [](const ort::CustomOp*, size_t index) {
    return index == kMetadataInput ? ort::kMemoryCpuInput : ort::kMemoryDefault;
  };
  op.kernelDestroy = [](void* kernel) { delete static_cast<DeviceKernel*>(kernel); };
  op.createKernelV2 = [](const ort::CustomOp*, Api api, const ort::KernelInfo* info, void** kernel) {
    return guardedStatus(api, [&] { return DeviceKernel::create(api, info, kElement, kernel); });
  };
  op.kernelComputeV2 = [](void* data, ort::KernelContext* context) {
    const DeviceKernel& kernel = *static_cast<const DeviceKernel*>(data);
    return guardedStatus(kernel.api(), [&] { return kernel.compute(context); });
  };
  return op;
}

}  // namespace

const ort::CustomOp* deviceAttentionOpHalf() {
  static const ort::CustomOp op = makeOp<ort::kFloat16, KvDtype::kFloat16>();
  return &op;
}

const ort::CustomOp* deviceAttentionOpBfloat16() {
  static const ort::CustomOp op = makeOp<ort::kBfloat16, KvDtype::kBfloat16>();
  return &op;
}

}  // namespace blockstitch
