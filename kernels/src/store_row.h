// Rounds a row of float32 to the types of cached elements, over a vector type `Vec`: included by one file per instruction set.
// The same values as the scalar conversions in element.h.
#pragma once

#include <cstddef>

#include "element.h"

namespace blockstitch {

template <typename Vec>
struct RowStore {
  static constexpr size_t kLanes = Vec::kLanes;

  /// See KernelTable::roundRow.
  static void round(const float* from, size_t count, Half* to) {
    for (size_t d = 0; d < count; d += kLanes) Vec::load(from + d).write(to + d);
  }

  /// See KernelTable::quantizeRow.
  static float quantize(const float* from, size_t count, int8_t* to) {
    Vec most = Vec::zero();
    for (size_t d = 0; d < count; d += kLanes) {
      const Vec value = Vec::load(from + d);
      most = Vec::max(most, Vec::max(value, Vec::zero() - value));
    }
    const float amax = most.horizontalMax();
    const Vec inverse = Vec::broadcast(amax > 0 ? 127.0f / amax : 0.0f);
    for (size_t d = 0; d < count; d += kLanes) (Vec::load(from + d) * inverse).write(to + d);
    return amax / 127.0f;
  }
};

}  // namespace blockstitch
