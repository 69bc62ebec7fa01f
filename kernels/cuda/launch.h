// Launches one layer's kernels on a stream: append, attend, combine. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include "attention_params.h"

namespace blockstitch::cuda {

// @returns cudaErrorInvalidValue for a head dim that there is no kernel for, else what the launches said
cudaError_t launchLayer(const AttentionParams& p, const LaunchCounts& counts, cudaStream_t stream);

// One head dim's instances, each compiled in a file of its own.
template <int kDim>
cudaError_t launchForDim(const AttentionParams& p, const LaunchCounts& counts, cudaStream_t stream);

}  // namespace blockstitch::cuda
