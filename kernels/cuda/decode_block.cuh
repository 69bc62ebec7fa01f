// Decode: up to 16 packed query rows (one or a few new tokens times the query heads of a group) against a run of tiles.
// The bytes of KV bound its speed. Each warp of a block takes its own tiles and reads keys and values straight from their
// pages into matrix fragments, 16 bytes a lane, without shared memory or barriers. The warps' results are merged at the
// end; the combine kernel merges the splits' results (flash decoding). The query is rotated again only where the segment
// changes.
//
// Dims are taken in an order that suits memory. A dot product does not care in which order its dims are summed, so lane
// (g, q) takes 8 neighbouring dims 32k + 8q .. +7 of key row g: 16 bytes, which serve two products as their two pairs each.
// Output columns may be permuted too: in a group of 64 dims lane (g, q) reads 8 neighbouring dims 64u + 8g .. +7 of value
// rows 2q, 2q+1, 2q+8, 2q+9; product b of the group then computes dims 64u + 8g + b, and a lane ends with runs of 8
// neighbouring dims. So neither keys nor values need a transposed load. head_dim 80 and 96 end with a group of 32 (runs of 4).
#pragma once

#include "online_softmax.cuh"
#include "query_rotation.cuh"

namespace blockstitch::cuda {

// Eight cached elements (four in a narrow group) as they lie in memory.
template <bool kInt8>
struct RawElements {
  uint32_t word[kInt8 ? 2 : 4];
};

// `kBytes` (16, 8 or 4) from global memory that no later step of this kernel writes.
template <int kBytes>
BS_DEVICE void loadGlobal(const unsigned char* from, uint32_t* word) {
#if defined(__CUDACC__)
  if constexpr (kBytes == 16)
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "l"(from));
  else if constexpr (kBytes == 8)
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v2.u32 {%0,%1}, [%2];\n"
                 : "=r"(word[0]), "=r"(word[1]) : "l"(from));
  else
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.u32 %0, [%1];\n" : "=r"(word[0]) : "l"(from));
#else
  std::memcpy(word, from, kBytes);
#endif
}

template <class C, int kDim, bool kInt8>
struct DecodeBlock {
  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarpLanes;
  static constexpr int kPad = (kDim + 31) / 32 * 32;
  static constexpr int kKeyGroups = kPad / 32;
  static constexpr int kValueGroups = (kPad + 63) / 64;
  static constexpr int kBlocks = kPad / 8;
  static constexpr int kElementBytes = kInt8 ? 1 : 2;
  static constexpr int kRunTokens = 16;
  // The registers cannot hold keys and values of a run at once where heads are larger.
  static constexpr bool kValuesAhead = kPad <= 128;
  // Blocks on a processor at once. Their loads keep memory busy.
  static constexpr int kBlocksAtOnce = kPad <= 128 ? 3 : 2;
  // 64 modulo 128: the 16-byte reads of eight lanes (two rows, four column groups) touch all banks once.
  static constexpr int kQueryStride = (2 * kPad + 63) / 128 * 128 + 64;
  static constexpr int kQueryBytes = kDecodeRows * kQueryStride;
  static constexpr int kMergeRow = kDim + 2;
  static constexpr int kMergeFloats = kDecodeRows * kMergeRow;
  static constexpr int kSharedBytes =
      kWarps * (kQueryBytes > kMergeFloats * 4 ? kQueryBytes : kMergeFloats * 4);

  // One block: work item `index`, kv head `kvHead`. `shared`: kSharedBytes, aligned to 16.
  BS_DEVICE static void run(const AttentionParams& p, int index, int kvHead, unsigned char* shared) {
    const WorkItem item = p.decode[index];
    const int left = item.rows * p.group() - item.firstPacked;
    const int rows = left < kDecodeRows ? left : kDecodeRows;
    const int perWarp = (item.tileEnd - item.tileBegin + kWarps - 1) / kWarps;
    PerWarp<State, kWarps> states;
    forWarps<kWarps>([&](int warp) {
      const int begin = item.tileBegin + warp * perWarp;
      const int end = begin + perWarp < item.tileEnd ? begin + perWarp : item.tileEnd;
      attendTiles(p, item, rows, kvHead, begin, end, shared + warp * kQueryBytes, states[warp]);
    });
    blockBarrier();  // the queries are no longer needed: the warps' results take their memory
    float* merge = reinterpret_cast<float*>(shared);
    forWarps<kWarps>([&](int warp) { leaveResult(states[warp], rows, merge + warp * kMergeFloats); });
    blockBarrier();
    forThreads<kThreads>([&](int thread) {
      for (int i = thread; i < rows * kDim; i += kThreads) mergeElement(p, item, kvHead, merge, i / kDim, i % kDim);
    });
  }

 private:
  using State = SoftmaxState<1, kBlocks>;
  using Raw = RawElements<kInt8>;

  // 16 neighbouring cached tokens at one layer and kv head.
  struct Run {
    const unsigned char* keys;
    const unsigned char* values;
    const float* keyScales;  // int8 only
    const float* valueScales;
    int tokens;  // valid ones, 1..16
  };

  BS_DEVICE static void attendTiles(const AttentionParams& p, const WorkItem& item, int rows, int kvHead, int begin,
                                    int end, unsigned char* queries, State& state) {
    state.clear();
    if (begin >= end) return;
    forLanes([&](int lane) {  // rows and dims that do not exist stay zero
      for (int i = lane; i < kQueryBytes / 4; i += kWarpLanes) reinterpret_cast<uint32_t*>(queries)[i] = 0;
    });
    int rotatedFor = -1;
    for (int t = begin; t < end; ++t) {
      const KvTile tile = p.tiles[t];
      if (tile.delta != rotatedFor) {
        warpBarrier();
        forLanes([&](int lane) {
          rotateQueries<C, kDim>(p, item, item.firstPacked, kvHead, tile.delta, rows, queries, kQueryStride, lane, kWarpLanes);
        });
        warpBarrier();
        rotatedFor = tile.delta;
      }
      const Visibility visibility{tile.position, item.promptPosition, p.window, p.group(), item.firstPacked};
      for (int first = 0; first < tile.tokens; first += kRunTokens)
        attendRun(p, queries, pageRun(p, kvHead, tile, first), visibility, first, tile.tokens, state);
    }
  }

  // Tokens first .. first+15 of a tile, where they lie in their page.
  BS_DEVICE static Run pageRun(const AttentionParams& p, int kvHead, const KvTile& tile, int first) {
    const int page = pageOf(tile, first / p.layout.pageTokens);
    const int slot = first % p.layout.pageTokens;
    return {p.pool + p.layout.elementOffset(page, p.layer, 0, kvHead, slot),
            p.pool + p.layout.elementOffset(page, p.layer, 1, kvHead, slot),
            reinterpret_cast<const float*>(p.pool + p.layout.scaleOffset(page, p.layer, 0, kvHead, slot)),
            reinterpret_cast<const float*>(p.pool + p.layout.scaleOffset(page, p.layer, 1, kvHead, slot)),
            tile.tokens - first < kRunTokens ? tile.tokens - first : kRunTokens};
  }

  // One online-softmax update with the tokens of a run. `first`: its first token counted in its tile of `tileTokens`.
  BS_DEVICE static void attendRun(const AttentionParams& p, const unsigned char* queries, const Run& run,
                                  const Visibility& visibility, int first, int tileTokens, State& state) {
    PerLane<Raw> keys[kKeyGroups][2];
    loadKeys(run, keys);
    PerLane<Raw> values[kValuesAhead ? kValueGroups : 1][4];
    if constexpr (kValuesAhead) {
BS_UNROLL
      for (int u = 0; u < kValueGroups; ++u) loadValues(run, u, values[u]);
    }
    PerLane<FragmentD> scores[1][2];
    score(queries, keys, scores[0]);
    shapeScores<kInt8, 1, 2>(p, visibility, first, tileTokens, run.keyScales, scores);
    PerLane<float> unitChange;
    PerLane<float> columnScale[2][2];
    if constexpr (kInt8) raiseUnit<1, kBlocks, 2>(state, run.valueScales, run.tokens, unitChange, columnScale);
    PerLane<FragmentA> probabilities[1][1];
    updateSoftmax<C, kInt8, 1, kBlocks, 2>(state, scores, unitChange, columnScale, probabilities);
BS_UNROLL
    for (int u = 0; u < kValueGroups; ++u) {
      if constexpr (!kValuesAhead) loadValues(run, u, values[0]);
      addValues(values[kValuesAhead ? u : 0], u, probabilities[0][0], state);
    }
  }

  BS_DEVICE static void loadKeys(const Run& run, PerLane<Raw> (&keys)[kKeyGroups][2]) {
BS_UNROLL
    for (int n = 0; n < 2; ++n)
BS_UNROLL
      for (int k = 0; k < kKeyGroups; ++k)
        forLanes([&](int lane) {
          const int token = 8 * n + lane / 4;
          const int dim = 32 * k + 8 * (lane % 4);
          keys[k][n][lane] = Raw{};
          if (token < run.tokens && dim < kDim)
            loadGlobal<8 * kElementBytes>(run.keys + (token * kDim + dim) * kElementBytes, keys[k][n][lane].word);
        });
  }

  BS_DEVICE static constexpr bool isWide(int group) { return 64 * group + 64 <= kPad; }

  // Value rows 2q, 2q+1, 2q+8, 2q+9 of group u.
  BS_DEVICE static void loadValues(const Run& run, int u, PerLane<Raw> (&values)[4]) {
BS_UNROLL
    for (int r = 0; r < 4; ++r)
      forLanes([&](int lane) {
        const int token = 2 * (lane % 4) + r % 2 + 8 * (r / 2);
        const int dim = 64 * u + (isWide(u) ? 8 : 4) * (lane / 4);
        values[r][lane] = Raw{};
        if (token >= run.tokens || dim >= kDim) return;
        const unsigned char* from = run.values + (token * kDim + dim) * kElementBytes;
        if (isWide(u)) loadGlobal<8 * kElementBytes>(from, values[r][lane].word);
        else loadGlobal<4 * kElementBytes>(from, values[r][lane].word);
      });
  }

  // Pair `pair` (0..3) of raw elements as operands of C.
  BS_DEVICE static uint32_t pairOf(const Raw& raw, int pair) {
    if constexpr (kInt8) return packBytes<C>(raw.word[pair / 2], 2 * (pair % 2));
    else return raw.word[pair];
  }

  BS_DEVICE static void score(const unsigned char* queries, const PerLane<Raw> (&keys)[kKeyGroups][2],
                              PerLane<FragmentD> (&scores)[2]) {
BS_UNROLL
    for (int n = 0; n < 2; ++n) forLanes([&](int lane) { scores[n][lane] = FragmentD{{0, 0, 0, 0}}; });
BS_UNROLL
    for (int k = 0; k < kKeyGroups; ++k) {
      PerLane<Words4> upper, lower;
      forLanes([&](int lane) {
        const unsigned char* row = queries + (lane / 4) * kQueryStride + 2 * (32 * k + 8 * (lane % 4));
        upper[lane] = loadShared16(row);
        lower[lane] = loadShared16(row + 8 * kQueryStride);
      });
BS_UNROLL
      for (int half = 0; half < 2; ++half) {
        PerLane<FragmentA> a;
        forLanes([&](int lane) {
          a[lane] = FragmentA{{upper[lane].word[2 * half], lower[lane].word[2 * half], upper[lane].word[2 * half + 1],
                               lower[lane].word[2 * half + 1]}};
        });
BS_UNROLL
        for (int n = 0; n < 2; ++n) {
          PerLane<FragmentB> b;
          forLanes([&](int lane) {
            b[lane] = FragmentB{{pairOf(keys[k][n][lane], 2 * half), pairOf(keys[k][n][lane], 2 * half + 1)}};
          });
          multiplyAccumulate<C>(scores[n], a, b);
        }
      }
    }
  }

  BS_DEVICE static Words4 loadShared16(const unsigned char* from) {
    Words4 words;
#if defined(__CUDACC__)
    const uint4 loaded = *reinterpret_cast<const uint4*>(from);
    words = Words4{{loaded.x, loaded.y, loaded.z, loaded.w}};
#else
    std::memcpy(words.word, from, 16);
#endif
    return words;
  }

  // Adds P V of a run's 16 tokens for the dims of group u.
  BS_DEVICE static void addValues(const PerLane<Raw> (&values)[4], int u, const PerLane<FragmentA>& probabilities,
                                  State& state) {
BS_UNROLL
    for (int b = 0; b < 8; ++b) {
      if (!isWide(u) && b >= 4) break;
      PerLane<FragmentB> fragment;
      forLanes([&](int lane) {
        uint32_t pair[4];
BS_UNROLL
        for (int r = 0; r < 4; ++r) pair[r] = pairOf(values[r][lane], b / 2);
        fragment[lane] = b % 2 == 0 ? FragmentB{{pairLows(pair[0], pair[1]), pairLows(pair[2], pair[3])}}
                                    : FragmentB{{pairHighs(pair[0], pair[1]), pairHighs(pair[2], pair[3])}};
      });
      multiplyAccumulate<C>(state.accumulator[0][8 * u + b], probabilities, fragment);
    }
  }

  // The warp's rows into shared memory: [row][dim], then maximum and sum.
  BS_DEVICE static void leaveResult(State& state, int rows, float* mine) {
BS_UNROLL
    for (int block = 0; block < kBlocks; ++block)
      forLanes([&](int lane) {
        const int u = block / 8;
        const int run = isWide(u) ? 8 : 4;
BS_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int row = lane / 4 + 8 * (i / 2);
          const int dim = 64 * u + run * (2 * (lane % 4) + i % 2) + block % 8;
          if (row >= rows || dim >= kDim) continue;
          float value = state.accumulator[0][block][lane].value[i];
          if constexpr (kInt8) value *= state.unit[lane];
          mine[row * kMergeRow + dim] = value;
          if (dim == 0) {
            mine[row * kMergeRow + kDim] = state.top[0][i / 2][lane];
            mine[row * kMergeRow + kDim + 1] = state.sum[0][i / 2][lane];
          }
        }
      });
  }

  BS_DEVICE static void mergeElement(const AttentionParams& p, const WorkItem& item, int kvHead, const float* merge,
                                     int row, int dim) {
    float top = kMinusInfinity;
BS_UNROLL
    for (int w = 0; w < kWarps; ++w) top = fmaxf(top, merge[w * kMergeFloats + row * kMergeRow + kDim]);
    float value = 0;
    float sum = 0;
BS_UNROLL
    for (int w = 0; w < kWarps; ++w) {
      const float* mine = merge + w * kMergeFloats + row * kMergeRow;
      if (mine[kDim] == kMinusInfinity) continue;
      const float weight = exp2Fast(mine[kDim] - top);
      value += weight * mine[dim];
      sum += weight * mine[kDim + 1];
    }
    writeResult(p, item, kvHead, row, dim, value, top, sum);
  }
};

}  // namespace blockstitch::cuda
