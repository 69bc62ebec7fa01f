// Asks for memory ahead of its use: at the pace of the work, in the order of addresses, a fixed distance in front. Keys
// and values of a cell lie together, and one ascending stream is what a processor's own prefetcher follows. Asking in
// bursts would fill the few slots for outstanding lines and stall the work instead.
#pragma once

#include <cstddef>

namespace blockstitch {

class ReadAhead {
 public:
  static constexpr size_t kLine = 64;

  /// Asks for nothing.
  ReadAhead() = default;

  /// @param cells      keys of each cell that will be read, in order
  /// @param cellBytes  bytes of a cell's keys, and of its values: a multiple of a cache line
  /// @param valuesAt   bytes from a cell's keys to its values
  ReadAhead(const char* const* cells, size_t count, size_t cellBytes, size_t valuesAt)
      : cells_(cells), end_(cells + count), cellBytes_(cellBytes), valuesAt_(valuesAt) {}

  /// Told of `bytes` that are being read: asks for as many ahead, for up to twice as many until the distance is reached.
  void follow(size_t bytes) {
    if (cells_ == end_) return;
    ptrdiff_t lead = lead_ - static_cast<ptrdiff_t>(bytes);
    size_t at = at_;
    const char* cell = *cells_;
    for (size_t asked = 0; asked < 2 * bytes && lead < kDistance; asked += kLine) {
      __builtin_prefetch(cell + at, 0, 1);
      lead += kLine;
      at += kLine;
      if (at == cellBytes_) at = valuesAt_;
      if (at != valuesAt_ + cellBytes_) continue;
      at = 0;
      if (++cells_ == end_) return;
      cell = *cells_;
    }
    lead_ = lead;
    at_ = at;
  }

 private:
  /// Bytes asked for in front of what is read: a few hundred nanoseconds of work.
  static constexpr ptrdiff_t kDistance = 16 << 10;

  const char* const* cells_ = nullptr;
  const char* const* end_ = nullptr;
  size_t cellBytes_ = 0;
  size_t valuesAt_ = 0;
  size_t at_ = 0;
  ptrdiff_t lead_ = 0;
};

}  // namespace blockstitch
