// Prefill: many packed query rows against a run of tiles. Bound by the tensor cores: the block's four warps share one
// tile of keys and values in shared memory, brought by asynchronous copies. Keys of the next tile travel while this tile's
// values are multiplied, values while the scores are computed, so one buffer of each is enough and two blocks fit on
// a processor. Tiles never cross a segment; where the segment changes the queries are rotated again.
#pragma once

#include "result_writer.cuh"
#include "warp_attention.cuh"

namespace blockstitch::cuda {

// Row stride of values in shared memory: 16 modulo 128, so that eight lanes reading rows 0, 2, 4, 6 hit all banks once.
template <int kElements, int kBytes>
constexpr int valueRowStride() {
  return (kElements * kBytes + 111) / 128 * 128 + 16;
}

template <class C_, int kDim, bool kKvInt8>
struct PrefillBlock {
  using C = C_;
  static constexpr int kMTiles = kDim > 128 ? 1 : 2;
  using Shape = AttentionShape<C, kDim, kKvInt8, kMTiles>;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr int kRows = kWarps * Shape::kRows;  // packed rows of a work item
  static constexpr int kTileTokens = kDim > 128 ? 32 : 64;
  static constexpr int kQueryStride = scoreRowStride<Shape::kPad, 2>();
  static constexpr int kKeyStride = scoreRowStride<Shape::kDim, Shape::kElementBytes>();
  static constexpr int kValueStride = valueRowStride<Shape::kDim, Shape::kElementBytes>();
  static constexpr int kQueryBytes = kRows * kQueryStride;
  static constexpr int kKeyBytes = kTileTokens * kKeyStride;
  static constexpr int kValueBytes = kTileTokens * kValueStride;
  static constexpr int kScaleBytes = kKvInt8 ? 2 * kTileTokens * 4 : 0;
  static constexpr int kSharedBytes = kQueryBytes + kKeyBytes + kValueBytes + kScaleBytes;

  // One block: work item `index`, kv head `kvHead`. `shared`: kSharedBytes, aligned to 16.
  BS_DEVICE static void run(const AttentionParams& p, int index, int kvHead, unsigned char* shared) {
    const WorkItem item = p.prefill[index];
    const Buffers buffers{shared, shared + kQueryBytes, shared + kQueryBytes + kKeyBytes,
                          reinterpret_cast<float*>(shared + kQueryBytes + kKeyBytes + kValueBytes)};
    PerWarp<WarpState<Shape>, kWarps> states;
    forWarps<kWarps>([&](int warp) { states[warp].clear(); });
    copyTile(p, kvHead, p.tiles[item.tileBegin], 0, buffers.keys, kKeyStride, buffers.scales);
    int rotatedFor = -1;
    for (int t = item.tileBegin; t < item.tileEnd; ++t) {
      const KvTile tile = p.tiles[t];
      if (tile.delta != rotatedFor) {
        forThreads<kThreads>([&](int thread) {
          rotateQueries<C, kDim, Shape::kPad>(p, item, kvHead, tile.delta, kRows, buffers.queries, thread, kThreads);
        });
        rotatedFor = tile.delta;
      }
      copyTile(p, kvHead, tile, 1, buffers.values, kValueStride, buffers.scales + kTileTokens);
      waitAsyncCopies<1>();
      blockBarrier();  // this tile's keys and the queries are there
      attendTile(p, item, tile, buffers, states, [&] {
        waitAsyncCopies<0>();
        blockBarrier();  // this tile's values are there, and nobody reads its keys any more
        if (t + 1 < item.tileEnd) copyTile(p, kvHead, p.tiles[t + 1], 0, buffers.keys, kKeyStride, buffers.scales);
      });
      blockBarrier();  // nobody reads this tile's values any more
    }
    forWarps<kWarps>([&](int warp) {
      forEachAccumulator<Shape>(states[warp], [&](int row, int dim, float value, float top, float sum) {
        writeResult<C>(p, item, kvHead, warp * Shape::kRows + row, dim, value, top, sum);
      });
    });
  }

 private:
  struct Buffers {
    unsigned char* queries;
    unsigned char* keys;
    unsigned char* values;
    float* scales;  // keys' [kTileTokens], then values'
  };

  // Starts copying keys (isValue 0) or values (1) of a tile; rows past its tokens become zero.
  BS_DEVICE static void copyTile(const AttentionParams& p, int kvHead, const KvTile& tile, int isValue,
                                 unsigned char* target, int stride, float* scales) {
    constexpr int kChunks = Shape::kDim * Shape::kElementBytes / 16;
    forThreads<kThreads>([&](int thread) {
      for (int i = thread; i < kTileTokens * kChunks; i += kThreads) {
        const int token = i / kChunks;
        const int chunk = i % kChunks;
        const int page = tile.pages[token / p.layout.pageTokens < kMaxTilePages ? token / p.layout.pageTokens : 0];
        const int64_t from = p.layout.elementOffset(page, p.layer, isValue, kvHead, token % p.layout.pageTokens);
        copyAsync16(target + token * stride + 16 * chunk, p.pool + from + 16 * chunk, token < tile.tokens);
      }
      if constexpr (kKvInt8) {
        for (int token = thread; token < kTileTokens; token += kThreads) {
          const int page = tile.pages[token / p.layout.pageTokens];
          const int64_t from = p.layout.scaleOffset(page, p.layer, isValue, kvHead, token % p.layout.pageTokens);
          scales[token] = token < tile.tokens ? *reinterpret_cast<const float*>(p.pool + from) : 0.0f;
        }
      }
    });
    commitAsyncCopies();
  }

  // Scores of the whole tile first, `valuesReady` once, then the values: what lets the copies overlap.
  template <class F>
  BS_DEVICE static void attendTile(const AttentionParams& p, const WorkItem& item, const KvTile& tile,
                                   const Buffers& buffers, PerWarp<WarpState<Shape>, kWarps>& states, F&& valuesReady) {
    constexpr int kRuns = kTileTokens / 16;
    PerWarp<PerLane<FragmentA>[kRuns][kMTiles], kWarps> probabilities;
    forWarps<kWarps>([&](int warp) {
      const Visibility visibility{tile.causalStart, tile.position, p.window, item.past, item.position, p.group(),
                                  item.firstPacked + warp * Shape::kRows, item.rows * p.group()};
      const bool needsMask = p.window > 0 || (tile.causalStart >= 0 &&
                             tile.causalStart + tile.tokens - 1 > item.past + visibility.firstPacked / visibility.group);
      scoreTile<Shape, kRuns>(p, buffers.queries + warp * Shape::kRows * kQueryStride, keyRun(buffers, tile),
                              visibility, needsMask, states[warp], probabilities[warp]);
    });
    valuesReady();
    forWarps<kWarps>([&](int warp) {
#pragma unroll
      for (int r = 0; r < kRuns; ++r) {
        if (16 * r < tile.tokens) addValues<Shape>(states[warp], runOf(keyRun(buffers, tile), r), probabilities[warp][r]);
      }
    });
  }

  BS_DEVICE static TokenRun keyRun(const Buffers& buffers, const KvTile& tile) {
    return {buffers.keys, buffers.values, buffers.scales, buffers.scales + kTileTokens, kKeyStride, kValueStride, tile.tokens};
  }
};

}  // namespace blockstitch::cuda
