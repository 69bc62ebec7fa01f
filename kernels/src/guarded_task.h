// A task that other threads run through a C function: an exception stays inside and is thrown again by the thread that waits.
// Knows no thread pool.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>

namespace blockstitch {

class GuardedTask {
 public:
  explicit GuardedTask(const std::function<void(size_t)>& task) : task_(task) {}
  GuardedTask(const GuardedTask&) = delete;
  GuardedTask& operator=(const GuardedTask&) = delete;

  /// Runs item `index`. After a failure the items that have not begun are left out.
  void run(size_t index) noexcept {
    if (failed_.load(std::memory_order_relaxed)) return;
    try {
      task_(index);
    } catch (...) {
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
  }

  /// `run` for a pool that takes C functions. @param self a GuardedTask
  static void runOn(void* self, size_t index) noexcept { static_cast<GuardedTask*>(self)->run(index); }

  /// Throws the first failure again. Call when no item runs any more.
  void finish() const {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  const std::function<void(size_t)>& task_;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
};

}  // namespace blockstitch
