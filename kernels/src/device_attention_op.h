// The BlockAttention operator of the device library's execution provider, as ONNX Runtime's custom-op table sees it.
// Knows tensors and attributes; the device library does the work.
#pragma once

#include "ort_abi.h"

namespace blockstitch {

/// The operator for float16 and for bfloat16 tensors; they live as long as the process.
const ort::CustomOp* deviceAttentionOpHalf();
const ort::CustomOp* deviceAttentionOpBfloat16();

}  // namespace blockstitch
