// Runs one layer's kernels on the CPU, block after block: the same device functions that nvcc compiles, for tests.
#pragma once

#include <functional>

#include "attention_params.h"

namespace blockstitch::cuda {

// Runs `task(i)` for i in 0 .. count-1, in any order; returns when all are done.
using HostLoop = std::function<void(size_t count, const std::function<void(size_t)>& task)>;

// @returns false for a head dim without a kernel
bool runLayerOnHost(const AttentionParams& p, const LaunchCounts& counts, const HostLoop& loop);

}  // namespace blockstitch::cuda
