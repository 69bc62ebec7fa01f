// Items of one operator call on ONNX Runtime's own threads. They are idle while the op runs; a pool of our own would compete
// with them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "guarded_task.h"
#include "op_status.h"
#include "ort_abi.h"

namespace blockstitch {

/// Runs items 0..count-1 and waits for them.
/// @throws StatusError where ONNX Runtime refuses, else what a task threw
inline void onOpThreads(ort::Api api, const ort::KernelContext* context, size_t count,
                        const std::function<void(size_t)>& task) {
  if (count <= 1) return count == 0 ? void() : task(0);
  GuardedTask guarded(task);
  void (*const each)(void*, size_t) = &GuardedTask::runOn;
  ort::Status* status = ort::call<ort::Status*>(api, ort::kKernelContextParallelFor, context, each, count, size_t{0},
                                                static_cast<void*>(&guarded));
  if (status != nullptr) throw StatusError{status};
  guarded.finish();
}

/// Runs rows 0..rows-1, some in one item, and waits for them. @param values of one row, read or written
/// @throws as onOpThreads
template <typename Work>
void onRows(ort::Api api, const ort::KernelContext* context, size_t rows, size_t values, const Work& work) {
  constexpr size_t kItemValues = 4 * 1024;  // worth a thread
  const size_t each = std::max<size_t>(1, kItemValues / values);
  onOpThreads(api, context, (rows + each - 1) / each, [&](size_t item) {
    const size_t end = std::min(rows, (item + 1) * each);
    for (size_t row = item * each; row < end; row++) work(row);
  });
}

}  // namespace blockstitch
