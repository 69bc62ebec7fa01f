// One warp's running softmax over 16 * kMTiles packed query rows: its state, and the update with the scores of more
// tokens. Base 2, sums in float32 (Milakov and Gimelshein 2018; Dao, FlashAttention-2, section 3.1).
// int8 values: the unit of the accumulator is the largest value scale so far. Probabilities times scale / unit then stay in
// the range of a 16-bit float.
#pragma once

#include "attention_params.h"
#include "mma.cuh"
#include "result_writer.cuh"

namespace blockstitch::cuda {

constexpr float kLog2e = 1.4426950408889634f;

// Page `index` of a tile. It is chosen by comparisons, because an array that is indexed has to lie in memory.
BS_DEVICE int pageOf(const KvTile& tile, int index) {
  return index == 0 ? tile.pages[0] : index == 1 ? tile.pages[1] : index == 2 ? tile.pages[2] : tile.pages[3];
}

// Which tokens a packed row sees: those at or before its own place in the prompt, inside the window if there is one.
struct Visibility {
  int tilePosition;  // place in the prompt of the tile's first token
  int rowPosition;   // place in the prompt of the sequence's first new row
  int window;        // 0: none
  int group;
  int firstPacked;   // of the warp's row 0

  BS_DEVICE bool sees(int row, int token) const {
    const int distance = rowPosition + (firstPacked + row) / group - (tilePosition + token);
    return distance >= 0 && (window == 0 || distance < window);
  }
  // Whether some row may not see some of the first `tokens` tokens.
  BS_DEVICE bool needsMask(int tokens) const {
    return window > 0 || tilePosition + tokens - 1 > rowPosition + firstPacked / group;
  }
};

// Accumulator block b of m-tile m covers output columns 8b .. 8b+7. The kernel knows which dim a column is.
template <int kMTiles, int kBlocks>
struct SoftmaxState {
  PerLane<FragmentD> accumulator[kMTiles][kBlocks];
  PerLane<float> top[kMTiles][2];  // rows g and g+8, the same in the four lanes of a quad
  PerLane<float> sum[kMTiles][2];
  PerLane<float> unit;  // int8 only

  BS_DEVICE void clear() {
BS_UNROLL
    for (int m = 0; m < kMTiles; ++m) {
BS_UNROLL
      for (int b = 0; b < kBlocks; ++b) forLanes([&](int lane) { accumulator[m][b][lane] = FragmentD{{0, 0, 0, 0}}; });
BS_UNROLL
      for (int h = 0; h < 2; ++h)
        forLanes([&](int lane) {
          top[m][h][lane] = kMinusInfinity;
          sum[m][h][lane] = 0;
        });
    }
    forLanes([&](int lane) { unit[lane] = 0; });
  }
};

// Scale, soft cap and mask of the scores of 8 * kScores tokens; they come out in base 2 (times log2 e).
// keyScales: int8 only, of the first of these tokens.
template <bool kInt8, int kMTiles, int kScores>
BS_DEVICE void shapeScores(const AttentionParams& p, const Visibility& visibility, int firstToken, int tokens,
                           const float* keyScales, PerLane<FragmentD> (&scores)[kMTiles][kScores]) {
  const bool whole = firstToken + 8 * kScores <= tokens && !visibility.needsMask(firstToken + 8 * kScores);
  const float factor = p.softcap > 0 ? p.scale : p.scale * kLog2e;
BS_UNROLL
  for (int m = 0; m < kMTiles; ++m)
BS_UNROLL
    for (int n = 0; n < kScores; ++n)
      forLanes([&](int lane) {
BS_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int token = 8 * n + 2 * (lane % 4) + i % 2;
          float score = scores[m][n][lane].value[i] * factor;
          if constexpr (kInt8) score *= firstToken + token < tokens ? keyScales[token] : 0.0f;
          if (p.softcap > 0) score = p.softcap * tanhf(score / p.softcap) * kLog2e;
          if (!whole) {
            const int row = 16 * m + lane / 4 + 8 * (i / 2);
            const bool seen = firstToken + token < tokens && visibility.sees(row, firstToken + token);
            score = seen ? score : kMinusInfinity;
          }
          scores[m][n][lane].value[i] = score;
        }
      });
}

// int8 only: raises the unit to the largest of the 8 * kScores value scales, and gives the accumulator's factor and each
// score column's. valueScales: of the first of these tokens, `tokens` of them.
template <int kMTiles, int kBlocks, int kScores>
BS_DEVICE void raiseUnit(SoftmaxState<kMTiles, kBlocks>& state, const float* valueScales, int tokens,
                         PerLane<float>& change, PerLane<float> (&columnScale)[kScores][2]) {
  PerLane<float> largest;
  forLanes([&](int lane) {
    largest[lane] = 0;
    for (int token = lane; token < 8 * kScores && token < tokens; token += kWarpLanes)
      largest[lane] = fmaxf(largest[lane], valueScales[token]);
  });
  warpMax(largest);
  forLanes([&](int lane) {
    const float unit = fmaxf(state.unit[lane], largest[lane]);
    change[lane] = unit > 0 ? state.unit[lane] / unit : 1.0f;
    state.unit[lane] = unit;
BS_UNROLL
    for (int n = 0; n < kScores; ++n)
BS_UNROLL
      for (int i = 0; i < 2; ++i) {
        const int token = 8 * n + 2 * (lane % 4) + i;
        columnScale[n][i][lane] = token < tokens && unit > 0 ? valueScales[token] / unit : 0.0f;
      }
  });
}

// Takes the scores of 8 * kScores tokens (even number of blocks) into maximum and sum, rescales the accumulators, and
// turns the scores into probabilities as A operands: one per 16 tokens, as they already lie in registers.
template <class C, bool kInt8, int kMTiles, int kBlocks, int kScores>
BS_DEVICE void updateSoftmax(SoftmaxState<kMTiles, kBlocks>& state, PerLane<FragmentD> (&scores)[kMTiles][kScores],
                             PerLane<float>& unitChange, PerLane<float> (&columnScale)[kScores][2],
                             PerLane<FragmentA> (&probabilities)[kScores / 2][kMTiles]) {
BS_UNROLL
  for (int m = 0; m < kMTiles; ++m) {
    PerLane<float> newTop[2], added[2], factor[2];
BS_UNROLL
    for (int h = 0; h < 2; ++h) {
      forLanes([&](int lane) {
        float top = kMinusInfinity;
BS_UNROLL
        for (int n = 0; n < kScores; ++n) {
          const float* pair = scores[m][n][lane].value + 2 * h;
          top = fmaxf(top, fmaxf(pair[0], pair[1]));
        }
        newTop[h][lane] = top;
      });
      quadMax(newTop[h]);
      forLanes([&](int lane) {
        newTop[h][lane] = fmaxf(newTop[h][lane], state.top[m][h][lane]);
        // A row that has seen nothing yet subtracts 0, so that exp2(-inf) = 0 and never inf - inf.
        const float reference = newTop[h][lane] == kMinusInfinity ? 0.0f : newTop[h][lane];
        factor[h][lane] = exp2Fast(state.top[m][h][lane] - reference);
        state.top[m][h][lane] = newTop[h][lane];
        float sum = 0;
BS_UNROLL
        for (int n = 0; n < kScores; ++n)
BS_UNROLL
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
        if constexpr (kInt8) factor[h][lane] *= unitChange[lane];
      });
    }
    // Most updates change nothing once the maximum has settled. The multiplications are skipped then.
    PerLane<bool> changed;
    forLanes([&](int lane) { changed[lane] = factor[0][lane] != 1.0f || factor[1][lane] != 1.0f; });
    if (warpAny(changed)) {
BS_UNROLL
      for (int b = 0; b < kBlocks; ++b)
        forLanes([&](int lane) {
          float* value = state.accumulator[m][b][lane].value;
          value[0] *= factor[0][lane];
          value[1] *= factor[0][lane];
          value[2] *= factor[1][lane];
          value[3] *= factor[1][lane];
        });
    }
BS_UNROLL
    for (int r = 0; r < kScores / 2; ++r)
      forLanes([&](int lane) {
        float low[4], high[4];
BS_UNROLL
        for (int i = 0; i < 4; ++i) {
          low[i] = scores[m][2 * r][lane].value[i];
          high[i] = scores[m][2 * r + 1][lane].value[i];
          if constexpr (kInt8) {
            low[i] *= columnScale[2 * r][i % 2][lane];
            high[i] *= columnScale[2 * r + 1][i % 2][lane];
          }
        }
        probabilities[r][m][lane] = FragmentA{{packFloats<C>(low[0], low[1]), packFloats<C>(low[2], low[3]),
                                               packFloats<C>(high[0], high[1]), packFloats<C>(high[2], high[3])}};
      });
  }
}

}  // namespace blockstitch::cuda
