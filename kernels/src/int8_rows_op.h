// The operators around an integer product, as ONNX Runtime's custom-op table sees them. Domain ai.blockstitch, version 1, on
// the CPU. n rows; bytes are uint8 around 128; a row's scale is float32. W = width of the product's columns.
//
//   QuantizeRows         x [n, K]                                                       -> bytes [n, K], scales [n]
//   NormQuantizeRows     x [n, K], weight [K]                                           -> bytes [n, K], scales [n]
//   AddNormQuantizeRows  sums [n, K], scales [n], column_scales [K], residual [n, K], weight [K]
//                                                                    -> sum [n, K], bytes [n, K], scales [n]
//   GateQuantizeRows     sums [n, 2 K], scales [n], column_scales [2 K]                 -> bytes [n, K], scales [n]
//   DequantizeRows       sums [n, W], scales [n], column_scales [W]                     -> floats [n, W]
//   DequantizeQkv        sums [n, W], scales [n], column_scales [W], bias [W]           -> query, key, value [n, ...]
//
// Attributes: rotation (size of the Hadamard matrices) of those that quantize, epsilon of those with a norm, query_width and
// key_width of DequantizeQkv. sums are int32. row_kernels.h says what each does to a row.
#pragma once

#include <vector>

#include "ort_abi.h"

namespace blockstitch {

/// All of them; they live as long as the process.
const std::vector<const ort::CustomOp*>& int8RowOps();

}  // namespace blockstitch
