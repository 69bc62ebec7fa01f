// attendTile over a vector type `Vec`: included by one file per instruction set.
// A (query vector, token) score and a (query vector, dim) sum are each one chain of multiply-adds in a fixed order, so
// grouping query vectors to fill registers never changes a bit of the result.
#pragma once

#include <cmath>
#include <cstdint>

#include "attention_kernels.h"
#include "exponential.h"
#include "read_ahead.h"
#include "unroll.h"

namespace blockstitch {

template <typename Vec>
class TileKernel {
  static constexpr size_t kLanes = Vec::kLanes;
  static constexpr size_t kCellVecs = kCellTokens / kLanes;
  static constexpr size_t kTileVecs = kTileTokens / kLanes;
  /// Query vectors that are handled together. Their accumulators and operands fill the register file.
  static constexpr size_t kMaxGroup = 7;
  /// Dims and value rows between two looks ahead. Every head has a multiple of these dims.
  static constexpr size_t kDimStep = 8;
  static constexpr size_t kRowStep = 4;

 public:
  static void attend(KvDtype dtype, const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                     const SoftmaxState& state) {
    switch (dtype) {
      case KvDtype::kFloat32: return attendAs<float>(tile, ahead, query, rules, state);
      case KvDtype::kFloat16: return attendAs<Half>(tile, ahead, query, rules, state);
      case KvDtype::kBfloat16: return attendAs<Bfloat16>(tile, ahead, query, rules, state);
      case KvDtype::kInt8: return attendAs<int8_t>(tile, ahead, query, rules, state);
    }
  }

  static void join(const SoftmaxState& into, const SoftmaxState& from, size_t vectors, size_t dim) {
    for (size_t first = 0; first < vectors; first += kLanes) {
      const size_t count = vectors - first < kLanes ? vectors - first : kLanes;
      alignas(64) float before[kLanes] = {}, other[kLanes] = {}, kept[kLanes], taken[kLanes];
      std::copy(into.maximum + first, into.maximum + first + count, before);
      std::copy(from.maximum + first, from.maximum + first + count, other);
      const Vec maximum = Vec::max(Vec::load(before), Vec::load(other));
      exponential(Vec::load(before) - maximum).write(kept);
      exponential(Vec::load(other) - maximum).write(taken);
      maximum.write(before);
      for (size_t i = 0; i < count; i++) {
        const size_t v = first + i;
        into.maximum[v] = before[i];
        into.sum[v] = into.sum[v] * kept[i] + from.sum[v] * taken[i];
        const Vec keep = Vec::broadcast(kept[i]), take = Vec::broadcast(taken[i]);
        for (size_t d = v * dim; d < (v + 1) * dim; d += kLanes) {
          Vec::multiplyAdd(Vec::load(from.accumulator + d), take, Vec::load(into.accumulator + d) * keep).write(into.accumulator + d);
        }
      }
    }
  }

  static void rotateHalves(const float* from, size_t fromStride, const float* cos, const float* sin, size_t half,
                           size_t heads, float scale, float* to, size_t toStride) {
    const Vec factor = Vec::broadcast(scale);
    size_t i = 0;
    for (; i + kLanes <= half; i += kLanes) {
      const Vec c = Vec::load(cos + i);
      const Vec s = Vec::load(sin + i);
      for (size_t head = 0; head < heads; head++) {
        const Vec x = Vec::load(from + head * fromStride + i) * factor;
        const Vec y = Vec::load(from + head * fromStride + half + i) * factor;
        (x * c - y * s).write(to + head * toStride + i);
        (y * c + x * s).write(to + head * toStride + half + i);
      }
    }
    for (; i < half; i++) {
      for (size_t head = 0; head < heads; head++) {
        const float x = from[head * fromStride + i] * scale;
        const float y = from[head * fromStride + half + i] * scale;
        to[head * toStride + i] = x * cos[i] - y * sin[i];
        to[head * toStride + half + i] = y * cos[i] + x * sin[i];
      }
    }
  }

 private:
  template <typename Element>
  static void attendAs(const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                       const SoftmaxState& state) {
    // The first pass asks for what comes after the tile; later passes find all of it in the cache.
    ReadAhead nothing;
    for (size_t first = 0, count = 0; first < query.vectors; first += count) {
      count = groupSize(query.vectors, first);
      ReadAhead& follower = first == 0 ? ahead : nothing;
      switch (count) {
        case 1: attendGroup<Element, 1>(tile, follower, query, rules, state, first); break;
#if !defined(__SANITIZE_ADDRESS__)
        case 2: attendGroup<Element, 2>(tile, follower, query, rules, state, first); break;
        case 3: attendGroup<Element, 3>(tile, follower, query, rules, state, first); break;
        case 4: attendGroup<Element, 4>(tile, follower, query, rules, state, first); break;
        case 5: attendGroup<Element, 5>(tile, follower, query, rules, state, first); break;
        case 6: attendGroup<Element, 6>(tile, follower, query, rules, state, first); break;
#endif
        default: attendGroup<Element, kMaxGroup>(tile, follower, query, rules, state, first); break;
      }
    }
  }

  /// Query vectors of the group that begins at `first`. Groups are as even as they can be. Sanitized builds have only the
  /// smallest and the largest size, because each size takes the compiler long there. The result is the same.
  static size_t groupSize(size_t vectors, size_t first) {
    const size_t left = vectors - first;
#if defined(__SANITIZE_ADDRESS__)
    return left >= kMaxGroup ? kMaxGroup : 1;
#else
    const size_t groups = (left + kMaxGroup - 1) / kMaxGroup;
    return (left + groups - 1) / groups;
#endif
  }

  template <typename Element, size_t kVectors>
  static void attendGroup(const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                          const SoftmaxState& state, size_t first) {
    alignas(64) float scores[kVectors][kTileTokens];
    const size_t cells = (tile.tokens + kCellTokens - 1) / kCellTokens;
    score<Element, kVectors>(tile, ahead, cells, query.rotated + first * kQueryStride, rules.headDim, scores);
    bool any = false;
    for (size_t v = 0; v < kVectors; v++) {
      const SeenTokens visible = seenOf(tile, rules, query.reach[first + v]);
      if (visible.end > 0) {
        mask(cells, rules.softcap, visible, scores[v]);
        soften(tile, cells, std::is_same<Element, int8_t>::value, rules.headDim, state, first + v, visible, scores[v]);
        any = true;
      } else {
        std::fill(scores[v], scores[v] + cells * kCellTokens, 0.0f);
      }
    }
    if (any) addValues<Element, kVectors>(tile, ahead, rules.headDim, scores, state.accumulator + first * rules.headDim);
  }

  /// scores[v][t] = <query v, key t>, one multiply-add chain over the dims.
  template <typename Element, size_t kVectors>
  static void score(const Tile& tile, ReadAhead& ahead, size_t cells, const float* query, size_t dim,
                    float (*scores)[kTileTokens]) {
    // Cells at once: enough chains to hide a multiply-add's latency, and few enough sums for the register file.
    constexpr size_t kStep = kVectors == 1 ? 4 : kVectors <= 3 || Vec::kRegisters >= 32 ? 2 : 1;
    size_t cell = 0;
    for (; cell + kStep <= cells; cell += kStep) {
      scoreCells<Element, kVectors, kStep>(tile, ahead, cell, query, dim, scores);
    }
    for (; cell < cells; cell++) scoreCells<Element, kVectors, 1>(tile, ahead, cell, query, dim, scores);
  }

  template <typename Element, size_t kVectors, size_t kCells>
  BLOCKSTITCH_UNROLLED static void scoreCells(const Tile& tile, ReadAhead& ahead, size_t cell, const float* query, size_t dim,
                         float (*scores)[kTileTokens]) {
    constexpr size_t kParts = kCells * kCellVecs;
    Vec sums[kVectors][kParts];
    unroll<kVectors>([&](auto v) { unroll<kParts>([&](auto p) { sums[v][p] = Vec::zero(); }); });
    const Element* keys[kCells];
    unroll<kCells>([&](auto c) { keys[c] = static_cast<const Element*>(tile.keys[cell + c]); });
    for (size_t first = 0; first < dim; first += kDimStep) {
      ahead.follow(kCells * kDimStep * kCellTokens * sizeof(Element));
      for (size_t d = first; d < first + kDimStep; d += 2) {
        unroll<2>([&](auto step) {
          Vec key[kParts];
          unroll<kParts>([&](auto p) {
            key[p] = Vec::load(keys[p / kCellVecs] + (d + step) * kCellTokens + (p % kCellVecs) * kLanes);
          });
          unroll<kVectors>([&](auto v) {
            const Vec element = Vec::broadcast(query[v * kQueryStride + d + step]);
            unroll<kParts>([&](auto p) { sums[v][p] = Vec::multiplyAdd(element, key[p], sums[v][p]); });
          });
        });
      }
    }
    unroll<kParts>([&](auto p) {
      const size_t c = cell + p / kCellVecs;
      const size_t lane = (p % kCellVecs) * kLanes;
      unroll<kVectors>([&](auto v) {
        Vec sum = sums[v][p];
        if constexpr (std::is_same<Element, int8_t>::value) sum = sum * Vec::load(tile.keyScales[c] + lane);
        sum.write(scores[v] + c * kCellTokens + lane);
      });
    });
  }

  /// Caps the scores that are seen, and gives those that are not seen -FLT_MAX.
  static void mask(size_t cells, float softcap, SeenTokens visible, float* scores) {
    if (softcap > 0) {
      for (size_t t = visible.begin; t < visible.end; t++) scores[t] = softcap * std::tanh(scores[t] / softcap);
    }
    if (visible.begin > 0) std::fill(scores, scores + visible.begin, -FLT_MAX);
    if (visible.end < cells * kCellTokens) std::fill(scores + visible.end, scores + cells * kCellTokens, -FLT_MAX);
  }

  /// Turns scores into weights exp(score - maximum) and rescales the earlier sums. Masked tokens get 0.
  static void soften(const Tile& tile, size_t cells, bool scaledValues, size_t dim, const SoftmaxState& state,
                     size_t vector, SeenTokens visible, float* scores) {
    const size_t vecs = cells * kCellVecs;
    Vec best = Vec::load(scores);
    for (size_t i = 1; i < vecs; i++) best = Vec::max(best, Vec::load(scores + i * kLanes));
    // Most tiles hold nothing above the maximum so far. The maximum and the sums then stay as they are.
    float maximum = state.maximum[vector];
    if (Vec::anyGreater(best, Vec::broadcast(maximum))) {
      const float before = maximum;
      maximum = best.horizontalMax();
      const float decay = before == -FLT_MAX ? 0.0f : std::exp(before - maximum);
      const Vec factor = Vec::broadcast(decay);
      float* accumulator = state.accumulator + vector * dim;
      for (size_t d = 0; d < dim; d += kLanes) (Vec::load(accumulator + d) * factor).write(accumulator + d);
      state.sum[vector] *= decay;
      state.maximum[vector] = maximum;
    }
    const Vec shift = Vec::broadcast(maximum);
    Vec total = Vec::zero();
    for (size_t i = 0; i < vecs; i++) {
      const Vec weight = exponential(Vec::load(scores + i * kLanes) - shift);
      total = total + weight;
      weight.write(scores + i * kLanes);
    }
    state.sum[vector] += total.horizontalSum();
    if (visible.begin > 0) std::fill(scores, scores + visible.begin, 0.0f);
    if (visible.end < cells * kCellTokens) std::fill(scores + visible.end, scores + cells * kCellTokens, 0.0f);
    if (scaledValues) {
      for (size_t i = 0; i < vecs; i++) {
        const float* scales = tile.valueScales[i / kCellVecs] + (i % kCellVecs) * kLanes;
        (Vec::load(scores + i * kLanes) * Vec::load(scales)).write(scores + i * kLanes);
      }
    }
  }

  /// accumulator[v][d] += sum over tokens of weight[v][t] * value[t][d], tokens in order.
  template <typename Element, size_t kVectors>
  static void addValues(const Tile& tile, ReadAhead& ahead, size_t dim, const float (*weights)[kTileTokens],
                        float* accumulator) {
    constexpr size_t kWidth = kVectors <= 3 || Vec::kRegisters >= 32 ? 4 : kVectors <= 6 ? 2 : 1;
    size_t d = 0;
    for (; d + kWidth * kLanes <= dim; d += kWidth * kLanes) {
      addColumns<Element, kVectors, kWidth>(tile, ahead, dim, d, weights, accumulator);
    }
    for (; d < dim; d += kLanes) addColumns<Element, kVectors, 1>(tile, ahead, dim, d, weights, accumulator);
  }

  template <typename Element, size_t kVectors, size_t kWidth>
  BLOCKSTITCH_UNROLLED static void addColumns(const Tile& tile, ReadAhead& ahead, size_t dim, size_t d, const float (*weights)[kTileTokens],
                         float* accumulator) {
    Vec sums[kVectors][kWidth];
    unroll<kVectors>([&](auto v) {
      unroll<kWidth>([&](auto w) { sums[v][w] = Vec::load(accumulator + v * dim + d + w * kLanes); });
    });
    for (size_t first = 0; first < tile.tokens; first += kCellTokens) {
      const Element* cell = static_cast<const Element*>(tile.values[first / kCellTokens]) + d;
      const size_t count = tile.tokens - first < kCellTokens ? tile.tokens - first : kCellTokens;
      for (size_t t = 0; t < count; t++) {
        if (t % kRowStep == 0) ahead.follow(kRowStep * kWidth * kLanes * sizeof(Element));
        const Element* row = cell + t * dim;
        Vec values[kWidth];
        unroll<kWidth>([&](auto w) { values[w] = Vec::load(row + w * kLanes); });
        unroll<kVectors>([&](auto v) {
          const Vec weight = Vec::broadcast(weights[v][first + t]);
          unroll<kWidth>([&](auto w) { sums[v][w] = Vec::multiplyAdd(weight, values[w], sums[v][w]); });
        });
      }
    }
    unroll<kVectors>([&](auto v) {
      unroll<kWidth>([&](auto w) { sums[v][w].write(accumulator + v * dim + d + w * kLanes); });
    });
  }
};

}  // namespace blockstitch
