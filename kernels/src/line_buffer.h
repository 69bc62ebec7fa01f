// Scratch memory that begins at a cache line, so that no vector is read or written across two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "attention_plan.h"

namespace blockstitch {

/// Grows, and keeps its memory for the next use. Contents are not kept.
class LineBuffer {
 public:
  float* reserve(size_t floats) {
    if (floats + kLineFloats > memory_.size()) {
      memory_.clear();  // nothing to copy when it grows
      memory_.resize(floats + kLineFloats);
    }
    const size_t past = reinterpret_cast<uintptr_t>(memory_.data()) / sizeof(float) % kLineFloats;
    return memory_.data() + (kLineFloats - past) % kLineFloats;
  }

  /// Gives the memory back where it holds more than `floats`.
  void trim(size_t floats) {
    if (memory_.size() > floats + kLineFloats) std::vector<float>().swap(memory_);
  }

 private:
  std::vector<float> memory_;
};

}  // namespace blockstitch
