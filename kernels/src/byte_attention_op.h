// BlockAttention between two integer products, as ONNX Runtime's custom-op table sees it: DequantizeQkv, BlockAttention and
// QuantizeRows (int8_rows_op.h) in one operator, with the same bits. A decode step of a small model spends more on going from
// one operator to the next than on these rows. Domain ai.blockstitch, version 1, on the CPU. n rows, W = (heads + 2 kv_heads) D.
//
//   ByteBlockAttention  sums [n, W] int32, scales [n], column_scales [W], bias [W], cos, sin, step_metadata
//                                                                    -> bytes [n, heads D] uint8, scales [n]
//
// Attributes: those of BlockAttention, and rotation. cos, sin and step_metadata are BlockAttention's (op_tensors.h).
#pragma once

#include "ort_abi.h"

namespace blockstitch {

/// The operator; lives as long as the process.
const ort::CustomOp* byteAttentionOp();

}  // namespace blockstitch
