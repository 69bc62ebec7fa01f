// Sums over a chunk of logits, over a vector type `Vec`: included by one file per instruction set.
#pragma once

#include <cfloat>
#include <cstddef>

#include "exponential.h"

namespace blockstitch {

template <typename Vec>
struct ChunkKernel {
  static constexpr size_t kLanes = Vec::kLanes;
  /// Sums that run side by side: one addition need not wait for the last.
  static constexpr size_t kSums = 4;

  /// See KernelTable::weigh.
  static float weigh(const float* logits, size_t count, float best, float scale, float* weights) {
    const Vec shift = Vec::broadcast(best);
    const Vec factor = Vec::broadcast(scale);
    Vec sums[kSums];
    for (Vec& sum : sums) sum = Vec::zero();
    for (size_t i = 0; i < count; i += kSums * kLanes) {
      for (size_t s = 0; s < kSums; s++) {
        const size_t at = i + s * kLanes;
        const Vec weight = exponential((Vec::load(logits + at) - shift) * factor);
        sums[s] = sums[s] + weight;
        if (weights != nullptr) weight.write(weights + at);
      }
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])).horizontalSum();
  }

  /// See KernelTable::greatest.
  static float greatest(const float* logits, size_t count) {
    Vec best = Vec::broadcast(-FLT_MAX);
    for (size_t i = 0; i < count; i += kLanes) best = Vec::max(Vec::load(logits + i), best);
    return best.horizontalMax();
  }
};

}  // namespace blockstitch
