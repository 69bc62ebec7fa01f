// Kernels of head dim 80, in a file of their own so that they compile in parallel.
#include "kernels.cuh"

namespace blockstitch::cuda {

template cudaError_t launchForDim<80>(const AttentionParams&, const LaunchCounts&, cudaStream_t);

}  // namespace blockstitch::cuda
