// Writes the rotated queries of some packed rows into shared memory: R(position - delta) q, once per segment
// (design section 4: scores depend only on the difference of positions, so cached keys are never touched).
#pragma once

#include "attention_params.h"
#include "element_types.cuh"

namespace blockstitch::cuda {

// Dims of rotated pair `pair` (0 .. headDim/2 - 1); pairs past the rotary dims are plain neighbours, left unrotated.
struct DimPair {
  int first, second;
  bool rotated;
};

BS_BOTH DimPair dimPair(int pair, int rotaryDim, bool interleaved) {
  const int half = rotaryDim / 2;
  if (pair < half) {
    if (interleaved) return {2 * pair, 2 * pair + 1, true};
    return {pair, pair + half, true};
  }
  return {2 * pair, 2 * pair + 1, false};
}

// Row stride in bytes of queries and keys in shared memory: 64 modulo 128, so that the 16-byte reads of eight lanes
// (two rows, four column groups) touch all banks once. `elements` is the padded head dim.
template <int kElements, int kBytes>
constexpr int scoreRowStride() {
  return (kElements * kBytes + 63) / 128 * 128 + 64;
}

// Rotates packed rows firstPacked .. firstPacked+kRows-1 for one delta. `worker` of `workers` does its share of pairs.
// Rows past the last packed row, and dims past headDim up to kPad, become zero.
template <class C, int kDim, int kPad>
BS_DEVICE void rotateQueries(const AttentionParams& p, const WorkItem& item, int kvHead, int delta, int rows,
                             unsigned char* shared, int worker, int workers) {
  constexpr int kStride = scoreRowStride<kPad, 2>();
  constexpr int kPairs = kDim / 2;
  const int group = p.group();
  const int packedRows = item.rows * group;
  const C* queries = static_cast<const C*>(p.query);
  for (int i = worker; i < rows * kPairs; i += workers) {
    const int row = i / kPairs;
    const int pair = i % kPairs;
    const int packed = item.firstPacked + row;
    const DimPair dims = dimPair(pair, p.rotaryDim, p.interleaved);
    C* target = reinterpret_cast<C*>(shared + row * kStride);
    if (packed >= packedRows) {
      target[dims.first] = C{0};
      target[dims.second] = C{0};
      continue;
    }
    const int newRow = packed / group;
    const int head = kvHead * group + packed % group;
    const C* source = queries + (static_cast<int64_t>(item.firstRow + newRow) * p.heads + head) * kDim;
    if (!dims.rotated) {
      target[dims.first] = source[dims.first];
      target[dims.second] = source[dims.second];
      continue;
    }
    const int64_t angle =
        static_cast<int64_t>(item.position + item.past + newRow - delta) * (p.rotaryDim / 2) + pair;
    const float cosine = p.cosines[angle];
    const float sine = p.sines[angle];
    const float x = source[dims.first].toFloat();
    const float y = source[dims.second].toFloat();
    target[dims.first] = C::fromFloat(x * cosine - y * sine);
    target[dims.second] = C::fromFloat(y * cosine + x * sine);
  }
  if constexpr (kPad > kDim) {
    for (int i = worker; i < rows * (kPad - kDim); i += workers) {
      C* target = reinterpret_cast<C*>(shared + i / (kPad - kDim) * kStride);
      target[kDim + i % (kPad - kDim)] = C{0};
    }
  }
}

}  // namespace blockstitch::cuda
