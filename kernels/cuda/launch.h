// Launches one layer's kernels on a stream: append, attend, combine. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include "attention_params.h"

namespace blockstitch::cuda {

// @returns cudaErrorInvalidValue for a head dim without a kernel, else what the launches returned
cudaError_t launchLayer(const AttentionParams& p, const LaunchCounts& counts, cudaStream_t stream);

// The instances of one head dim. Each head dim has its own file.
template <int kDim>
cudaError_t launchForDim(const AttentionParams& p, const LaunchCounts& counts, cudaStream_t stream);

}  // namespace blockstitch::cuda
