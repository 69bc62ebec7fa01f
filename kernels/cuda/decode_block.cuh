// Decode: up to 16 packed query rows (one or a few new tokens times the query heads of a group) against a run of tiles.
// Bound by the bytes of KV: each warp of a block takes its own tiles and reads keys and values straight from their pages
// into matrix fragments, 16 bytes a lane, with no shared memory and no barrier in between; the warps' results are merged
// at the end, the splits' results by the combine kernel (flash decoding). The query is rotated again only where the
// segment changes.
#pragma once

#include "result_writer.cuh"
#include "warp_attention.cuh"

namespace blockstitch::cuda {

template <class C_, int kDim, bool kKvInt8>
struct DecodeBlock {
  using C = C_;
  using Shape = AttentionShape<C, kDim, kKvInt8, 1>;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr int kQueryBytes = Shape::kRows * scoreRowStride<Shape::kPad, 2>();
  static constexpr int kMergeFloats = Shape::kRows * (kDim + 2);
  static constexpr int kMergeBytes = kWarps * kMergeFloats * 4;
  static constexpr int kSharedBytes =
      kWarps * kQueryBytes > kMergeBytes ? kWarps * kQueryBytes : kMergeBytes;

  // One block: work item `index`, kv head `kvHead`. `shared`: kSharedBytes, aligned to 16.
  BS_DEVICE static void run(const AttentionParams& p, int index, int kvHead, unsigned char* shared) {
    const WorkItem item = p.decode[index];
    PerWarp<WarpState<Shape>, kWarps> states;
    forWarps<kWarps>([&](int warp) { attendTiles(p, item, kvHead, warp, shared + warp * kQueryBytes, states[warp]); });
    blockBarrier();  // queries are done with: their memory now takes the warps' results
    float* merge = reinterpret_cast<float*>(shared);
    forWarps<kWarps>([&](int warp) {
      float* mine = merge + warp * kMergeFloats;
      forEachAccumulator<Shape>(states[warp], [&](int row, int dim, float value, float top, float sum) {
        mine[row * (kDim + 2) + dim] = value;
        if (dim == 0) {
          mine[row * (kDim + 2) + kDim] = top;
          mine[row * (kDim + 2) + kDim + 1] = sum;
        }
      });
    });
    blockBarrier();
    forThreads<kThreads>([&](int thread) {
      for (int i = thread; i < Shape::kRows * kDim; i += kThreads) mergeElement(p, item, kvHead, merge, i / kDim, i % kDim);
    });
  }

 private:
  BS_DEVICE static void attendTiles(const AttentionParams& p, const WorkItem& item, int kvHead, int warp,
                                    unsigned char* queries, WarpState<Shape>& state) {
    state.clear();
    int rotatedFor = -1;
    for (int t = item.tileBegin + warp; t < item.tileEnd; t += kWarps) {
      const KvTile tile = p.tiles[t];
      if (tile.delta != rotatedFor) {
        warpBarrier();
        forLanes([&](int lane) {
          rotateQueries<C, kDim, Shape::kPad>(p, item, kvHead, tile.delta, Shape::kRows, queries, lane, kWarpLanes);
        });
        warpBarrier();
        rotatedFor = tile.delta;
      }
      const bool needsMask = tile.causalStart >= 0 || p.window > 0;
      const Visibility visibility{tile.causalStart, tile.position, p.window,         item.past,
                                  item.position,    p.group(),     item.firstPacked, item.rows * p.group()};
      for (int first = 0; first < tile.tokens; first += 16)
        attendTokens<Shape>(p, queries, pageRun(p, kvHead, tile, first), visibility, first, needsMask, state);
    }
  }

  // Tokens first .. first+15 of a tile, where they lie in their page.
  BS_DEVICE static TokenRun pageRun(const AttentionParams& p, int kvHead, const KvTile& tile, int first) {
    const int page = tile.pages[first / p.layout.pageTokens];
    const int slot = first % p.layout.pageTokens;
    TokenRun run;
    run.keys = p.pool + p.layout.elementOffset(page, p.layer, 0, kvHead, slot);
    run.values = p.pool + p.layout.elementOffset(page, p.layer, 1, kvHead, slot);
    run.keyScales = reinterpret_cast<const float*>(p.pool + p.layout.scaleOffset(page, p.layer, 0, kvHead, slot));
    run.valueScales = reinterpret_cast<const float*>(p.pool + p.layout.scaleOffset(page, p.layer, 1, kvHead, slot));
    run.keyStride = static_cast<int>(p.layout.rowBytes());
    run.valueStride = run.keyStride;
    run.tokens = tile.tokens - first < 16 ? tile.tokens - first : 16;
    return run;
  }

  BS_DEVICE static void mergeElement(const AttentionParams& p, const WorkItem& item, int kvHead, const float* merge,
                                     int row, int dim) {
    float top = kMinusInfinity;
    for (int w = 0; w < kWarps; ++w) top = fmaxf(top, merge[w * kMergeFloats + row * (kDim + 2) + kDim]);
    float value = 0;
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) {
      const float* mine = merge + w * kMergeFloats + row * (kDim + 2);
      if (mine[kDim] == kMinusInfinity) continue;
      const float weight = exp2Fast(mine[kDim] - top);
      value += weight * mine[dim];
      sum += weight * mine[kDim + 1];
    }
    writeResult<C>(p, item, kvHead, row, dim, value, top, sum);
  }
};

}  // namespace blockstitch::cuda
