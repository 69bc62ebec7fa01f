// One warp's flash attention over 16 packed query rows (times kMTiles) and a run of cached tokens, on tensor cores.
//
// Dims are taken in an order that suits memory. A dot product does not care in which order its dims are summed, so lane
// (g, q) takes 8 neighbouring dims 32k + 8q .. +7 of key row g: 16 bytes, which serve two products as their two pairs each.
// Output columns may be permuted too: in a group of 64 dims lane (g, q) reads 8 neighbouring dims 64u + 8g .. +7 of value
// rows 2q, 2q+1, 2q+8, 2q+9; product b of the group then computes dims 64u + 8g + b, and a lane ends with runs of 8
// neighbouring dims. So neither keys nor values need a transposed load. head_dim 80 and 96 end with a group of 32 (runs of 4).
//
// Softmax is online, in base 2 (Milakov and Gimelshein 2018; Dao, FlashAttention-2, section 3.1), sums in float32.
// For int8 values the accumulator is kept in units of the largest value scale met so far, so that probabilities times
// scale / unit stay in the range of a 16-bit float.
#pragma once

#include "attention_params.h"
#include "mma.cuh"
#include "query_rotation.cuh"

namespace blockstitch::cuda {

constexpr float kLog2e = 1.4426950408889634f;
constexpr float kMinusInfinity = -INFINITY;

// C: type of queries and of the products. kKvInt8: cached elements are int8 with a scale per token and head.
template <class C_, int kDim_, bool kKvInt8_, int kMTiles_>
struct AttentionShape {
  using C = C_;
  static constexpr int kDim = kDim_;
  static constexpr bool kKvInt8 = kKvInt8_;
  static constexpr int kMTiles = kMTiles_;
  static constexpr int kPad = (kDim + 31) / 32 * 32;
  static constexpr int kKeyGroups = kPad / 32;
  static constexpr int kValueBlocks = kPad / 8;
  static constexpr int kElementBytes = kKvInt8 ? 1 : 2;
  static constexpr int kRows = 16 * kMTiles;
};

// What a warp knows after some tokens: accumulators (in units), running maximum and sum of each of its rows.
template <class Shape>
struct WarpState {
  PerLane<FragmentD> accumulator[Shape::kMTiles][Shape::kValueBlocks];
  PerLane<float> top[Shape::kMTiles][2];  // rows g and g+8, the same in the four lanes of a quad
  PerLane<float> sum[Shape::kMTiles][2];
  PerLane<float> unit;  // int8 only

  BS_DEVICE void clear() {
#pragma unroll
    for (int m = 0; m < Shape::kMTiles; ++m) {
#pragma unroll
      for (int b = 0; b < Shape::kValueBlocks; ++b)
        forLanes([&](int lane) {
          for (int i = 0; i < 4; ++i) accumulator[m][b][lane].value[i] = 0;
        });
#pragma unroll
      for (int h = 0; h < 2; ++h)
        forLanes([&](int lane) {
          top[m][h][lane] = kMinusInfinity;
          sum[m][h][lane] = 0;
        });
    }
    forLanes([&](int lane) { unit[lane] = 0; });
  }
};

// 16 neighbouring cached tokens of one layer and kv head, in global or shared memory.
struct TokenRun {
  const unsigned char* keys;
  const unsigned char* values;
  const float* keyScales;  // int8 only
  const float* valueScales;
  int keyStride;  // bytes from one token to the next
  int valueStride;
  int tokens;      // valid ones, 1..16
};

// What a row may see of a tile; see KvTile.
struct Visibility {
  int causalStart;
  int tilePosition;
  int window;
  int past;
  int position;   // local position of the tail's first token
  int group;
  int firstPacked;
  int packedRows;

  BS_DEVICE bool sees(int row, int token) const {
    const int packed = firstPacked + row;
    if (packed >= packedRows) return false;
    const int newRow = packed / group;
    if (causalStart >= 0 && causalStart + token > past + newRow) return false;
    return window == 0 || position + past + newRow - (tilePosition + token) < window;
  }
};

struct Words4 {
  uint32_t word[4];
};

template <int kBytes>
BS_DEVICE Words4 loadWords(const unsigned char* from) {
  Words4 words{};
#if defined(__CUDACC__)
  if constexpr (kBytes == 16) {
    const uint4 loaded = *reinterpret_cast<const uint4*>(from);
    words = {{loaded.x, loaded.y, loaded.z, loaded.w}};
  } else if constexpr (kBytes == 8) {
    const uint2 loaded = *reinterpret_cast<const uint2*>(from);
    words = {{loaded.x, loaded.y, 0, 0}};
  } else {
    words.word[0] = *reinterpret_cast<const uint32_t*>(from);
  }
#else
  std::memcpy(words.word, from, kBytes);
#endif
  return words;
}

// kCount (8 or 4) neighbouring elements from dim `dim` of a row as pairs of C; zeros for dims past kDim or no row.
template <class Shape, int kCount>
BS_DEVICE Words4 loadElements(const unsigned char* row, int dim, bool valid) {
  if (!valid || dim >= Shape::kDim) return Words4{};
  if constexpr (!Shape::kKvInt8) {
    return loadWords<2 * kCount>(row + 2 * dim);
  } else {
    const Words4 bytes = loadWords<kCount>(row + dim);
    Words4 pairs{};
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i)
      pairs.word[i] = packBytes<typename Shape::C>(bytes.word[i / 2], 2 * (i % 2));
    return pairs;
  }
}

// Scores of 16 tokens: scores[m][n] covers rows of tile m and tokens 8n .. 8n+7.
template <class Shape>
BS_DEVICE void scoreTokens(const unsigned char* queries, const TokenRun& run,
                           PerLane<FragmentD> (&scores)[Shape::kMTiles][2]) {
  using C = typename Shape::C;
  constexpr int kStride = scoreRowStride<Shape::kPad, 2>();
#pragma unroll
  for (int m = 0; m < Shape::kMTiles; ++m)
#pragma unroll
    for (int n = 0; n < 2; ++n) forLanes([&](int lane) { scores[m][n][lane] = FragmentD{{0, 0, 0, 0}}; });
#pragma unroll
  for (int k = 0; k < Shape::kKeyGroups; ++k) {
    PerLane<Words4> keys[2];
#pragma unroll
    for (int n = 0; n < 2; ++n)
      forLanes([&](int lane) {
        const int token = 8 * n + lane / 4;
        keys[n][lane] = loadElements<Shape, 8>(run.keys + token * run.keyStride, 32 * k + 8 * (lane % 4),
                                               token < run.tokens);
      });
#pragma unroll
    for (int m = 0; m < Shape::kMTiles; ++m) {
      PerLane<Words4> upper, lower;
      forLanes([&](int lane) {
        const unsigned char* row = queries + (16 * m + lane / 4) * kStride + 2 * (32 * k + 8 * (lane % 4));
        upper[lane] = loadWords<16>(row);
        lower[lane] = loadWords<16>(row + 8 * kStride);
      });
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        PerLane<FragmentA> a;
        forLanes([&](int lane) {
          a[lane] = FragmentA{{upper[lane].word[2 * half], lower[lane].word[2 * half], upper[lane].word[2 * half + 1],
                               lower[lane].word[2 * half + 1]}};
        });
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          PerLane<FragmentB> b;
          forLanes([&](int lane) {
            b[lane] = FragmentB{{keys[n][lane].word[2 * half], keys[n][lane].word[2 * half + 1]}};
          });
          multiplyAccumulate<C>(scores[m][n], a, b);
        }
      }
    }
  }
}

// Scale, soft cap and mask; scores come out in base 2 (times log2 e).
template <class Shape>
BS_DEVICE void shapeScores(const AttentionParams& p, const TokenRun& run, const Visibility& visibility, int firstToken,
                           bool needsMask, PerLane<FragmentD> (&scores)[Shape::kMTiles][2]) {
#pragma unroll
  for (int m = 0; m < Shape::kMTiles; ++m)
#pragma unroll
    for (int n = 0; n < 2; ++n)
      forLanes([&](int lane) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int token = 8 * n + 2 * (lane % 4) + i % 2;
          const int row = 16 * m + lane / 4 + 8 * (i / 2);
          const bool inside = token < run.tokens;
          float score = scores[m][n][lane].value[i] * p.scale;
          if constexpr (Shape::kKvInt8) score *= inside ? run.keyScales[token] : 0.0f;
          if (p.softcap > 0) score = p.softcap * tanhf(score / p.softcap);
          const bool seen = inside && (!needsMask || visibility.sees(row, firstToken + token));
          scores[m][n][lane].value[i] = seen ? score * kLog2e : kMinusInfinity;
        }
      });
}

// Multiplies the accumulators of rows g and g+8 by the factors given.
template <class Shape>
BS_DEVICE void rescale(WarpState<Shape>& state, int m, PerLane<float> (&factor)[2]) {
#pragma unroll
  for (int b = 0; b < Shape::kValueBlocks; ++b)
    forLanes([&](int lane) {
      FragmentD& d = state.accumulator[m][b][lane];
      d.value[0] *= factor[0][lane];
      d.value[1] *= factor[0][lane];
      d.value[2] *= factor[1][lane];
      d.value[3] *= factor[1][lane];
    });
}

// Adds P V of 16 tokens: P is the A operand as the score accumulators already lie in registers.
template <class Shape>
BS_DEVICE void addValues(WarpState<Shape>& state, const TokenRun& run, PerLane<FragmentA> (&probabilities)[Shape::kMTiles]) {
  using C = typename Shape::C;
  constexpr int kWideGroups = Shape::kPad / 64;
  constexpr bool kNarrowGroup = Shape::kPad % 64 != 0;
#pragma unroll
  for (int u = 0; u < kWideGroups + (kNarrowGroup ? 1 : 0); ++u) {
    const bool wide = u < kWideGroups;
    PerLane<Words4> rows[4];  // tokens 2q, 2q+1, 2q+8, 2q+9
#pragma unroll
    for (int r = 0; r < 4; ++r)
      forLanes([&](int lane) {
        const int token = 2 * (lane % 4) + r % 2 + 8 * (r / 2);
        const unsigned char* row = run.values + token * run.valueStride;
        const bool valid = token < run.tokens;
        rows[r][lane] = wide ? loadElements<Shape, 8>(row, 64 * u + 8 * (lane / 4), valid)
                             : loadElements<Shape, 4>(row, 64 * u + 4 * (lane / 4), valid);
      });
#pragma unroll
    for (int b = 0; b < 8; ++b) {
      if (!wide && b >= 4) break;
      PerLane<FragmentB> fragment;
      forLanes([&](int lane) {
        const int w = b / 2;
        const uint32_t r0 = rows[0][lane].word[w], r1 = rows[1][lane].word[w];
        const uint32_t r2 = rows[2][lane].word[w], r3 = rows[3][lane].word[w];
        fragment[lane] = b % 2 == 0 ? FragmentB{{pairLows(r0, r1), pairLows(r2, r3)}}
                                    : FragmentB{{pairHighs(r0, r1), pairHighs(r2, r3)}};
      });
#pragma unroll
      for (int m = 0; m < Shape::kMTiles; ++m)
        multiplyAccumulate<C>(state.accumulator[m][8 * u + b], probabilities[m], fragment);
    }
  }
}

// One online-softmax update with 16 tokens. `firstToken` is the run's first token counted in its tile.
template <class Shape>
BS_DEVICE void attendTokens(const AttentionParams& p, const unsigned char* queries, const TokenRun& run,
                            const Visibility& visibility, int firstToken, bool needsMask, WarpState<Shape>& state) {
  using C = typename Shape::C;
  PerLane<FragmentD> scores[Shape::kMTiles][2];
  scoreTokens<Shape>(queries, run, scores);
  shapeScores<Shape>(p, run, visibility, firstToken, needsMask, scores);

  PerLane<float> unitChange;
  PerLane<float> tokenScale[4];  // of tokens 2q, 2q+1, 2q+8, 2q+9, in units
  if constexpr (Shape::kKvInt8) {
    PerLane<float> largest;
    forLanes([&](int lane) { largest[lane] = lane < run.tokens && lane < 16 ? run.valueScales[lane] : 0.0f; });
    warpMax(largest);
    forLanes([&](int lane) {
      const float unit = fmaxf(state.unit[lane], largest[lane]);
      unitChange[lane] = unit > 0 ? state.unit[lane] / unit : 0.0f;
      state.unit[lane] = unit;
      for (int r = 0; r < 4; ++r) {
        const int token = 2 * (lane % 4) + r % 2 + 8 * (r / 2);
        tokenScale[r][lane] = token < run.tokens && unit > 0 ? run.valueScales[token] / unit : 0.0f;
      }
    });
  }

  PerLane<FragmentA> probabilities[Shape::kMTiles];
#pragma unroll
  for (int m = 0; m < Shape::kMTiles; ++m) {
    PerLane<float> newTop[2], added[2], factor[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      forLanes([&](int lane) {
        const float* first = scores[m][0][lane].value + 2 * h;
        const float* second = scores[m][1][lane].value + 2 * h;
        newTop[h][lane] = fmaxf(fmaxf(first[0], first[1]), fmaxf(second[0], second[1]));
      });
      quadMax(newTop[h]);
      forLanes([&](int lane) {
        newTop[h][lane] = fmaxf(newTop[h][lane], state.top[m][h][lane]);
        // A row that has seen nothing yet: subtract 0, so that exp2(-inf) = 0 and never inf - inf.
        const float reference = newTop[h][lane] == kMinusInfinity ? 0.0f : newTop[h][lane];
        factor[h][lane] = exp2Fast(state.top[m][h][lane] - reference);
        state.top[m][h][lane] = newTop[h][lane];
        float sum = 0;
        for (int n = 0; n < 2; ++n)
          for (int e = 0; e < 2; ++e) {
            float& score = scores[m][n][lane].value[2 * h + e];
            score = exp2Fast(score - reference);
            sum += score;
          }
        added[h][lane] = sum;
      });
      quadSum(added[h]);
      forLanes([&](int lane) {
        state.sum[m][h][lane] = state.sum[m][h][lane] * factor[h][lane] + added[h][lane];
        if constexpr (Shape::kKvInt8) factor[h][lane] *= unitChange[lane];
      });
    }
    // Once the maximum has settled most runs change nothing: skip the multiplications then.
    PerLane<bool> changed;
    forLanes([&](int lane) { changed[lane] = factor[0][lane] != 1.0f || factor[1][lane] != 1.0f; });
    if (warpAny(changed)) rescale<Shape>(state, m, factor);
    forLanes([&](int lane) {
      const float* low = scores[m][0][lane].value;
      const float* high = scores[m][1][lane].value;
      float s0 = 1, s1 = 1, s2 = 1, s3 = 1;
      if constexpr (Shape::kKvInt8) {
        s0 = tokenScale[0][lane];
        s1 = tokenScale[1][lane];
        s2 = tokenScale[2][lane];
        s3 = tokenScale[3][lane];
      }
      probabilities[m][lane] =
          FragmentA{{packFloats<C>(low[0] * s0, low[1] * s1), packFloats<C>(low[2] * s0, low[3] * s1),
                     packFloats<C>(high[0] * s2, high[1] * s3), packFloats<C>(high[2] * s2, high[3] * s3)}};
    });
  }
  addValues<Shape>(state, run, probabilities);
}

// Calls `write(row, dim, value)` for each accumulator value of the warp, in true units; rows count from 0 in the warp.
template <class Shape, class F>
BS_DEVICE void forEachAccumulator(WarpState<Shape>& state, F&& write) {
#pragma unroll
  for (int m = 0; m < Shape::kMTiles; ++m)
#pragma unroll
    for (int block = 0; block < Shape::kValueBlocks; ++block)
      forLanes([&](int lane) {
        const int u = block / 8;
        const int b = block % 8;
        const int run = 64 * u + 64 <= Shape::kPad ? 8 : 4;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = 16 * m + lane / 4 + 8 * (i / 2);
          const int dim = 64 * u + run * (2 * (lane % 4) + i % 2) + b;
          float value = state.accumulator[m][block][lane].value[i];
          if constexpr (Shape::kKvInt8) value *= state.unit[lane];
          if (dim < Shape::kDim) write(row, dim, value, state.top[m][i / 2][lane], state.sum[m][i / 2][lane]);
        }
      });
}

}  // namespace blockstitch::cuda
