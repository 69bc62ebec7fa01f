// The __global__ entry points and their launches; each kernels_dim*.cu instantiates one head dim.
// Knows grids and shared memory. The *_block.cuh files know what a block does.
#pragma once

#include <cuda_runtime.h>

#include "append_block.cuh"
#include "decode_block.cuh"
#include "kernel_shapes.h"
#include "launch.h"
#include "prefill_block.cuh"

namespace blockstitch::cuda {

template <int kDim>
__global__ void __launch_bounds__(AppendBlock<kDim>::kWarps* kWarpLanes) appendKernel(const AttentionParams p) {
  AppendBlock<kDim>::run(p, static_cast<int>(blockIdx.x));
}

// Block (item, kv head), heads varying fastest: the items with most tiles start first, for all heads.
template <class Block>
__global__ void __launch_bounds__(Block::kThreads, Block::kBlocksAtOnce) attendKernel(const __grid_constant__ AttentionParams p) {
  extern __shared__ __align__(16) unsigned char sharedMemory[];
  const int block = static_cast<int>(blockIdx.x);
  Block::run(p, block / p.layout.kvHeads, block % p.layout.kvHeads, sharedMemory);
}

template <class Block>
__global__ void __launch_bounds__(Block::kWarps* kWarpLanes) combineKernel(const AttentionParams p) {
  const int block = static_cast<int>(blockIdx.x);
  Block::run(p, block % p.layout.kvHeads, block / p.layout.kvHeads, static_cast<int>(blockIdx.y));
}

template <class Block>
cudaError_t launchAttend(const AttentionParams& p, int items, cudaStream_t stream) {
  if (items == 0) return cudaSuccess;
  if (Block::kSharedBytes > 48 * 1024) {  // more than that must be asked for, on each device; asking twice does no harm
    const cudaError_t error =
        cudaFuncSetAttribute(attendKernel<Block>, cudaFuncAttributeMaxDynamicSharedMemorySize, Block::kSharedBytes);
    if (error != cudaSuccess) return error;
  }
  const unsigned blocks = static_cast<unsigned>(items) * static_cast<unsigned>(p.layout.kvHeads);
  attendKernel<Block><<<blocks, Block::kThreads, Block::kSharedBytes, stream>>>(p);
  return cudaGetLastError();
}

template <int kDim>
cudaError_t launchForDim(const AttentionParams& p, const LaunchCounts& counts, cudaStream_t stream) {
  using Append = AppendBlock<kDim>;
  const unsigned vectors = static_cast<unsigned>(p.rows) * static_cast<unsigned>(p.layout.kvHeads);
  if (vectors == 0) return cudaSuccess;
  appendKernel<kDim><<<(vectors + Append::kWarps - 1) / Append::kWarps, Append::kWarps * kWarpLanes, 0, stream>>>(p);
  cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) return error;
  withProducts(p, [&](auto products) {
    using C = typename decltype(products)::Type;
    constexpr bool kInt8 = decltype(products)::isInt8;
    error = launchAttend<PrefillBlock<C, kDim, kInt8>>(p, counts.prefill, stream);
    if (error == cudaSuccess) error = launchAttend<DecodeBlock<C, kDim, kInt8>>(p, counts.decode, stream);
  });
  if (error != cudaSuccess || counts.combine == 0) return error;
  const dim3 grid(static_cast<unsigned>(counts.combine) * static_cast<unsigned>(p.layout.kvHeads),
                  static_cast<unsigned>(counts.maxCombineRows + CombineBlock::kWarps - 1) / CombineBlock::kWarps);
  combineKernel<CombineBlock><<<grid, CombineBlock::kWarps * kWarpLanes, 0, stream>>>(p);
  return cudaGetLastError();
}

}  // namespace blockstitch::cuda
