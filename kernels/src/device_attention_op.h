// The BlockAttention operator of the CUDA execution provider, as ONNX Runtime's custom-op table sees it.
#pragma once

#include "ort_abi.h"

namespace blockstitch {

/// The operator for float16 and for bfloat16 tensors; they live as long as the process.
const ort::CustomOp* deviceAttentionOpHalf();
const ort::CustomOp* deviceAttentionOpBfloat16();

}  // namespace blockstitch
