// Makes one source both a CUDA kernel and a program that tests run on the CPU.
// A kernel is written in phases. `forWarps` runs a phase for each warp of the block, `forLanes` for each lane of a warp, and
// `blockBarrier` stands between phases. In CUDA a thread *is* its warp and lane, and each phase runs once. In the host build
// the phases loop over all warps and lanes, and registers become arrays. Warp-wide operations (matrix products, reductions
// over the four lanes that share a row) take whole PerLane registers. So the host build can emulate them with the fragment
// layouts that the PTX ISA documents ("Matrix Fragments for mma.m16n8k16").
// Knows execution, and nothing of attention.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define BS_DEVICE __device__ __forceinline__
#define BS_BOTH __host__ __device__ __forceinline__
#define BS_UNROLL _Pragma("unroll")
#else
#define BS_DEVICE inline
#define BS_BOTH inline
#define BS_UNROLL
#endif

#if defined(__CUDA_ARCH__)
#define BS_ON_DEVICE 1
#else
#define BS_ON_DEVICE 0
#endif

namespace blockstitch::cuda {

constexpr int kWarpLanes = 32;

// A register of every lane of one warp.
template <class T>
struct PerLane {
#if defined(__CUDACC__)
  T value;
  BS_DEVICE T& operator[](int) { return value; }
  BS_DEVICE const T& operator[](int) const { return value; }
#else
  T value[kWarpLanes];
  T& operator[](int lane) { return value[lane]; }
  const T& operator[](int lane) const { return value[lane]; }
#endif
};

// State of every warp of one block that outlives a phase.
template <class T, int kWarps>
struct PerWarp {
#if defined(__CUDACC__)
  T value;
  BS_DEVICE T& operator[](int) { return value; }
#else
  T value[kWarps];
  T& operator[](int warp) { return value[warp]; }
#endif
};

template <class F>
BS_DEVICE void forLanes(F&& phase) {
#if defined(__CUDACC__)
  phase(static_cast<int>(threadIdx.x) % kWarpLanes);
#else
  for (int lane = 0; lane < kWarpLanes; ++lane) phase(lane);
#endif
}

template <int kWarps, class F>
BS_DEVICE void forWarps(F&& phase) {
#if defined(__CUDACC__)
  phase(static_cast<int>(threadIdx.x) / kWarpLanes);
#else
  for (int warp = 0; warp < kWarps; ++warp) phase(warp);
#endif
}

// One call per thread of the block, thread = 0 .. kThreads-1.
template <int kThreads, class F>
BS_DEVICE void forThreads(F&& phase) {
#if defined(__CUDACC__)
  phase(static_cast<int>(threadIdx.x));
#else
  for (int thread = 0; thread < kThreads; ++thread) phase(thread);
#endif
}

BS_DEVICE void blockBarrier() {
#if defined(__CUDACC__)
  __syncthreads();
#endif
}

BS_DEVICE void warpBarrier() {
#if defined(__CUDACC__)
  __syncwarp();
#endif
}

// 16 bytes from global to shared memory without passing through registers; zeros where `valid` is false.
BS_DEVICE void copyAsync16(void* shared, const void* global, bool valid) {
#if defined(__CUDACC__)
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global), "r"(bytes) : "memory");
#else
  if (valid) std::memcpy(shared, global, 16);
  else std::memset(shared, 0, 16);
#endif
}

BS_DEVICE void commitAsyncCopies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}

// Waits until at most kPending of the committed groups are under way.
template <int kPending>
BS_DEVICE void waitAsyncCopies() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kPending) : "memory");
#endif
}

// Four 32-bit words of one lane.
struct Words4 {
  uint32_t word[4];
};

// Loads four 8x8 matrices of 16-bit elements from shared memory (ldmatrix). Lane l's address is row l % 8 of matrix l / 8,
// 16 bytes. Word m of lane (g, q) is then elements 2q, 2q+1 of row g of matrix m; transposed: of column g.
template <bool kTransposed>
BS_DEVICE void loadMatrices(PerLane<Words4>& to, const PerLane<const unsigned char*>& rows) {
#if defined(__CUDACC__)
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(rows.value));
  uint32_t* word = to.value.word;
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "r"(address) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "r"(address) : "memory");
#else
  for (int m = 0; m < 4; ++m) {
    for (int lane = 0; lane < kWarpLanes; ++lane) {
      const int g = lane / 4;
      const int q = lane % 4;
      uint16_t low, high;
      if (kTransposed) {
        std::memcpy(&low, rows[8 * m + 2 * q] + 2 * g, 2);
        std::memcpy(&high, rows[8 * m + 2 * q + 1] + 2 * g, 2);
      } else {
        std::memcpy(&low, rows[8 * m + g] + 4 * q, 2);
        std::memcpy(&high, rows[8 * m + g] + 4 * q + 2, 2);
      }
      to[lane].word[m] = static_cast<uint32_t>(low) | (static_cast<uint32_t>(high) << 16);
    }
  }
#endif
}

// Maximum and sum over the four lanes of a quad (lanes 4g .. 4g+3), which hold one row of an accumulator.
BS_DEVICE void quadMax(PerLane<float>& x) {
#if defined(__CUDACC__)
  x.value = fmaxf(x.value, __shfl_xor_sync(0xffffffffu, x.value, 1));
  x.value = fmaxf(x.value, __shfl_xor_sync(0xffffffffu, x.value, 2));
#else
  for (int quad = 0; quad < 8; ++quad) {
    float* lanes = x.value + 4 * quad;
    const float top = std::fmax(std::fmax(lanes[0], lanes[1]), std::fmax(lanes[2], lanes[3]));
    for (int i = 0; i < 4; ++i) lanes[i] = top;
  }
#endif
}

BS_DEVICE void quadSum(PerLane<float>& x) {
#if defined(__CUDACC__)
  x.value += __shfl_xor_sync(0xffffffffu, x.value, 1);
  x.value += __shfl_xor_sync(0xffffffffu, x.value, 2);
#else
  for (int quad = 0; quad < 8; ++quad) {
    float* lanes = x.value + 4 * quad;
    const float sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (int i = 0; i < 4; ++i) lanes[i] = sum;
  }
#endif
}

// Largest value over the 32 lanes of a warp, in every lane.
BS_DEVICE void warpMax(PerLane<float>& x) {
#if defined(__CUDACC__)
  for (int distance = 16; distance > 0; distance /= 2)
    x.value = fmaxf(x.value, __shfl_xor_sync(0xffffffffu, x.value, distance));
#else
  float top = x.value[0];
  for (float value : x.value) top = std::fmax(top, value);
  for (float& value : x.value) value = top;
#endif
}

// True in every lane when it is true in any.
BS_DEVICE bool warpAny(const PerLane<bool>& x) {
#if defined(__CUDACC__)
  return __any_sync(0xffffffffu, x.value);
#else
  for (bool value : x.value)
    if (value) return true;
  return false;
#endif
}

BS_DEVICE float exp2Fast(float x) {
#if defined(__CUDACC__)
  float result;  // within 2 ulp; -inf gives 0
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return std::exp2(x);
#endif
}

}  // namespace blockstitch::cuda
