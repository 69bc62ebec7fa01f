// Pipelined page copies; see page_copier.h.
#include "page_copier.h"

#include <algorithm>

#include "page_payload.h"

namespace blockstitch::cuda {

namespace {

// Pinned memory is missing elsewhere on the machine, so this is just enough for the full speed of the bus.
constexpr int64_t kStagingBytes = 8 << 20;

}  // namespace

struct PageCopier::Chunk {
  int64_t firstPage;
  int64_t pages;
  int64_t firstToken;
  int64_t tokens;
};

PageCopier::PageCopier(Empty, GpuRuntime& runtime, const PoolLayout& layout, unsigned char* pool)
    : runtime_(runtime), layout_(layout), pool_(pool), chunkPages_(std::max<int64_t>(1, kStagingBytes / layout.pageBytes())) {}

// Delegates, so that the destructor runs when an allocation throws.
PageCopier::PageCopier(GpuRuntime& runtime, const PoolLayout& layout, unsigned char* pool)
    : PageCopier(Empty{}, runtime, layout, pool) {
  stream_ = runtime_.createStream();
  for (int i = 0; i < 2; ++i) {
    staging_[i] = static_cast<unsigned char*>(runtime_.allocatePinned(static_cast<size_t>(chunkPages_ * layout_.pageBytes())));
    done_[i] = runtime_.createEvent();
  }
}

PageCopier::~PageCopier() {
  for (int i = 0; i < 2; ++i) {
    runtime_.releasePinned(staging_[i]);
    runtime_.destroyEvent(done_[i]);
  }
  runtime_.destroyStream(stream_);
}

int64_t PageCopier::chunkCount(int64_t tokens) const {
  const int64_t chunkTokens = chunkPages_ * layout_.pageTokens;
  return (tokens + chunkTokens - 1) / chunkTokens;
}

PageCopier::Chunk PageCopier::chunkAt(int64_t index, int64_t tokens) const {
  const int64_t firstToken = index * chunkPages_ * layout_.pageTokens;
  const int64_t count = std::min(chunkPages_ * layout_.pageTokens, tokens - firstToken);
  return {index * chunkPages_, (count + layout_.pageTokens - 1) / layout_.pageTokens, firstToken, count};
}

template <bool kToPage>
void PageCopier::rearrange(const Chunk& chunk, unsigned char* staging, unsigned char* payload, int64_t tokens) const {
  for (int64_t page = 0; page < chunk.pages; ++page) {
    const int64_t first = chunk.firstToken + page * layout_.pageTokens;
    const int64_t count = std::min<int64_t>(layout_.pageTokens, chunk.firstToken + chunk.tokens - first);
    copyPagePayload<kToPage>(layout_, staging + page * layout_.pageBytes(), payload, tokens, first, count);
  }
}

void PageCopier::read(const int32_t* pages, int64_t tokens, unsigned char* payload, GpuRuntime::Event after) {
  const std::lock_guard<std::mutex> lock(mutex_);
  runtime_.follow(stream_, after);
  const size_t pageBytes = static_cast<size_t>(layout_.pageBytes());
  const int64_t chunks = chunkCount(tokens);
  // One step behind the device: chunk i is under way while chunk i - 1 is rearranged.
  for (int64_t i = 0; i <= chunks; ++i) {
    if (i < chunks) {
      const Chunk chunk = chunkAt(i, tokens);
      for (int64_t page = 0; page < chunk.pages; ++page)
        runtime_.copyToHost(staging_[i % 2] + page * layout_.pageBytes(), pageAt(pages[chunk.firstPage + page]), pageBytes, stream_);
      runtime_.record(done_[i % 2], stream_);
    }
    if (i > 0) {
      runtime_.wait(done_[(i - 1) % 2]);
      rearrange<false>(chunkAt(i - 1, tokens), staging_[(i - 1) % 2], payload, tokens);
    }
  }
}

void PageCopier::write(const int32_t* pages, int64_t tokens, const unsigned char* payload, GpuRuntime::Event after) {
  const std::lock_guard<std::mutex> lock(mutex_);
  runtime_.follow(stream_, after);
  const size_t pageBytes = static_cast<size_t>(layout_.pageBytes());
  const int64_t chunks = chunkCount(tokens);
  for (int64_t i = 0; i < chunks; ++i) {
    const Chunk chunk = chunkAt(i, tokens);
    if (i >= 2) runtime_.wait(done_[i % 2]);
    // The payload is only read here.
    rearrange<true>(chunk, staging_[i % 2], const_cast<unsigned char*>(payload), tokens);
    for (int64_t page = 0; page < chunk.pages; ++page)
      runtime_.copyToDevice(pageAt(pages[chunk.firstPage + page]), staging_[i % 2] + page * layout_.pageBytes(), pageBytes, stream_);
    runtime_.record(done_[i % 2], stream_);
  }
  for (int64_t i = std::max<int64_t>(0, chunks - 2); i < chunks; ++i) runtime_.wait(done_[i % 2]);
}

}  // namespace blockstitch::cuda
