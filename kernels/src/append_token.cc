// Rotates, converts and stores new keys and values; see append_token.h.
#include "append_token.h"

#include <algorithm>
#include <cmath>

namespace blockstitch {

namespace {

/// Rounds a row to the pool's type. @returns the scale of int8, else 1
float roundRow(const KernelTable&, const float* from, size_t count, float* to) {
  std::copy(from, from + count, to);
  return 1;
}
float roundRow(const KernelTable& kernels, const float* from, size_t count, Half* to) {
  kernels.roundRow(from, count, to);
  return 1;
}
float roundRow(const KernelTable&, const float* from, size_t count, Bfloat16* to) {
  for (size_t d = 0; d < count; d++) store(from[d], to + d);
  return 1;
}
float roundRow(const KernelTable& kernels, const float* from, size_t count, int8_t* to) {
  return kernels.quantizeRow(from, count, to);
}

template <typename Element>
void appendAs(const KernelTable& kernels, const AttentionShape& shape, KvPool& pool, size_t page, size_t head, size_t slot,
              const float* key, const float* value) {
  const size_t dim = shape.headDim;
  Element row[kMostHeadDim];
  const float keyScale = roundRow(kernels, key, dim, row);
  Element* keyLane = reinterpret_cast<Element*>(pool.keys(shape.layer, page, head)) +
                     (slot / kCellTokens) * dim * kCellTokens + slot % kCellTokens;
  for (size_t d = 0; d < dim; d++) keyLane[d * kCellTokens] = row[d];
  Element* valueRow = reinterpret_cast<Element*>(pool.values(shape.layer, page, head)) + slot * dim;
  const float valueScale = roundRow(kernels, value, dim, valueRow);
  if (pool.shape().dtype != KvDtype::kInt8) return;
  pool.keyScales(shape.layer, page, head)[slot] = keyScale;
  pool.valueScales(shape.layer, page, head)[slot] = valueScale;
}

}  // namespace

void rotate(const KernelTable& kernels, const AttentionShape& shape, const AttentionInputs& inputs, size_t position,
            const float* from, size_t heads, float scale, float* to) {
  const size_t half = shape.rotaryDim / 2;
  const float* cos = inputs.cos + position * half;
  const float* sin = inputs.sin + position * half;
  if (!shape.interleaved) kernels.rotateHalves(from, shape.headDim, cos, sin, half, heads, scale, to, kQueryStride);
  for (size_t head = 0; head < heads; head++, from += shape.headDim, to += kQueryStride) {
    for (size_t i = 0; shape.interleaved && i < half; i++) {
      const float x = from[2 * i] * scale;
      const float y = from[2 * i + 1] * scale;
      to[2 * i] = x * cos[i] - y * sin[i];
      to[2 * i + 1] = y * cos[i] + x * sin[i];
    }
    for (size_t d = shape.rotaryDim; d < shape.headDim; d++) to[d] = from[d] * scale;
  }
}

void appendToken(const KernelTable& kernels, const AttentionShape& shape, const AttentionInputs& inputs,
                 const SequenceView& sequence, size_t row, KvPool& pool) {
  const size_t dim = shape.headDim;
  const size_t place = sequence.tailPast + row;
  const size_t page = static_cast<size_t>(sequence.tailPages[place / pool.shape().pageTokens]);
  const size_t slot = place % pool.shape().pageTokens;
  float rotated[kMostHeadDim];
  for (size_t head = 0; head < shape.kvHeads; head++) {
    const size_t at = ((sequence.firstRow + row) * shape.kvHeads + head) * dim;
    rotate(kernels, shape, inputs, static_cast<size_t>(sequence.tailPosition) + place, inputs.key + at, 1, 1.0f, rotated);
    const float* value = inputs.value + at;
    switch (pool.shape().dtype) {
      case KvDtype::kFloat32: appendAs<float>(kernels, shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kFloat16: appendAs<Half>(kernels, shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kBfloat16: appendAs<Bfloat16>(kernels, shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kInt8: appendAs<int8_t>(kernels, shape, pool, page, head, slot, rotated, value); break;
    }
  }
}

}  // namespace blockstitch
