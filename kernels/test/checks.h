// What the kernel tests share: a check that counts, and two threads to run items on. Knows nothing of kernels.
#pragma once

#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

#include "guarded_task.h"

namespace blockstitch::cases {

/// Checks that did not hold so far.
inline int failures = 0;

inline void check(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  std::printf("FAILED: %s\n", what.c_str());
}

/// Items 0, 2, .. on this thread, the others on a second one. Throws what an item threw.
inline void onTwoThreads(size_t count, const std::function<void(size_t)>& task) {
  GuardedTask guarded(task);
  std::thread odd([&] { for (size_t i = 1; i < count; i += 2) guarded.run(i); });
  for (size_t i = 0; i < count; i += 2) guarded.run(i);
  odd.join();
  guarded.finish();
}

}  // namespace blockstitch::cases
