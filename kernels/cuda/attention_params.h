// All parameters of one layer's kernels: tensors, pool, work lists. Plain data, passed to kernels by value.
#pragma once

#include <cstdint>

#include "pool_layout.h"
#include "step_plan.h"

namespace blockstitch::cuda {

// Element type of query, key, value and output.
enum class QueryType : int { kFloat16 = 1, kBFloat16 = 2 };

struct AttentionParams {
  const void* query;     // [rows, heads * headDim], 16-bit, before RoPE
  const void* key;       // [rows, kvHeads * headDim]
  const void* value;     // [rows, kvHeads * headDim]
  void* output;          // [rows, heads * headDim]
  const float* cosines;  // [maxPositions, rotaryDim / 2]
  const float* sines;
  unsigned char* pool;
  PoolLayout layout;
  QueryType queryType;
  int layer;
  int heads;
  int rotaryDim;
  bool interleaved;
  float scale;
  float softcap;  // 0: none
  int window;     // 0: none
  int rows;
  const RowPlace* places;
  const KvTile* tiles;
  const WorkItem* decode;
  const WorkItem* prefill;
  const CombineItem* combine;
  float* partials;  // [partial rows, kvHeads, headDim + 2]: accumulator, running maximum (base 2), running sum

  BS_LAYOUT_FN int group() const { return heads / layout.kvHeads; }
  BS_LAYOUT_FN float* partial(int slotRow, int kvHead) const {
    return partials + (static_cast<int64_t>(slotRow) * layout.kvHeads + kvHead) * (layout.headDim + 2);
  }
};

// Lengths of a plan's work lists. The grids follow from them.
struct LaunchCounts {
  int decode;
  int prefill;
  int combine;
  int maxCombineRows;
};

inline LaunchCounts countsOf(const StepPlan& plan) {
  return {static_cast<int>(plan.decode.size()), static_cast<int>(plan.prefill.size()), static_cast<int>(plan.combine.size()),
          plan.maxCombineRows};
}

// Points the work lists of `p` at a plan's packed buffer, wherever a copy of it lies.
inline void pointAtPlan(AttentionParams& p, const StepPlan& plan, const int32_t* packed) {
  p.rows = static_cast<int>(plan.places.size());
  p.places = reinterpret_cast<const RowPlace*>(packed);
  p.tiles = reinterpret_cast<const KvTile*>(packed + plan.tilesOffset);
  p.decode = reinterpret_cast<const WorkItem*>(packed + plan.decodeOffset);
  p.prefill = reinterpret_cast<const WorkItem*>(packed + plan.prefillOffset);
  p.combine = reinterpret_cast<const CombineItem*>(packed + plan.combineOffset);
}

}  // namespace blockstitch::cuda
