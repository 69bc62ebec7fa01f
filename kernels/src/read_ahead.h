// Prefetches memory at the pace of the work, a fixed distance in front of it. It takes a few cells at a time and goes
// through them line by line in turn. The processor's own prefetcher follows each of these streams; with more streams it has
// more time to get in front. Bursts, or a single stream, would fill the few slots for outstanding lines.
#pragma once

#include <algorithm>
#include <cstddef>

namespace blockstitch {

class ReadAhead {
 public:
  static constexpr size_t kLine = 64;

  /// Prefetches nothing.
  ReadAhead() = default;

  /// @param cells      keys of each cell that will be read, in order
  /// @param cellBytes  bytes of a cell's keys, and of its values: a multiple of a cache line
  /// @param valuesAt   bytes from a cell's keys to its values
  ReadAhead(const char* const* cells, size_t count, size_t cellBytes, size_t valuesAt)
      : cells_(cells), end_(cells + count), cellBytes_(cellBytes), valuesAt_(valuesAt), streams_(std::min(count, kStreams)) {}

  /// Call it when `bytes` bytes are read. It prefetches as many, and up to twice as many until the distance is reached.
  void follow(size_t bytes) {
    lead_ -= static_cast<ptrdiff_t>(bytes);
    ask(2 * bytes, kDistance);
  }

  /// Call it while the processor computes and reads nothing. It prefetches `bytes` bytes, as far in front as a tile needs.
  void use(size_t bytes) { ask(bytes, kComputingDistance); }

 private:
  static constexpr size_t kStreams = 4;
  /// Distance in bytes: some hundred nanoseconds of work.
  static constexpr ptrdiff_t kDistance = 32 << 10;
  /// A tile of 256 tokens or most of one: the processor is busy for long before it reads again.
  static constexpr ptrdiff_t kComputingDistance = 96 << 10;

  void ask(size_t bytes, ptrdiff_t distance) {
    for (size_t asked = 0; asked < bytes && lead_ < distance && streams_ > 0; asked += streams_ * kLine) askRow();
  }

  /// One line of each stream.
  void askRow() {
    for (size_t i = 0; i < streams_; i++) __builtin_prefetch(cells_[i] + at_, 0, 2);
    lead_ += static_cast<ptrdiff_t>(streams_ * kLine);
    at_ += kLine;
    if (at_ == cellBytes_) at_ = valuesAt_;
    if (at_ != valuesAt_ + cellBytes_) return;
    at_ = 0;
    cells_ += streams_;
    streams_ = std::min(static_cast<size_t>(end_ - cells_), kStreams);
  }

  const char* const* cells_ = nullptr;
  const char* const* end_ = nullptr;
  size_t cellBytes_ = 0;
  size_t valuesAt_ = 0;
  size_t streams_ = 0;
  size_t at_ = 0;
  ptrdiff_t lead_ = 0;
};

}  // namespace blockstitch
