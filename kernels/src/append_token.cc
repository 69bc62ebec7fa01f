// Rotates, converts and stores new keys and values; see append_token.h.
#include "append_token.h"

#include <algorithm>
#include <cmath>

namespace blockstitch {

namespace {

/// Stores a vector as int8 with one scale: amax / 127.
float quantize(const float* from, size_t count, int8_t* to, size_t stride) {
  float amax = 0;
  for (size_t d = 0; d < count; d++) amax = std::max(amax, std::fabs(from[d]));
  const float scale = amax / 127.0f;
  const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
  for (size_t d = 0; d < count; d++) to[d * stride] = static_cast<int8_t>(std::lrint(from[d] * inverse));
  return scale;
}

template <typename Element>
void storeRow(const float* from, size_t count, Element* to, size_t stride) {
  for (size_t d = 0; d < count; d++) store(from[d], to + d * stride);
}

template <typename Element>
void appendAs(const AttentionShape& shape, KvPool& pool, size_t page, size_t head, size_t slot, const float* key,
              const float* value) {
  const size_t dim = shape.headDim;
  Element* keyLane = reinterpret_cast<Element*>(pool.keys(shape.layer, page, head)) +
                     (slot / kCellTokens) * dim * kCellTokens + slot % kCellTokens;
  Element* valueRow = reinterpret_cast<Element*>(pool.values(shape.layer, page, head)) + slot * dim;
  storeRow(key, dim, keyLane, kCellTokens);
  storeRow(value, dim, valueRow, 1);
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
      case KvDtype::kFloat32: appendAs<float>(shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kFloat16: appendAs<Half>(shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kBfloat16: appendAs<Bfloat16>(shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kInt8: {
        int8_t* lane = reinterpret_cast<int8_t*>(pool.keys(shape.layer, page, head)) +
                       (slot / kCellTokens) * dim * kCellTokens + slot % kCellTokens;
        int8_t* valueRow = reinterpret_cast<int8_t*>(pool.values(shape.layer, page, head)) + slot * dim;
        pool.keyScales(shape.layer, page, head)[slot] = quantize(rotated, dim, lane, kCellTokens);
        pool.valueScales(shape.layer, page, head)[slot] = quantize(value, dim, valueRow, 1);
        break;
      }
    }
  }
}

}  // namespace blockstitch
