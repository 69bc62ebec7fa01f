// What the operators share: their tensors; of BlockAttention also the inputs and attributes, and their shapes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention.h"
#include "ort_abi.h"

namespace blockstitch {

/// query, key, value, cos, sin, step_metadata: see src/model/imported-model.ts.
constexpr size_t kOpInputs = 6;
constexpr size_t kMetadataInput = 5;

struct TensorView {
  void* data = nullptr;
  int64_t shape[4] = {0, 0, 0, 0};
  size_t rank = 0;

  bool isVector(size_t length) const { return rank == 1 && static_cast<size_t>(shape[0]) == length; }
  bool isMatrix(size_t height, size_t width) const {
    return rank == 2 && static_cast<size_t>(shape[0]) == height && static_cast<size_t>(shape[1]) == width;
  }
};

/// The inputs of one call, shapes checked against the attributes.
struct OpInputs {
  TensorView tensors[kOpInputs];
  size_t rows;
  size_t positions;
  const int32_t* metadata;
  size_t metadataSize;
};

/// An attribute of operator `op` within bounds. @returns null, or a status that names it
ort::Status* readOpInteger(ort::Api api, const ort::KernelInfo* info, const char* op, const char* name, int64_t least, int64_t most,
                           size_t* value);

/// The attribute `rotation`: the size of the Hadamard matrices, a power of two.
ort::Status* readRotation(ort::Api api, const ort::KernelInfo* info, const char* op, size_t* rotation);

/// @returns null with the attributes in `shape`, or a status that says what is wrong with them
ort::Status* readOpAttributes(ort::Api api, const ort::KernelInfo* info, AttentionShape* shape);

/// Reads rows, positions and metadata off the tensors. @returns null, or a status that says which shape is wrong
ort::Status* checkOpInputs(ort::Api api, const AttentionShape& shape, OpInputs* inputs);

/// @returns null with the inputs, or a status that says which shape is wrong
ort::Status* readOpInputs(ort::Api api, const ort::KernelContext* context, const AttentionShape& shape, OpInputs* inputs);

/// Input `index` of a call.
ort::Status* viewInput(ort::Api api, const ort::KernelContext* context, size_t index, TensorView* view);

/// Output `index` of a call, allocated by ONNX Runtime.
ort::Status* allocateOutput(ort::Api api, ort::KernelContext* context, size_t index, const int64_t* shape, size_t rank,
                            void** output);

/// The output [rows, heads * headDim], allocated by ONNX Runtime.
ort::Status* allocateOpOutput(ort::Api api, ort::KernelContext* context, const OpInputs& inputs, void** output);

/// A custom-op table without its provider, element types and kernel: the caller fills these in.
ort::CustomOp opTemplate();

}  // namespace blockstitch
