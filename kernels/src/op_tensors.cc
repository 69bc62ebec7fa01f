// Reads tensors, and the attributes of BlockAttention; see op_tensors.h.
#include "op_tensors.h"

#include <algorithm>
#include <string>

#include "op_status.h"

namespace blockstitch {

namespace {

ort::Status* viewOf(ort::Api api, const ort::Value* value, TensorView* view) {
  ort::ElementType type = ort::kUndefined;
  const int64_t* shape = nullptr;  // of the tensor: nothing is made or released
  ort::Status* status = ort::call<ort::Status*>(api, ort::kGetTensorElementTypeAndShapeDataReference, value, &type, &shape, &view->rank);
  if (status != nullptr) return status;
  if (view->rank <= 4) std::copy(shape, shape + view->rank, view->shape);
  return ort::call<ort::Status*>(api, ort::kGetTensorMutableData, const_cast<ort::Value*>(value), &view->data);
}

/// Largest Hadamard matrix: a run of floats stays in the first-level cache.
constexpr int64_t kMostRotation = 4096;

}  // namespace

ort::Status* readOpInteger(ort::Api api, const ort::KernelInfo* info, const char* op, const char* name, int64_t least, int64_t most,
                           size_t* value) {
  int64_t read = 0;
  if (ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelInfoGetAttributeInt64, info, name, &read)) return status;
  if (read < least || read > most) return opFailure(api, ort::kInvalidArgument, (std::string(name) + " is out of range").c_str(), op);
  *value = static_cast<size_t>(read);
  return nullptr;
}

ort::Status* readRotation(ort::Api api, const ort::KernelInfo* info, const char* op, size_t* rotation) {
  if (ort::Status* status = readOpInteger(api, info, op, "rotation", 1, kMostRotation, rotation)) return status;
  if ((*rotation & (*rotation - 1)) == 0) return nullptr;
  return opFailure(api, ort::kInvalidArgument, "rotation must be a power of two", op);
}

ort::Status* readOpAttributes(ort::Api api, const ort::KernelInfo* info, AttentionShape* shape) {
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
    return opFailure(api, ort::kInvalidArgument,
                     "layer and sliding_window must be 0 or more, and num_heads a multiple of num_kv_heads, which is 1 or more");
  }
  if (headDim < 8 || headDim > 256 || headDim % 8 != 0 || rotaryDim < 0 || rotaryDim > headDim || rotaryDim % 2 != 0) {
    return opFailure(api, ort::kInvalidArgument, "head_dim must be a multiple of 8 up to 256, and rotary_dim even and no larger than it");
  }
  *shape = {static_cast<size_t>(layer),     static_cast<size_t>(heads), static_cast<size_t>(kvHeads),
            static_cast<size_t>(headDim),   static_cast<size_t>(rotaryDim), interleaved != 0, scale,
            static_cast<size_t>(window),    softcap};
  return nullptr;
}

ort::Status* viewInput(ort::Api api, const ort::KernelContext* context, size_t index, TensorView* view) {
  const ort::Value* value = nullptr;
  if (ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelContextGetInput, context, index, &value)) return status;
  return viewOf(api, value, view);
}

ort::Status* allocateOutput(ort::Api api, ort::KernelContext* context, size_t index, const int64_t* shape, size_t rank,
                            void** output) {
  ort::Value* value = nullptr;
  if (ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelContextGetOutput, context, index, shape, rank, &value)) return status;
  return ort::call<ort::Status*>(api, ort::kGetTensorMutableData, value, output);
}

ort::Status* readOpInputs(ort::Api api, const ort::KernelContext* context, const AttentionShape& shape, OpInputs* inputs) {
  for (size_t i = 0; i < kOpInputs; i++) {
    if (ort::Status* status = viewInput(api, context, i, &inputs->tensors[i])) return status;
  }
  return checkOpInputs(api, shape, inputs);
}

ort::Status* checkOpInputs(ort::Api api, const AttentionShape& shape, OpInputs* inputs) {
  const TensorView* tensors = inputs->tensors;
  inputs->rows = static_cast<size_t>(tensors[0].shape[0]);
  const size_t keyWidth = shape.kvHeads * shape.headDim;
  if (!tensors[0].isMatrix(inputs->rows, shape.heads * shape.headDim) || !tensors[1].isMatrix(inputs->rows, keyWidth) ||
      !tensors[2].isMatrix(inputs->rows, keyWidth)) {
    return opFailure(api, ort::kInvalidArgument, "query, key and value must be [T, heads * head_dim]");
  }
  inputs->positions = static_cast<size_t>(tensors[3].shape[0]);
  if (!tensors[3].isMatrix(inputs->positions, shape.rotaryDim / 2) || !tensors[4].isMatrix(inputs->positions, shape.rotaryDim / 2)) {
    return opFailure(api, ort::kInvalidArgument, "cos and sin must be [positions, rotary_dim / 2]");
  }
  if (tensors[kMetadataInput].rank != 1) return opFailure(api, ort::kInvalidArgument, "step_metadata must have one axis");
  inputs->metadata = static_cast<const int32_t*>(tensors[kMetadataInput].data);
  inputs->metadataSize = static_cast<size_t>(tensors[kMetadataInput].shape[0]);
  return nullptr;
}

ort::Status* allocateOpOutput(ort::Api api, ort::KernelContext* context, const OpInputs& inputs, void** output) {
  return allocateOutput(api, context, 0, inputs.tensors[0].shape, 2, output);
}

ort::CustomOp opTemplate() {
  ort::CustomOp op{};
  op.version = ort::kApiVersion;
  op.getName = [](const ort::CustomOp*) { return "BlockAttention"; };
  op.getInputTypeCount = [](const ort::CustomOp*) { return kOpInputs; };
  op.getOutputTypeCount = [](const ort::CustomOp*) { return size_t{1}; };
  op.getInputCharacteristic = [](const ort::CustomOp*, size_t) { return ort::kRequired; };
  op.getOutputCharacteristic = [](const ort::CustomOp*, size_t) { return ort::kRequired; };
  op.getInputMemoryType = [](const ort::CustomOp*, size_t) { return ort::kMemoryDefault; };
  op.getVariadicInputMinArity = [](const ort::CustomOp*) { return 0; };
  op.getVariadicInputHomogeneity = [](const ort::CustomOp*) { return 0; };
  op.getVariadicOutputMinArity = [](const ort::CustomOp*) { return 0; };
  op.getVariadicOutputHomogeneity = [](const ort::CustomOp*) { return 0; };
  op.getStartVersion = [](const ort::CustomOp*) { return 1; };
  op.getEndVersion = [](const ort::CustomOp*) { return 1; };
  return op;
}

}  // namespace blockstitch
