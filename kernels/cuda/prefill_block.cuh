// Prefill: many packed query rows against a run of tiles. The tensor cores bound its speed. The block's four warps share one
// tile of keys and values in shared memory; asynchronous copies bring it. The next tile's keys travel while this tile's
// values are multiplied, and values travel while the scores are computed. So one buffer of each is enough, and two blocks
// fit on a processor. int8 elements become 16-bit ones on their way, so the products know one form only. Tiles never cross
// a segment. The queries are rotated again where the segment changes.
#pragma once

#include "online_softmax.cuh"
#include "query_rotation.cuh"

namespace blockstitch::cuda {

template <class C, int kDim, bool kInt8>
struct PrefillBlock {
  static constexpr int kMTiles = kDim > 128 ? 1 : 2;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr int kBlocksAtOnce = 2;  // one waits for its tiles while the other computes
  static constexpr int kWarpRows = 16 * kMTiles;
  static constexpr int kRows = kWarps * kWarpRows;  // packed rows of a work item
  static constexpr int kTileTokens = kDim > 128 ? 32 : 64;
  static constexpr int kBlocks = kDim / 8;
  static constexpr int kScores = kTileTokens / 8;
  static constexpr int kRuns = kTileTokens / 16;
  // An odd multiple of 16: the eight rows of a matrix lie in different banks.
  static constexpr int kStride = 2 * kDim + 16;
  static constexpr int kQueryBytes = kRows * kStride;
  static constexpr int kTileBytes = kTileTokens * kStride;
  static constexpr int kSharedBytes = kQueryBytes + 2 * kTileBytes + (kInt8 ? 2 * kTileTokens * 4 : 0);
  static_assert(kDim % 16 == 0, "head_dim is a whole number of matrix products");

  // One block: work item `index`, kv head `kvHead`. `shared`: kSharedBytes, aligned to 16.
  BS_DEVICE static void run(const AttentionParams& p, int index, int kvHead, unsigned char* shared) {
    const WorkItem item = p.prefill[index];
    const int left = item.rows * p.group() - item.firstPacked;
    const int rows = left < kRows ? left : kRows;
    const Buffers buffers{shared, shared + kQueryBytes, shared + kQueryBytes + kTileBytes,
                          reinterpret_cast<float*>(shared + kQueryBytes + 2 * kTileBytes)};
    PerWarp<State, kWarps> states;
    forWarps<kWarps>([&](int warp) { states[warp].clear(); });
    forThreads<kThreads>([&](int thread) {  // rows that do not exist stay zero
      for (int i = rows * kStride / 16 + thread; i < kQueryBytes / 16; i += kThreads) zero16(shared + 16 * i);
    });
    copyTile(p, kvHead, p.tiles[item.tileBegin], 0, buffers.keys, buffers.scales);
    int rotatedFor = -1;
    for (int t = item.tileBegin; t < item.tileEnd; ++t) {
      const KvTile tile = p.tiles[t];
      if (tile.delta != rotatedFor) {
        forThreads<kThreads>([&](int thread) {
          rotateQueries<C, kDim>(p, item, item.firstPacked, kvHead, tile.delta, rows, buffers.queries, kStride, thread, kThreads);
        });
        rotatedFor = tile.delta;
      }
      waitAsyncCopies<0>();
      blockBarrier();  // this tile's keys and the queries are there, and nobody reads the values of the last tile any more
      copyTile(p, kvHead, tile, 1, buffers.values, buffers.scales + kTileTokens);
      PerWarp<Probabilities, kWarps> probabilities;
      PerWarp<Scores, kWarps> scores;
      forWarps<kWarps>([&](int warp) { scoreTile(p, item, tile, buffers, warp, scores[warp].value); });
      waitAsyncCopies<0>();
      blockBarrier();  // this tile's values are there, and nobody reads its keys, or their queries, any more
      if (t + 1 < item.tileEnd) copyTile(p, kvHead, p.tiles[t + 1], 0, buffers.keys, buffers.scales);
      forWarps<kWarps>([&](int warp) {
        soften(tile, buffers, states[warp], scores[warp].value, probabilities[warp].value);
        addValues(tile, buffers, probabilities[warp].value, states[warp]);
      });
    }
    forWarps<kWarps>([&](int warp) { writeRows(p, item, kvHead, warp, rows, states[warp]); });
  }

 private:
  using State = SoftmaxState<kMTiles, kBlocks>;

  struct Buffers {
    unsigned char* queries;  // [kRows][kStride]
    unsigned char* keys;     // [kTileTokens][kStride]
    unsigned char* values;   // [kTileTokens][kStride]
    float* scales;           // keys' [kTileTokens], then values'
  };
  struct Scores {
    PerLane<FragmentD> value[kMTiles][kScores];
  };
  struct Probabilities {
    PerLane<FragmentA> value[kRuns][kMTiles];
  };

  BS_DEVICE static void zero16(unsigned char* to) {
#if defined(__CUDACC__)
    *reinterpret_cast<uint4*>(to) = uint4{0, 0, 0, 0};
#else
    std::memset(to, 0, 16);
#endif
  }

  // Starts copying keys (isValue 0) or values (1) of a tile; rows past its tokens become zero.
  BS_DEVICE static void copyTile(const AttentionParams& p, int kvHead, const KvTile& tile, int isValue,
                                 unsigned char* target, float* scales) {
    constexpr int kChunks = kDim * (kInt8 ? 1 : 2) / 16;
    forThreads<kThreads>([&](int thread) {
      for (int i = thread; i < kTileTokens * kChunks; i += kThreads) {
        const int token = i / kChunks;
        const int chunk = i % kChunks;
        const int page = pageOf(tile, token / p.layout.pageTokens);
        const unsigned char* from =
            p.pool + p.layout.elementOffset(page, p.layer, isValue, kvHead, token % p.layout.pageTokens) + 16 * chunk;
        const bool valid = token < tile.tokens;
        if constexpr (kInt8) widen16(target + token * kStride + 32 * chunk, from, valid);
        else copyAsync16(target + token * kStride + 16 * chunk, from, valid);
      }
      if constexpr (kInt8) {
        for (int token = thread; token < kTileTokens; token += kThreads) {
          const int64_t from =
              p.layout.scaleOffset(pageOf(tile, token / p.layout.pageTokens), p.layer, isValue, kvHead, token % p.layout.pageTokens);
          scales[token] = token < tile.tokens ? *reinterpret_cast<const float*>(p.pool + from) : 0.0f;
        }
      }
    });
    commitAsyncCopies();
  }

  // 16 int8 elements as 16 of C.
  BS_DEVICE static void widen16(unsigned char* to, const unsigned char* from, bool valid) {
    uint32_t bytes[4] = {0, 0, 0, 0};
    alignas(16) uint32_t pairs[8];
#if defined(__CUDACC__)
    if (valid) {
      const uint4 loaded = *reinterpret_cast<const uint4*>(from);
      bytes[0] = loaded.x, bytes[1] = loaded.y, bytes[2] = loaded.z, bytes[3] = loaded.w;
    }
#else
    if (valid) std::memcpy(bytes, from, 16);
#endif
BS_UNROLL
    for (int i = 0; i < 8; ++i) pairs[i] = packBytes<C>(bytes[i / 2], 2 * (i % 2));
#if defined(__CUDACC__)
    reinterpret_cast<uint4*>(to)[0] = uint4{pairs[0], pairs[1], pairs[2], pairs[3]};
    reinterpret_cast<uint4*>(to)[1] = uint4{pairs[4], pairs[5], pairs[6], pairs[7]};
#else
    std::memcpy(to, pairs, 32);
#endif
  }

  // Q K^T of the warp's rows and the tile's tokens, scaled and masked.
  BS_DEVICE static void scoreTile(const AttentionParams& p, const WorkItem& item, const KvTile& tile,
                                  const Buffers& buffers, int warp, PerLane<FragmentD> (&scores)[kMTiles][kScores]) {
BS_UNROLL
    for (int m = 0; m < kMTiles; ++m)
BS_UNROLL
      for (int n = 0; n < kScores; ++n) forLanes([&](int lane) { scores[m][n][lane] = FragmentD{{0, 0, 0, 0}}; });
    const unsigned char* queries = buffers.queries + warp * kWarpRows * kStride;
BS_UNROLL
    for (int k = 0; k < kDim / 16; ++k) {
      PerLane<FragmentA> a[kMTiles];
BS_UNROLL
      for (int m = 0; m < kMTiles; ++m) {
        // Matrices: rows 0-7 and 8-15 of dims 0-7, then of dims 8-15.
        PerLane<const unsigned char*> rows;
        PerLane<Words4> words;
        forLanes([&](int lane) {
          rows[lane] = queries + (16 * m + lane % 16) * kStride + 32 * k + 16 * (lane / 16);
        });
        loadMatrices<false>(words, rows);
        forLanes([&](int lane) {
          const uint32_t* word = words[lane].word;
          a[m][lane] = FragmentA{{word[0], word[1], word[2], word[3]}};
        });
      }
BS_UNROLL
      for (int n = 0; n < kScores; n += 2) {
        // Matrices: tokens 0-7 of dims 0-7 and 8-15, then tokens 8-15.
        PerLane<const unsigned char*> rows;
        PerLane<Words4> words;
        forLanes([&](int lane) {
          rows[lane] = buffers.keys + (8 * n + lane % 8 + 8 * (lane / 16)) * kStride + 32 * k + 16 * (lane / 8 % 2);
        });
        loadMatrices<false>(words, rows);
BS_UNROLL
        for (int half = 0; half < 2; ++half) {
          PerLane<FragmentB> b;
          forLanes([&](int lane) { b[lane] = FragmentB{{words[lane].word[2 * half], words[lane].word[2 * half + 1]}}; });
BS_UNROLL
          for (int m = 0; m < kMTiles; ++m) multiplyAccumulate<C>(scores[m][n + half], a[m], b);
        }
      }
    }
    const Visibility visibility{tile.position, item.promptPosition, p.window, p.group(), item.firstPacked + warp * kWarpRows};
    shapeScores<kInt8, kMTiles, kScores>(p, visibility, 0, tile.tokens, buffers.scales, scores);
  }

  BS_DEVICE static void soften(const KvTile& tile, const Buffers& buffers, State& state,
                               PerLane<FragmentD> (&scores)[kMTiles][kScores],
                               PerLane<FragmentA> (&probabilities)[kRuns][kMTiles]) {
    PerLane<float> unitChange;
    PerLane<float> columnScale[kScores][2];
    if constexpr (kInt8)
      raiseUnit<kMTiles, kBlocks, kScores>(state, buffers.scales + kTileTokens, tile.tokens, unitChange, columnScale);
    updateSoftmax<C, kInt8, kMTiles, kBlocks, kScores>(state, scores, unitChange, columnScale, probabilities);
  }

  BS_DEVICE static void addValues(const KvTile& tile, const Buffers& buffers, const PerLane<FragmentA> (&probabilities)[kRuns][kMTiles],
                                  State& state) {
BS_UNROLL
    for (int r = 0; r < kRuns; ++r) {
      if (16 * r >= tile.tokens) break;
BS_UNROLL
      for (int b = 0; b < kBlocks; b += 2) {
        // Matrices, transposed: tokens 0-7 and 8-15 of dims 0-7, then of dims 8-15.
        PerLane<const unsigned char*> rows;
        PerLane<Words4> words;
        forLanes([&](int lane) { rows[lane] = buffers.values + (16 * r + lane % 16) * kStride + 16 * (b + lane / 16); });
        loadMatrices<true>(words, rows);
BS_UNROLL
        for (int half = 0; half < 2; ++half) {
          PerLane<FragmentB> fragment;
          forLanes([&](int lane) {
            fragment[lane] = FragmentB{{words[lane].word[2 * half], words[lane].word[2 * half + 1]}};
          });
BS_UNROLL
          for (int m = 0; m < kMTiles; ++m) multiplyAccumulate<C>(state.accumulator[m][b + half], probabilities[r][m], fragment);
        }
      }
    }
  }

  BS_DEVICE static void writeRows(const AttentionParams& p, const WorkItem& item, int kvHead, int warp, int rows, State& state) {
BS_UNROLL
    for (int m = 0; m < kMTiles; ++m)
BS_UNROLL
      for (int b = 0; b < kBlocks; ++b)
        forLanes([&](int lane) {
BS_UNROLL
          for (int i = 0; i < 4; ++i) {
            const int row = warp * kWarpRows + 16 * m + lane / 4 + 8 * (i / 2);
            if (row >= rows) continue;
            float value = state.accumulator[m][b][lane].value[i];
            if constexpr (kInt8) value *= state.unit[lane];
            writeResult(p, item, kvHead, row, 8 * b + 2 * (lane % 4) + i % 2, value, state.top[m][i / 2][lane],
                        state.sum[m][i / 2][lane]);
          }
        });
  }
};

}  // namespace blockstitch::cuda
