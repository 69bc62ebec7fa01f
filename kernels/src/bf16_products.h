// Sums of products in bfloat16 (VDPBF16PS) of a few query vectors with a tile's keys or values. Included by attend_tile_bf16.h.
// Both sides come as pairs, side by side in 32 bits: two dims of a query and of a key, or the weights of two tokens and one dim
// of their values. Each sum is one chain of products in a fixed order: from a panel or directly from the pool, for one vector
// or many, the bits are the same.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "attention_kernels.h"
#include "unroll.h"

namespace blockstitch::bf16 {

constexpr size_t kLanes = 16;
/// Vectors of 16 lanes that are handled together at most.
constexpr size_t kWide = 4;

/// Sixteen elements as float32, of each type that is rounded.
inline __m512 widen(const Half* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline __m512 widen(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}

/// (a0, b0, a1, b1, ..) in bfloat16.
template <typename Element>
inline __m512i pairs(const Element* a, const Element* b) {
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

inline __m512i bothOf(const uint16_t* pair) {
  int32_t bits;
  std::memcpy(&bits, pair, sizeof bits);
  return _mm512_set1_epi32(bits);
}

inline __m512 addPairs(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

/// Calls `body(at, count)` for parts of `width` vectors, `kMost` at most and as even as they can be; `count` is a constant.
/// Sanitized builds have only the smallest and the largest part, because each takes the compiler long there. The result is the same.
template <size_t kMost, typename Body>
inline void inParts(size_t width, const Body& body) {
  for (size_t at = 0, count = 0; at < width; at += count) {
#if defined(__SANITIZE_ADDRESS__)
    count = width - at >= kMost ? kMost : 1;
    if (count == kMost) body(at, std::integral_constant<size_t, kMost>{});
    else body(at, std::integral_constant<size_t, 1>{});
#else
    const size_t parts = (width - at + kMost - 1) / kMost;
    count = (width - at + parts - 1) / parts;
    unroll<kMost>([&](auto less) {
      if (count == less + 1) body(at, std::integral_constant<size_t, less + 1>{});
    });
#endif
  }
}

/// A tile's keys and values in panels, for many query vectors.
class Panels {
 public:
  /// @param end tokens of the tile that are needed
  /// @param memory [kPanelWords]
  template <typename Element>
  void fill(const Tile& tile, ReadAhead& ahead, size_t end, size_t dim, uint32_t* memory) {
    dim_ = dim;
    keys_ = memory;
    values_ = memory + kTileTokens * dim / 2;
    packKeys<Element>(tile, ahead, end, memory);
    packValues<Element>(tile, ahead, end, memory + kTileTokens * dim / 2);
  }

  /// scores[v][t] = <query v, key t>
  template <size_t kCount>
  void score(const uint16_t* query, size_t cells, float (*scores)[kTileTokens]) const {
    inParts<kWide>(cells, [&](size_t cell, auto count) {
      const size_t cellWords = dim_ / 2 * kLanes;
      addBlock<kCount, count, kQueryStride, false>(query, keys_ + cell * cellWords, cellWords, kLanes, dim_ / 2,
                                                   scores[0] + cell * kLanes, kTileTokens);
    });
  }

  /// sums[v][d] += sum over tokens before `end` of weight[v][t] * value[t][d]
  template <size_t kCount>
  void add(const uint16_t (*weights)[kTileTokens], size_t end, float* sums) const {
    inParts<kWide>(dim_ / kLanes, [&](size_t at, auto count) {
      addBlock<kCount, count, kTileTokens, true>(weights[0], values_ + at * kLanes, kLanes, dim_, (end + 1) / 2,
                                                 sums + at * kLanes, dim_);
    });
  }

 private:
  /// to[r][16 w + lane] = (kAdds: itself, else 0) + sum over pairs of <pair of row r, pair of the lane>
  /// @param wide 32-bit words of the panel from one vector of 16 lanes to the next  @param step from one pair to the next
  template <size_t kCount, size_t kWidth, size_t kRowStride, bool kAdds>
  BLOCKSTITCH_UNROLLED static void addBlock(const uint16_t* rows, const uint32_t* panel, size_t wide, size_t step, size_t pairs,
                                            float* to, size_t stride) {
    __m512 sums[kCount][kWidth];
    unroll<kCount>([&](auto r) {
      unroll<kWidth>([&](auto w) { sums[r][w] = kAdds ? _mm512_loadu_ps(to + r * stride + w * kLanes) : _mm512_setzero_ps(); });
    });
    const uint32_t* from[kWidth];
    unroll<kWidth>([&](auto w) { from[w] = panel + w * wide; });
    for (size_t pair = 0; pair < pairs; pair++, rows += 2) {
      __m512i lanes[kWidth];
      unroll<kWidth>([&](auto w) {
        lanes[w] = _mm512_loadu_si512(from[w]);
        from[w] += step;
      });
      unroll<kCount>([&](auto r) {
        const __m512i both = bothOf(rows + r * kRowStride);
        unroll<kWidth>([&](auto w) { sums[r][w] = addPairs(sums[r][w], both, lanes[w]); });
      });
    }
    unroll<kCount>([&](auto r) { unroll<kWidth>([&](auto w) { _mm512_storeu_ps(to + r * stride + w * kLanes, sums[r][w]); }); });
  }

  /// [cell][dim / 2][16 tokens]
  template <typename Element>
  void packKeys(const Tile& tile, ReadAhead& ahead, size_t tokens, uint32_t* to) const {
    for (size_t cell = 0; cell * kCellTokens < tokens; cell++) {
      const Element* keys = static_cast<const Element*>(tile.keys[cell]);
      for (size_t d = 0; d < dim_; d += 2, to += kLanes) {
        if (d % 8 == 0) ahead.follow(8 * kCellTokens * sizeof(Element));
        _mm512_store_si512(to, pairs(keys + d * kCellTokens, keys + (d + 1) * kCellTokens));
      }
    }
  }

  /// [token / 2][dim]. Behind the last of an odd number of tokens, the memory was perhaps never written: it is 0 there.
  template <typename Element>
  void packValues(const Tile& tile, ReadAhead& ahead, size_t tokens, uint32_t* to) const {
    alignas(64) static constexpr Element kNothing[kMostHeadDim] = {};
    for (size_t token = 0; token < tokens; token += 2, to += dim_) {
      const Element* value = static_cast<const Element*>(tile.values[token / kCellTokens]) + token % kCellTokens * dim_;
      const Element* next = token + 1 < tile.tokens ? value + dim_ : kNothing;
      ahead.follow(2 * dim_ * sizeof(Element));
      for (size_t d = 0; d < dim_; d += kLanes) _mm512_store_si512(to + d, pairs(value + d, next + d));
    }
  }

  size_t dim_ = 0;
  const uint32_t* keys_ = nullptr;
  const uint32_t* values_ = nullptr;
};

/// A tile's keys and values as they lie in the pool, for few query vectors: they are rounded in registers.
template <typename Element>
class Direct {
 public:
  Direct(const Tile& tile, ReadAhead& ahead, size_t dim) : tile_(tile), ahead_(ahead), dim_(dim) {}

  template <size_t kCount>
  void score(const uint16_t* query, size_t cells, float (*scores)[kTileTokens]) const {
    inParts<(kCount <= 3 ? 4 : 2)>(cells, [&](size_t cell, auto count) { scoreCells<kCount, count>(query, cell, scores); });
  }

  template <size_t kCount>
  void add(const uint16_t (*weights)[kTileTokens], size_t end, float* sums) const {
    inParts<(kCount <= 6 ? 4 : 2)>(dim_ / kLanes, [&](size_t at, auto count) {
      addColumns<kCount, count>(weights, end, at * kLanes, sums + at * kLanes);
    });
  }

 private:
  template <size_t kCount, size_t kCells>
  BLOCKSTITCH_UNROLLED void scoreCells(const uint16_t* query, size_t cell, float (*scores)[kTileTokens]) const {
    __m512 sums[kCount][kCells];
    unroll<kCount>([&](auto v) { unroll<kCells>([&](auto c) { sums[v][c] = _mm512_setzero_ps(); }); });
    const Element* keys[kCells];
    unroll<kCells>([&](auto c) { keys[c] = static_cast<const Element*>(tile_.keys[cell + c]); });
    for (size_t first = 0; first < dim_; first += 8) {
      ahead_.follow(kCells * 8 * kCellTokens * sizeof(Element));
      unroll<4>([&](auto pair) {
        const size_t d = first + 2 * pair;
        __m512i lanes[kCells];
        unroll<kCells>([&](auto c) { lanes[c] = pairs(keys[c] + d * kCellTokens, keys[c] + (d + 1) * kCellTokens); });
        unroll<kCount>([&](auto v) {
          const __m512i both = bothOf(query + v * kQueryStride + d);
          unroll<kCells>([&](auto c) { sums[v][c] = addPairs(sums[v][c], both, lanes[c]); });
        });
      });
    }
    unroll<kCount>([&](auto v) {
      unroll<kCells>([&](auto c) { _mm512_store_ps(scores[v] + (cell + c) * kLanes, sums[v][c]); });
    });
  }

  template <size_t kCount, size_t kWidth>
  BLOCKSTITCH_UNROLLED void addColumns(const uint16_t (*weights)[kTileTokens], size_t end, size_t d, float* to) const {
    alignas(64) static constexpr Element kNothing[kMostHeadDim] = {};
    __m512 sums[kCount][kWidth];
    unroll<kCount>([&](auto v) { unroll<kWidth>([&](auto w) { sums[v][w] = _mm512_loadu_ps(to + v * dim_ + w * kLanes); }); });
    const auto add = [&](const Element* value, const Element* next, size_t token) {
      __m512i lanes[kWidth];
      unroll<kWidth>([&](auto w) { lanes[w] = pairs(value + w * kLanes, next + w * kLanes); });
      unroll<kCount>([&](auto v) {
        const __m512i both = bothOf(weights[v] + token);
        unroll<kWidth>([&](auto w) { sums[v][w] = addPairs(sums[v][w], both, lanes[w]); });
      });
    };
    for (size_t first = 0; first < end; first += kCellTokens) {
      const Element* value = static_cast<const Element*>(tile_.values[first / kCellTokens]) + d;
      const size_t count = end - first < kCellTokens ? end - first : kCellTokens;
      for (size_t t = 0; t + 1 < count; t += 2, value += 2 * dim_) {
        if (t % 4 == 0) ahead_.follow(4 * kWidth * kLanes * sizeof(Element));
        add(value, value + dim_, first + t);
      }
      if (count % 2 == 1) add(value, first + count < tile_.tokens ? value + dim_ : kNothing, first + count - 1);
    }
    unroll<kCount>([&](auto v) { unroll<kWidth>([&](auto w) { _mm512_storeu_ps(to + v * dim_ + w * kLanes, sums[v][w]); }); });
  }

  const Tile& tile_;
  ReadAhead& ahead_;
  const size_t dim_;
};

}  // namespace blockstitch::bf16
