// One tile with products in bfloat16: included by kernels_avx512_bf16.cc alone. attend_tile.h is the same for exact products.
// Scores, softmax and sums are float32. bf16_products.h has the products; a result's bits do not depend on how many query
// vectors there are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "bf16_products.h"

namespace blockstitch {

class Bf16Tile {
  static constexpr size_t kLanes = bf16::kLanes;
  /// Query vectors that share a panel at once: their sums fill the register file.
  static constexpr size_t kRows = 6;
  /// Query vectors that use the pool's elements directly at once, and all that do so: to round a tile's elements again for
  /// each of a few groups costs less than a panel.
  static constexpr size_t kDirect = 7;
  static constexpr size_t kMostDirect = 5 * kDirect;
  /// Below every score, but far enough from the end of the range that a difference of two is finite.
  static constexpr float kMasked = -1e30f;
  static constexpr float kSlack = 8;

 public:
  static void attend(KvDtype dtype, const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                     const SoftmaxState& state) {
    switch (dtype) {
      case KvDtype::kFloat32: return;  // the caller has other kernels for it
      case KvDtype::kFloat16: return attendAs<Half>(tile, ahead, query, rules, state);
      case KvDtype::kBfloat16: return attendAs<Bfloat16>(tile, ahead, query, rules, state);
      case KvDtype::kInt8: return attendAs<int8_t>(tile, ahead, query, rules, state);
    }
  }

  static void packQueries(const float* from, size_t vectors, size_t dim, uint16_t* to) {
    for (size_t v = 0; v < vectors; v++, from += kQueryStride, to += kQueryStride) {
      for (size_t d = 0; d < dim; d += kLanes) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + d), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(from + d))));
      }
    }
  }

 private:
  template <typename Element>
  static void attendAs(const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                       const SoftmaxState& state) {
    constexpr bool kIsScaled = std::is_same<Element, int8_t>::value;
    if (query.vectors <= kMostDirect) {
      // The first group asks for what comes after the tile; the others find the tile in the cache.
      ReadAhead nothing;
      for (size_t first = 0, count = 0; first < query.vectors; first += count) {
        count = evenPart(query.vectors - first, kDirect);
        attendGroup<kDirect>(tile, query, rules, state, first, count, kIsScaled,
                             bf16::Direct<Element>(tile, first == 0 ? ahead : nothing, rules.headDim));
      }
      return;
    }
    size_t end = 0;
    for (size_t v = 0; v < query.vectors; v++) end = std::max(end, seenOf(tile, rules, query.reach[v]).end);
    if (end == 0) return;
    bf16::Panels panels;
    panels.fill<Element>(tile, ahead, end, rules.headDim, query.panels);
    // The next tile comes from memory while this one is multiplied.
    const size_t bytes = 2 * end * rules.headDim * sizeof(Element) * kRows / query.vectors;
    for (size_t first = 0, count = 0; first < query.vectors; first += count) {
      count = evenPart(query.vectors - first, kRows);
      ahead.use(bytes);
      attendGroup<kRows>(tile, query, rules, state, first, count, kIsScaled, panels);
    }
  }

  /// Size of the next of as few and as even groups of `most` as `left` vectors need.
  static size_t evenPart(size_t left, size_t most) {
    const size_t groups = (left + most - 1) / most;
    return (left + groups - 1) / groups;
  }

  /// Some query vectors, and what they see.
  struct Group {
    const uint16_t* query;
    const SeenTokens* seen;
    size_t end;     ///< the last token that any of them sees, and one
    size_t first;   ///< of the item's vectors
    bool isScaled;  ///< whether keys and values have scales
  };

  template <size_t kMost, typename Products>
  static void attendGroup(const Tile& tile, const QueryView& query, const TileRules& rules, const SoftmaxState& state,
                          size_t first, size_t count, bool isScaled, const Products& products) {
    SeenTokens seen[kMost];
    size_t end = 0;
    for (size_t v = 0; v < count; v++) {
      seen[v] = seenOf(tile, rules, query.reach[first + v]);
      end = std::max(end, seen[v].end);
    }
    if (end == 0) return;
    bf16::inParts<kMost>(count, [&](size_t at, auto size) {
      attendVectors<size>(tile, rules, state, {query.halves + (first + at) * kQueryStride, seen + at, end, first + at, isScaled}, products);
    });
  }

  template <size_t kCount, typename Products>
  static void attendVectors(const Tile& tile, const TileRules& rules, const SoftmaxState& state, const Group& group,
                            const Products& products) {
    alignas(64) float scores[kCount][kTileTokens];
    alignas(64) uint16_t weights[kCount][kTileTokens];
    const size_t cells = (group.end + kCellTokens - 1) / kCellTokens;
    products.template score<kCount>(group.query, cells, scores);
    for (size_t v = 0; v < kCount; v++) {
      if (group.seen[v].end == 0) {
        std::memset(weights[v], 0, sizeof weights[v]);
        continue;
      }
      if (group.isScaled) scaleScores(tile, cells, scores[v]);
      soften(tile, rules, group.isScaled, cells, group.seen[v], state, group.first + v, scores[v], weights[v]);
    }
    products.template add<kCount>(weights, group.end, state.accumulator + group.first * rules.headDim);
  }

  static void scaleScores(const Tile& tile, size_t cells, float* scores) {
    for (size_t c = 0; c < cells; c++) {
      const __m512 scale = _mm512_loadu_ps(tile.keyScales[c]);
      _mm512_store_ps(scores + c * kLanes, _mm512_mul_ps(_mm512_load_ps(scores + c * kLanes), scale));
    }
  }

  /// Turns scores into weights exp(score - maximum) in bfloat16, and rescales the earlier sums. Masked tokens get 0.
  /// `maximum` stays while scores exceed it by kSlack at most: weights above 1 do no harm, and rescaling is seldom then.
  static void soften(const Tile& tile, const TileRules& rules, bool isScaled, size_t cells, const SeenTokens& seen,
                     const SoftmaxState& state, size_t vector, float* scores, uint16_t* weights) {
    if (rules.softcap > 0) {
      for (size_t t = seen.begin; t < seen.end; t++) scores[t] = rules.softcap * std::tanh(scores[t] / rules.softcap);
    }
    // Two cells at a time, from an even one on: what is not seen of them is masked.
    const size_t first = seen.begin / (2 * kLanes) * 2, end = (seen.end + 2 * kLanes - 1) / (2 * kLanes) * 2;
    for (size_t t = first * kLanes; t < seen.begin; t++) scores[t] = kMasked;
    mask(scores, seen.end, end);
    __m512 best = _mm512_max_ps(_mm512_load_ps(scores + first * kLanes), _mm512_load_ps(scores + (first + 1) * kLanes));
    for (size_t c = first + 2; c < end; c += 2) {
      best = _mm512_max_ps(best, _mm512_max_ps(_mm512_load_ps(scores + c * kLanes), _mm512_load_ps(scores + (c + 1) * kLanes)));
    }
    float maximum = state.maximum[vector];
    if (_mm512_cmp_ps_mask(best, _mm512_set1_ps(maximum + kSlack), _CMP_GT_OQ) != 0) {
      maximum = raise(rules.headDim, state, vector, _mm512_reduce_max_ps(best));
    }
    const __m512 shift = _mm512_set1_ps(-maximum * kLog2E);
    const auto weigh = [&](size_t c) {
      return powerOfTwo(_mm512_fmadd_ps(_mm512_load_ps(scores + c * kLanes), _mm512_set1_ps(kLog2E), shift));
    };
    __m512 low = weigh(first), high = weigh(first + 1);
    __m512 total = _mm512_add_ps(low, high);
    for (size_t c = first;;) {
      if (isScaled) {
        low = _mm512_mul_ps(low, _mm512_loadu_ps(tile.valueScales[c]));
        if (c + 1 < cells) high = _mm512_mul_ps(high, _mm512_loadu_ps(tile.valueScales[c + 1]));
      }
      _mm512_store_si512(weights + c * kLanes, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
      c += 2;
      if (c >= end) break;
      low = weigh(c);
      high = weigh(c + 1);
      total = _mm512_add_ps(total, _mm512_add_ps(low, high));
    }
    state.sum[vector] += _mm512_reduce_add_ps(total);
    for (size_t c = 0; c < first; c += 2) _mm512_store_si512(weights + c * kLanes, _mm512_setzero_si512());
    for (size_t c = end; c < cells; c += 2) _mm512_store_si512(weights + c * kLanes, _mm512_setzero_si512());
  }

  /// Masks the scores from token `from` to the end of cell `endCell`.
  static void mask(float* scores, size_t from, size_t endCell) {
    const __m512 masked = _mm512_set1_ps(kMasked);
    if (from % kLanes != 0) {
      float* cell = scores + from / kLanes * kLanes;
      const auto visible = static_cast<__mmask16>((1u << from % kLanes) - 1);
      _mm512_store_ps(cell, _mm512_mask_mov_ps(masked, visible, _mm512_load_ps(cell)));
    }
    for (size_t c = (from + kLanes - 1) / kLanes; c < endCell; c++) _mm512_store_ps(scores + c * kLanes, masked);
  }

  /// Sets a new maximum and rescales the earlier sums. @returns the maximum
  static float raise(size_t dim, const SoftmaxState& state, size_t vector, float maximum) {
    const float before = state.maximum[vector];
    state.maximum[vector] = maximum;
    if (before == -FLT_MAX) return maximum;  // there are no sums yet
    const float decay = std::exp(before - maximum);
    float* sums = state.accumulator + vector * dim;
    for (size_t d = 0; d < dim; d += kLanes) {
      _mm512_storeu_ps(sums + d, _mm512_mul_ps(_mm512_loadu_ps(sums + d), _mm512_set1_ps(decay)));
    }
    state.sum[vector] *= decay;
    return maximum;
  }

  static constexpr float kLog2E = 1.44269504f;

  /// 2^x for x <= 0, with a relative error of 1e-4 at most: a twentieth of what rounding to bfloat16 costs. x = n + r with
  /// |r| <= 1/2; the polynomial in r has degree 3 and the least largest relative error there. Far below zero it is 0.
  static __m512 powerOfTwo(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 r = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(5.51716685e-2f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.42611125e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.93260968e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.99928057e-1f));
    return _mm512_scalef_ps(p, n);
  }
};

}  // namespace blockstitch
