// Asks for the memory of the next tile while the current one is worked on, at the pace of the work and in the order of
// addresses: keys and values of a cell lie together, and one ascending stream is what a processor's own prefetcher follows.
#pragma once

#include <cstddef>

#include "attention_kernels.h"

namespace blockstitch {

class ReadAhead {
 public:
  static constexpr size_t kLine = 64;

  /// @param cellBytes bytes of a cell's keys, and of its values: a multiple of a cache line
  ReadAhead(const Tile& tile, size_t cellBytes)
      : tile_(tile), cellBytes_(cellBytes), runs_(2 * ((tile.tokens + kCellTokens - 1) / kCellTokens)), run_(0), at_(0) {}

  /// Nothing to ask for.
  explicit ReadAhead(const Tile& tile) : tile_(tile), cellBytes_(0), runs_(0), run_(0), at_(0) {}

  bool done() const { return run_ == runs_; }

  void ask(size_t bytes) {
    for (size_t asked = 0; asked < bytes && run_ < runs_; asked += kLine) {
      __builtin_prefetch(base() + at_);
      at_ += kLine;
      if (at_ < cellBytes_) continue;
      at_ = 0;
      run_++;
    }
  }

  void askRest() { ask((runs_ - run_) * cellBytes_); }

 private:
  const char* base() const {
    return static_cast<const char*>(run_ % 2 == 0 ? tile_.keys[run_ / 2] : tile_.values[run_ / 2]);
  }

  const Tile& tile_;
  size_t cellBytes_;
  size_t runs_;
  size_t run_;
  size_t at_;
};

}  // namespace blockstitch
