// Kernels of head dim 96, in a file of their own so that they compile in parallel.
#include "kernels.cuh"

namespace blockstitch::cuda {

template cudaError_t launchForDim<96>(const AttentionParams&, const LaunchCounts&, cudaStream_t);

}  // namespace blockstitch::cuda
