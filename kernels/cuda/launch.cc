// Chooses the instance by head dim; see launch.h.
#include "launch.h"

#include "kernel_shapes.h"

namespace blockstitch::cuda {

cudaError_t launchLayer(const AttentionParams& p, const LaunchCounts& counts, cudaStream_t stream) {
  cudaError_t error = cudaErrorInvalidValue;
  withHeadDim(p.layout.headDim, [&](auto dim) { error = launchForDim<decltype(dim)::value>(p, counts, stream); });
  return error;
}

}  // namespace blockstitch::cuda
