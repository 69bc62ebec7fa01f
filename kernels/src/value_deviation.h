// How far cached values lie from values computed in context. A repair chooses its pages by this (CacheBlend,
// arXiv 2405.16444, section 4). Values are not rotated, so positions do not matter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv_pool.h"

namespace blockstitch {

/// Consecutive rows of fresh values and the cached tokens they stand for: slots [slot, slot + count) of `page`.
/// The rows of a negative page are passed over.
struct ComparedRows {
  int32_t page;
  int32_t slot;
  int32_t count;
};

/// @param values float32 [sum of counts, kvHeads * headDim]
/// @param sums   [places] sum over rows, heads and dimensions of (fresh - cached)^2; 0 for rows passed over
/// The caller has checked that pages and slots lie in the pool and that it has the layer.
void valueDeviations(const KvPool& pool, size_t layer, const ComparedRows* places, size_t count, const float* values,
                     double* sums);

}  // namespace blockstitch
