// Copies in one direction between a device pool's pages and payloads. It has two pinned buffers and its own stream: the
// device copies one chunk while the CPU rearranges the other, and the engine's steps go on.
// Knows page images and payloads. The pool decides when a page may be read or written.
#pragma once

#include <cstdint>
#include <mutex>

#include "gpu_runtime.h"
#include "pool_layout.h"

namespace blockstitch::cuda {

class PageCopier {
 public:
  PageCopier(GpuRuntime& runtime, const PoolLayout& layout, unsigned char* pool);
  ~PageCopier();
  PageCopier(const PageCopier&) = delete;
  PageCopier& operator=(const PageCopier&) = delete;

  // Copies `tokens` tokens out of `pages` into `payload`, or back. Returns when the copy is complete; blocks this thread.
  // `after`: the copy starts behind this event. The device is current.
  void read(const int32_t* pages, int64_t tokens, unsigned char* payload, GpuRuntime::Event after);
  void write(const int32_t* pages, int64_t tokens, const unsigned char* payload, GpuRuntime::Event after);

 private:
  struct Empty {};
  PageCopier(Empty, GpuRuntime& runtime, const PoolLayout& layout, unsigned char* pool);

  struct Chunk;
  int64_t chunkCount(int64_t tokens) const;
  Chunk chunkAt(int64_t index, int64_t tokens) const;
  template <bool kToPage>
  void rearrange(const Chunk& chunk, unsigned char* staging, unsigned char* payload, int64_t tokens) const;
  unsigned char* pageAt(int32_t page) const { return pool_ + page * layout_.pageBytes(); }

  GpuRuntime& runtime_;
  PoolLayout layout_;
  unsigned char* pool_;
  int64_t chunkPages_;
  std::mutex mutex_;
  GpuRuntime::Stream stream_ = nullptr;
  unsigned char* staging_[2] = {nullptr, nullptr};
  GpuRuntime::Event done_[2] = {nullptr, nullptr};
};

}  // namespace blockstitch::cuda
