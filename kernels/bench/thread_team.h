// Threads that start a piece of work together and wait for each other. They spin, as ONNX Runtime's own threads do inside a
// run, so the time to wake them is not measured.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace blockstitch::bench {

inline void pauseBriefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class ThreadTeam {
 public:
  explicit ThreadTeam(size_t threads) : threads_(threads) {
    for (size_t i = 1; i < threads; i++) helpers_.emplace_back([this, i] { serve(i); });
  }
  ~ThreadTeam() {
    work_ = nullptr;
    generation_.fetch_add(1, std::memory_order_release);
    for (std::thread& helper : helpers_) helper.join();
  }
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  size_t threads() const { return threads_; }

  /// Runs `work(thread)` once on every thread.
  void run(const std::function<void(size_t)>& work) {
    work_ = &work;
    left_.store(threads_ - 1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    work(0);
    while (left_.load(std::memory_order_acquire) > 0) pauseBriefly();
  }

  /// Runs `task(i)` for i in 0 .. count-1; threads take the next index when they are done with one.
  void parallelFor(size_t count, const std::function<void(size_t)>& task) {
    std::atomic<size_t> next{0};
    run([&](size_t) {
      for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(i);
    });
  }

 private:
  void serve(size_t thread) {
    size_t seen = 0;
    for (;;) {
      size_t generation;
      while ((generation = generation_.load(std::memory_order_acquire)) == seen) pauseBriefly();
      seen = generation;
      if (work_ == nullptr) return;
      (*work_)(thread);
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  const size_t threads_;
  std::atomic<size_t> generation_{0};
  std::atomic<size_t> left_{0};
  const std::function<void(size_t)>* work_ = nullptr;
  std::vector<std::thread> helpers_;
};

}  // namespace blockstitch::bench
