// What stands between the integer products of a step: rows of floats become bytes, sums of integers become floats again.
// A row is turned by Hadamard matrices before it is rounded, so that no single value decides the scale of all (QuaRot,
// arXiv 2404.00456, section 4): with H the matrix of size n, y = H x and W' = W H / n give W' y = W x exactly.
// Knows rows of numbers; int8_rows_op.cc knows tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace blockstitch {

/// What a byte of a row stands at when the value is zero.
constexpr uint8_t kByteZero = 128;

/// Entry points of one instruction set. Every `width` is 1 or more; buffers of floats need no alignment.
struct RowKernels {
  /// Turns each run of `rotation` floats by the Hadamard matrix of that size (Sylvester's, not scaled), in place.
  /// @param rotation a power of two that divides `width`; 1 changes nothing
  void (*rotate)(float* row, size_t width, size_t rotation);
  /// bytes[i] = 128 + row[i] / scale, rounded to nearest even, with scale = max |row| / 127. A row of zeros has scale 0.
  /// A row that holds a NaN or an infinity has a scale of NaN, so that the products say so.
  void (*toBytes)(const float* row, size_t width, uint8_t* bytes, float* scale);
  /// RMS norm (arXiv 1910.07467): normed[i] = row[i] / sqrt(mean(row^2) + epsilon) * weight[i].
  void (*norm)(const float* row, const float* weight, size_t width, float epsilon, float* normed);
  /// floats[i] = sums[i] * rowScale * columnScales[i] + added[i]
  void (*toFloats)(const int32_t* sums, float rowScale, const float* columnScales, const float* added, size_t width,
                   float* floats);
  /// gated[i] = silu(g) * u (arXiv 2002.05202) with g and u from sums[i] and sums[width + i], scaled as above.
  void (*gate)(const int32_t* sums, float rowScale, const float* columnScales, size_t width, float* gated);
};

/// The kernels of the level in use (kernel_level.h). All levels turn and round alike, bit for bit; sums of squares and
/// exponentials may differ in the last bits.
const RowKernels& rowKernels();

const RowKernels& portableRowKernels();
const RowKernels& avx2RowKernels();
const RowKernels& avx512RowKernels();

}  // namespace blockstitch
