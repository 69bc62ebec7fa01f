// A GpuRuntime that is host memory. Kernels run on the CPU at once. Copies wait in their stream until somebody waits for an
// event behind them, so code that reads too early, or writes a staging buffer too soon, gives wrong answers.
#pragma once

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "gpu_runtime.h"
#include "host_run.h"

namespace blockstitch::cuda {

class FakeGpu : public GpuRuntime {
 public:
  int launches = 0;
  int copiesToDevice = 0;
  int hostWaits = 0;  ///< waits for an event that was not past
  size_t freeBytes = SIZE_MAX;

  ~FakeGpu() override {
    for (void* memory : memory_) std::free(memory);
  }

  /// Allocations, streams and events not given back.
  size_t held() const { return memory_.size() + streams_.size() + events_.size(); }

  void use(int) override {}
  int processors(int) override { return 132; }
  void* allocate(size_t bytes) override { return take(bytes); }
  void release(void* memory) noexcept override { give(memory); }
  void* allocateOn(Stream, size_t bytes) override { return take(bytes); }
  void releaseOn(Stream stream, void* memory) noexcept override {
    drain(stream);  // stream order: what was put on it before still sees the memory
    give(memory);
  }
  void* allocatePinned(size_t bytes) override { return take(bytes); }
  void releasePinned(void* memory) noexcept override { give(memory); }

  Stream createStream() override {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    streams_.insert(++lastId_);
    return reinterpret_cast<Stream>(lastId_);
  }
  void destroyStream(Stream stream) noexcept override {
    drain(stream);
    streams_.erase(reinterpret_cast<size_t>(stream));
  }
  Event createEvent() override {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    events_[++lastId_] = {nullptr, true};
    return reinterpret_cast<Event>(lastId_);
  }
  void destroyEvent(Event event) noexcept override { events_.erase(reinterpret_cast<size_t>(event)); }

  void record(Event event, Stream stream) override {
    EventState& state = events_.at(reinterpret_cast<size_t>(event));
    state = {stream, false};
    put(stream, [this, event] { events_.at(reinterpret_cast<size_t>(event)).past = true; });
  }
  void follow(Stream stream, Event event) override {
    // As recorded now; a later record is another point in time.
    const EventState state = events_.at(reinterpret_cast<size_t>(event));
    if (!state.past && state.stream != stream) put(stream, [this, state] { drain(state.stream); });
  }
  void wait(Event event) override {
    if (!events_.at(reinterpret_cast<size_t>(event)).past) hostWaits++;
    complete(event);
  }

  void copyToDevice(void* to, const void* from, size_t bytes, Stream stream) override {
    copiesToDevice++;
    put(stream, [=] { std::memcpy(to, from, bytes); });
  }
  void copyToHost(void* to, const void* from, size_t bytes, Stream stream) override {
    put(stream, [=] { std::memcpy(to, from, bytes); });
  }
  void launch(const AttentionParams& p, const LaunchCounts& counts, Stream stream) override {
    launches++;
    put(stream, [=] {
      runLayerOnHost(p, counts, [](size_t count, const std::function<void(size_t)>& task) {
        for (size_t i = 0; i < count; i++) task(i);
      });
    });
  }

  /// Runs everything that was put on a stream.
  void drain(Stream stream) {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    std::deque<std::function<void()>>& queue = queues_[stream];
    while (!queue.empty()) {
      const std::function<void()> work = std::move(queue.front());
      queue.pop_front();
      work();
    }
  }

 private:
  struct EventState {
    Stream stream;
    bool past;
  };

  void complete(Event event) {
    const EventState state = events_.at(reinterpret_cast<size_t>(event));
    if (!state.past) drain(state.stream);
  }
  void put(Stream stream, std::function<void()> work) {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    queues_[stream].push_back(std::move(work));
  }
  void* take(size_t bytes) {
    if (bytes > freeBytes) throw GpuError("out of memory");
    void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    std::memset(memory, 0xff, bytes);  // NaN: what was never written shows
    memory_.insert(memory);
    return memory;
  }
  void give(void* memory) noexcept {
    if (memory != nullptr && memory_.erase(memory) > 0) std::free(memory);
  }

  std::recursive_mutex mutex_;
  size_t lastId_ = 0;
  std::set<void*> memory_;
  std::set<size_t> streams_;
  std::map<size_t, EventState> events_;
  std::map<Stream, std::deque<std::function<void()>>> queues_;
};

}  // namespace blockstitch::cuda
