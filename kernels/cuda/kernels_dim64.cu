// Kernels of head dim 64, in a file of their own so that they compile in parallel.
#include "kernels.cuh"

namespace blockstitch::cuda {

template cudaError_t launchForDim<64>(const AttentionParams&, const LaunchCounts&, cudaStream_t);

}  // namespace blockstitch::cuda
