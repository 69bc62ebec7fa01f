// One tile with products in bfloat16 (VDPBF16PS): included by kernels_avx512_bf16.cc alone.
// A tile's keys and values are rounded once to panels of pairs: two dims of a key, or one dim of two values, side by side in
// 32 bits. All query vectors then use them. Scores and sums are float32, each one chain of products in a fixed order,
// so how many vectors there are never changes a bit of the result. attend_tile.h is the same for exact products.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "attention_kernels.h"
#include "unroll.h"

namespace blockstitch {

/// Sixteen elements as float32, of each type that is rounded.
inline __m512 widen(const Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline __m512 widen(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}

class Bf16Tile {
  static constexpr size_t kLanes = 16;
  /// Query vectors that are handled together, and vectors of 16 lanes of a panel: their sums fill the register file.
  static constexpr size_t kRows = 6;
  static constexpr size_t kWide = 4;
  /// Below every score, but far enough from the end of the range that a difference of two is finite.
  static constexpr float kMasked = -1e30f;

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
  /// Tokens of a tile that a vector sees: begin .. end-1.
  struct Range {
    size_t begin;
    size_t end;
  };

  template <typename Element>
  static void attendAs(const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                       const SoftmaxState& state) {
    Range seen[kRows];
    size_t end = 0;
    for (size_t v = 0; v < query.vectors; v++) end = std::max(end, rangeOf(tile, rules, query.reach[v]).end);
    if (end == 0) return;
    const size_t dim = rules.headDim;
    uint32_t* keys = query.panels;
    uint32_t* values = query.panels + kTileTokens * dim / 2;
    packKeys<Element>(tile, ahead, end, dim, keys);
    packValues<Element>(tile, ahead, end, dim, values);
    for (size_t first = 0, count = 0; first < query.vectors; first += count) {
      const size_t left = query.vectors - first;
      const size_t groups = (left + kRows - 1) / kRows;
      count = (left + groups - 1) / groups;
      end = 0;
      for (size_t v = 0; v < count; v++) {
        seen[v] = rangeOf(tile, rules, query.reach[first + v]);
        end = std::max(end, seen[v].end);
      }
      if (end == 0) continue;
      const Rows rows{query.halves + first * kQueryStride, seen, end, first, std::is_same<Element, int8_t>::value};
      switch (count) {
#if !defined(__SANITIZE_ADDRESS__)
        case 2: attendRows<2>(tile, keys, values, rules, state, rows); break;
        case 3: attendRows<3>(tile, keys, values, rules, state, rows); break;
        case 4: attendRows<4>(tile, keys, values, rules, state, rows); break;
        case 5: attendRows<5>(tile, keys, values, rules, state, rows); break;
        case 6: attendRows<6>(tile, keys, values, rules, state, rows); break;
        default: attendRows<1>(tile, keys, values, rules, state, rows); break;
#else
        default:
          for (size_t v = 0; v < count; v++) {
            if (seen[v].end == 0) continue;
            attendRows<1>(tile, keys, values, rules, state,
                          {rows.query + v * kQueryStride, seen + v, seen[v].end, first + v, rows.isScaled});
          }
#endif
      }
    }
  }

  /// Some query vectors, and what they see.
  struct Rows {
    const uint16_t* query;
    const Range* seen;
    size_t end;    ///< the last token that any of them sees, and one
    size_t first;  ///< of the item's vectors
    bool isScaled; ///< whether keys and values have scales
  };

  static Range rangeOf(const Tile& tile, const TileRules& rules, size_t reach) {
    if (reach < tile.first) return {0, 0};
    const size_t end = std::min(reach - tile.first + 1, tile.tokens);
    size_t begin = 0;
    if (rules.slidingWindow > 0 && reach + 1 > rules.slidingWindow + tile.first) begin = reach + 1 - rules.slidingWindow - tile.first;
    return begin < end ? Range{begin, end} : Range{0, 0};
  }

  template <size_t kCount>
  static void attendRows(const Tile& tile, const uint32_t* keys, const uint32_t* values, const TileRules& rules,
                         const SoftmaxState& state, const Rows& rows) {
    alignas(64) float scores[kCount][kTileTokens];
    alignas(64) uint16_t weights[kCount][kTileTokens];
    const size_t dim = rules.headDim;
    const size_t cells = (rows.end + kCellTokens - 1) / kCellTokens;
    addProducts<kCount, kQueryStride, false>(rows.query, keys, {dim / 2 * kLanes, kLanes}, dim / 2, cells, scores[0], kTileTokens);
    for (size_t v = 0; v < kCount; v++) {
      if (rows.seen[v].end == 0) {
        std::memset(weights[v], 0, sizeof weights[v]);
        continue;
      }
      if (rows.isScaled) scaleScores(tile, cells, scores[v]);
      soften(tile, rules, rows.isScaled, cells, rows.seen[v], state, rows.first + v, scores[v], weights[v]);
    }
    addProducts<kCount, kTileTokens, true>(weights[0], values, {kLanes, dim}, (rows.end + 1) / 2, dim / kLanes,
                                           state.accumulator + rows.first * dim, dim);
  }

  /// How a panel lies, in 32-bit words.
  struct Panel {
    size_t wide;  ///< from one vector of 16 lanes to the next
    size_t step;  ///< from one pair to the next
  };

  /// sums[r][16 w + lane] = (kAdds: itself, else 0) + sum over pairs of <pair of row r, pair of the panel's lane>, in order.
  template <size_t kCount, size_t kRowStride, bool kAdds>
  static void addProducts(const uint16_t* rows, const uint32_t* panel, const Panel& at, size_t pairs, size_t width, float* sums,
                          size_t stride) {
    size_t w = 0;
    for (; w + kWide <= width; w += kWide) {
      addBlock<kCount, kWide, kRowStride, kAdds>(rows, panel + w * at.wide, at, pairs, sums + w * kLanes, stride);
    }
#if !defined(__SANITIZE_ADDRESS__)
    if (width - w >= 2) {
      addBlock<kCount, 2, kRowStride, kAdds>(rows, panel + w * at.wide, at, pairs, sums + w * kLanes, stride);
      w += 2;
    }
#endif
    for (; w < width; w++) addBlock<kCount, 1, kRowStride, kAdds>(rows, panel + w * at.wide, at, pairs, sums + w * kLanes, stride);
  }

  template <size_t kCount, size_t kWidth, size_t kRowStride, bool kAdds>
  BLOCKSTITCH_UNROLLED static void addBlock(const uint16_t* rows, const uint32_t* panel, const Panel& at, size_t pairs, float* to,
                                            size_t stride) {
    __m512 sums[kCount][kWidth];
    unroll<kCount>([&](auto r) {
      unroll<kWidth>([&](auto w) { sums[r][w] = kAdds ? _mm512_loadu_ps(to + r * stride + w * kLanes) : _mm512_setzero_ps(); });
    });
    const uint32_t* from[kWidth];
    unroll<kWidth>([&](auto w) { from[w] = panel + w * at.wide; });
    const size_t step = at.step;
    for (size_t pair = 0; pair < pairs; pair++) {
      __m512i lanes[kWidth];
      unroll<kWidth>([&](auto w) {
        lanes[w] = _mm512_loadu_si512(from[w]);
        from[w] += step;
      });
      unroll<kCount>([&](auto r) {
        int32_t bits;
        std::memcpy(&bits, rows + r * kRowStride, sizeof bits);
        const __m512i both = _mm512_set1_epi32(bits);
        unroll<kWidth>([&](auto w) {
          sums[r][w] = _mm512_dpbf16_ps(sums[r][w], reinterpret_cast<__m512bh>(both), reinterpret_cast<__m512bh>(lanes[w]));
        });
      });
      rows += 2;
    }
    unroll<kCount>([&](auto r) { unroll<kWidth>([&](auto w) { _mm512_storeu_ps(to + r * stride + w * kLanes, sums[r][w]); }); });
  }

  static void scaleScores(const Tile& tile, size_t cells, float* scores) {
    for (size_t c = 0; c < cells; c++) {
      const __m512 scale = _mm512_loadu_ps(tile.keyScales[c]);
      _mm512_store_ps(scores + c * kLanes, _mm512_mul_ps(_mm512_load_ps(scores + c * kLanes), scale));
    }
  }

  /// Turns scores into weights exp(score - maximum) in bfloat16, and rescales the earlier sums. Masked tokens get 0.
  static void soften(const Tile& tile, const TileRules& rules, bool isScaled, size_t cells, const Range& seen,
                     const SoftmaxState& state, size_t vector, float* scores, uint16_t* weights) {
    if (rules.softcap > 0) {
      for (size_t t = seen.begin; t < seen.end; t++) scores[t] = rules.softcap * std::tanh(scores[t] / rules.softcap);
    }
    const size_t firstCell = seen.begin / kLanes, endCell = (seen.end + kLanes - 1) / kLanes;
    for (size_t t = firstCell * kLanes; t < seen.begin; t++) scores[t] = kMasked;
    if (seen.end % kLanes != 0) {
      float* last = scores + (endCell - 1) * kLanes;
      const auto visible = static_cast<__mmask16>((1u << seen.end % kLanes) - 1);
      _mm512_store_ps(last, _mm512_mask_mov_ps(_mm512_set1_ps(kMasked), visible, _mm512_load_ps(last)));
    }
    __m512 best = _mm512_load_ps(scores + firstCell * kLanes);
    for (size_t c = firstCell + 1; c < endCell; c++) best = _mm512_max_ps(best, _mm512_load_ps(scores + c * kLanes));
    float maximum = state.maximum[vector];
    if (_mm512_cmp_ps_mask(best, _mm512_set1_ps(maximum), _CMP_GT_OQ) != 0) {
      const float before = maximum;
      maximum = _mm512_reduce_max_ps(best);
      const float decay = before == -FLT_MAX ? 0.0f : std::exp(before - maximum);
      float* sums = state.accumulator + vector * rules.headDim;
      for (size_t d = 0; d < rules.headDim; d += kLanes) {
        _mm512_storeu_ps(sums + d, _mm512_mul_ps(_mm512_loadu_ps(sums + d), _mm512_set1_ps(decay)));
      }
      state.sum[vector] *= decay;
      state.maximum[vector] = maximum;
    }
    const __m512 shift = _mm512_set1_ps(-maximum * kLog2E);
    __m512 total = _mm512_setzero_ps();
    const auto weigh = [&](size_t c) {
      if (c < firstCell || c >= endCell) return _mm512_setzero_ps();
      const __m512 weight = powerOfTwo(_mm512_fmadd_ps(_mm512_load_ps(scores + c * kLanes), _mm512_set1_ps(kLog2E), shift));
      total = _mm512_add_ps(total, weight);
      return isScaled ? _mm512_mul_ps(weight, _mm512_loadu_ps(tile.valueScales[c])) : weight;
    };
    for (size_t c = 0; c < cells; c += 2) {
      const __m512 low = weigh(c);
      const __m512 high = weigh(c + 1);
      _mm512_store_si512(weights + c * kLanes, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
    state.sum[vector] += _mm512_reduce_add_ps(total);
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

  /// (a0, b0, a1, b1, ..) in bfloat16.
  template <typename Element>
  static __m512i pairs(const Element* a, const Element* b) {
    alignas(64) static constexpr uint16_t kOrder[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i both;
    if constexpr (std::is_same<Element, Bfloat16>::value) {
      both = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a))),
                                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)), 1);
    } else {
      both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(widen(b), widen(a)));
    }
    return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), both);
  }

  /// Panel [cell][dim / 2][16 tokens].
  template <typename Element>
  static void packKeys(const Tile& tile, ReadAhead& ahead, size_t tokens, size_t dim, uint32_t* to) {
    for (size_t cell = 0; cell * kCellTokens < tokens; cell++) {
      const Element* keys = static_cast<const Element*>(tile.keys[cell]);
      for (size_t d = 0; d < dim; d += 2, to += kLanes) {
        if (d % 8 == 0) ahead.follow(8 * kCellTokens * sizeof(Element));
        _mm512_store_si512(to, pairs(keys + d * kCellTokens, keys + (d + 1) * kCellTokens));
      }
    }
  }

  /// Panel [token / 2][dim]. Behind the last of an odd number of tokens, the memory was perhaps never written: it is 0 there.
  template <typename Element>
  static void packValues(const Tile& tile, ReadAhead& ahead, size_t tokens, size_t dim, uint32_t* to) {
    alignas(64) static constexpr Element kNothing[kMostHeadDim] = {};
    for (size_t token = 0; token < tokens; token += 2, to += dim) {
      const Element* value = static_cast<const Element*>(tile.values[token / kCellTokens]) + token % kCellTokens * dim;
      const Element* next = token + 1 < tile.tokens ? value + dim : kNothing;
      ahead.follow(2 * dim * sizeof(Element));
      for (size_t d = 0; d < dim; d += kLanes) _mm512_store_si512(to + d, pairs(value + d, next + d));
    }
  }
};

}  // namespace blockstitch
