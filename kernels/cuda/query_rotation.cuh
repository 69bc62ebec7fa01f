// Rotary embedding of new keys, and of queries before they attend: R(position - delta) q, once per segment
// (docs/architecture.md: scores depend only on the difference of positions, so cached keys are never touched).
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

// Element `index` of a query, key or value tensor.
BS_BOTH float readInput(const AttentionParams& p, const void* tensor, int64_t index) {
  const uint16_t bits = static_cast<const uint16_t*>(tensor)[index];
  return p.queryType == QueryType::kFloat16 ? Half{bits}.toFloat() : BFloat16{bits}.toFloat();
}

struct Turned {
  float first, second;
};

// A pair of dims turned by the angle of `position` (arXiv 2104.09864).
BS_BOTH Turned turn(const AttentionParams& p, int position, int pair, float x, float y) {
  const int64_t angle = static_cast<int64_t>(position) * (p.rotaryDim / 2) + pair;
  const float cosine = p.cosines[angle];
  const float sine = p.sines[angle];
  return {x * cosine - y * sine, y * cosine + x * sine};
}

// Four neighbouring pairs of one query row at a time: dims d .. d+3 and d+half .. d+half+3. Their 8-byte loads must be
// aligned, so rotaryDim must be a multiple of 8, and the pairs must not be interleaved.
BS_BOTH bool takesFourPairs(const AttentionParams& p) {
  return !p.interleaved && p.rotaryDim == p.layout.headDim && p.rotaryDim % 8 == 0;
}

template <class C>
BS_DEVICE void rotateFourPairs(const AttentionParams& p, const unsigned char* source, unsigned char* target, int position,
                               int pair) {
  const int half = p.rotaryDim / 2;
  const int64_t angle = static_cast<int64_t>(position) * half + pair;
  alignas(16) float cosine[4], sine[4];
  alignas(8) uint16_t x[4], y[4];
  alignas(8) uint16_t first[4], second[4];
#if defined(__CUDACC__)
  *reinterpret_cast<float4*>(cosine) = *reinterpret_cast<const float4*>(p.cosines + angle);
  *reinterpret_cast<float4*>(sine) = *reinterpret_cast<const float4*>(p.sines + angle);
  *reinterpret_cast<uint2*>(x) = *reinterpret_cast<const uint2*>(source + 2 * pair);
  *reinterpret_cast<uint2*>(y) = *reinterpret_cast<const uint2*>(source + 2 * (pair + half));
#else
  std::memcpy(cosine, p.cosines + angle, 16);
  std::memcpy(sine, p.sines + angle, 16);
  std::memcpy(x, source + 2 * pair, 8);
  std::memcpy(y, source + 2 * (pair + half), 8);
#endif
BS_UNROLL
  for (int i = 0; i < 4; ++i) {
    const bool isHalf = p.queryType == QueryType::kFloat16;
    const float a = isHalf ? Half{x[i]}.toFloat() : BFloat16{x[i]}.toFloat();
    const float b = isHalf ? Half{y[i]}.toFloat() : BFloat16{y[i]}.toFloat();
    first[i] = C::fromFloat(a * cosine[i] - b * sine[i]).bits;
    second[i] = C::fromFloat(b * cosine[i] + a * sine[i]).bits;
  }
#if defined(__CUDACC__)
  *reinterpret_cast<uint2*>(target + 2 * pair) = *reinterpret_cast<const uint2*>(first);
  *reinterpret_cast<uint2*>(target + 2 * (pair + half)) = *reinterpret_cast<const uint2*>(second);
#else
  std::memcpy(target + 2 * pair, first, 8);
  std::memcpy(target + 2 * (pair + half), second, 8);
#endif
}

// Writes packed rows firstPacked .. firstPacked + rows - 1 of an item, rotated for one delta, to shared memory as C.
// `worker` of `workers` does its share. All these rows exist.
template <class C, int kDim>
BS_DEVICE void rotateQueries(const AttentionParams& p, const WorkItem& item, int firstPacked, int kvHead, int delta,
                             int rows, unsigned char* shared, int stride, int worker, int workers) {
  const int group = p.group();
  constexpr int kPairs = kDim / 2;
  const bool four = takesFourPairs(p);
  const int units = four ? kPairs / 4 : kPairs;
  for (int i = worker; i < rows * units; i += workers) {
    const int row = i / units;
    const int unit = i % units;
    const int packed = firstPacked + row;
    const int newRow = packed / group;
    const int head = kvHead * group + packed % group;
    const int64_t at = (static_cast<int64_t>(item.firstRow + newRow) * p.heads + head) * kDim;
    const int position = item.localPosition + newRow - delta;
    unsigned char* target = shared + row * stride;
    if (four) {
      rotateFourPairs<C>(p, static_cast<const unsigned char*>(p.query) + 2 * at, target, position, 4 * unit);
      continue;
    }
    const DimPair dims = dimPair(unit, p.rotaryDim, p.interleaved);
    Turned turned{readInput(p, p.query, at + dims.first), readInput(p, p.query, at + dims.second)};
    if (dims.rotated) turned = turn(p, position, unit, turned.first, turned.second);
    reinterpret_cast<C*>(target)[dims.first] = C::fromFloat(turned.first);
    reinterpret_cast<C*>(target)[dims.second] = C::fromFloat(turned.second);
  }
}

}  // namespace blockstitch::cuda
