// What this device can do, measured: a copy of 1 GiB, and a product of two bfloat16 matrices of 8192 x 8192. The product
// is cuBLAS's where that library can be opened, else a plain tensor-core loop over registers, which is said.
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdio>

#include "harness.h"
#include "mma.cuh"

namespace blockstitch::harness {

namespace {

constexpr size_t kCopyBytes = size_t{1} << 30;
constexpr int kMatrix = 8192;
constexpr int kLoops = 4096;
constexpr int kProductsPerLoop = 16;

// Tensor-core products on registers alone: an upper bound for any kernel that uses mma.sync.
__global__ void __launch_bounds__(256) multiplyForever(float* sink) {
  using namespace cuda;
  PerLane<FragmentD> sums[kProductsPerLoop] = {};
  PerLane<FragmentA> a;
  PerLane<FragmentB> b;
  for (int i = 0; i < 4; ++i) a.value.pair[i] = 0x3f803f80u + threadIdx.x;
  for (int i = 0; i < 2; ++i) b.value.pair[i] = 0x3f803f80u - threadIdx.x;
  for (int loop = 0; loop < kLoops; ++loop) {
#pragma unroll
    for (int i = 0; i < kProductsPerLoop; ++i) multiplyAccumulate<BFloat16>(sums[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < kProductsPerLoop; ++i) total += sums[i].value.value[0];
  if (total == 12345.0f) *sink = total;  // keeps the products from being optimized away
}

// The three calls of cuBLAS's C interface that are needed, found at run time: the harness must build without it.
class Cublas {
 public:
  Cublas() {
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
      library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library_ != nullptr) break;
    }
    if (library_ == nullptr) return;
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(library_, "cublasCreate_v2"));
    setStream_ = reinterpret_cast<int (*)(void*, cudaStream_t)>(dlsym(library_, "cublasSetStream_v2"));
    multiply_ = reinterpret_cast<Multiply>(dlsym(library_, "cublasGemmEx"));
    usable_ = create != nullptr && setStream_ != nullptr && multiply_ != nullptr && create(&handle_) == 0;
  }
  bool usable() const { return usable_; }
  bool multiply(cudaStream_t stream, const void* a, const void* b, void* c, int n) {
    constexpr int kTranspose = 1, kPlain = 0, kBf16 = 14 /* CUDA_R_16BF */, kCompute32 = 68, kDefaultAlgorithm = -1;
    const float one = 1, zero = 0;
    setStream_(handle_, stream);
    return multiply_(handle_, kTranspose, kPlain, n, n, n, &one, a, kBf16, n, b, kBf16, n, &zero, c, kBf16, n, kCompute32,
                     kDefaultAlgorithm) == 0;
  }

 private:
  using Multiply = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                           const void*, void*, int, int, int, int);
  void* library_ = nullptr;
  void* handle_ = nullptr;
  int (*setStream_)(void*, cudaStream_t) = nullptr;
  Multiply multiply_ = nullptr;
  bool usable_ = false;
};

double copyRate(cudaStream_t stream) {
  const Device<unsigned char> from(kCopyBytes), to(kCopyBytes);
  check(cudaMemset(from.data(), 1, kCopyBytes), "filling memory");
  const double ms = medianMs(stream, 20, [&] {
    check(cudaMemcpyAsync(to.data(), from.data(), kCopyBytes, cudaMemcpyDeviceToDevice, stream), "copying");
  });
  return 2.0 * static_cast<double>(kCopyBytes) / (ms / 1e3);
}

}  // namespace

Ceilings measureCeilings(cudaStream_t stream) {
  Ceilings result{copyRate(stream), 0, ""};
  Cublas cublas;
  if (cublas.usable()) {
    const size_t elements = static_cast<size_t>(kMatrix) * kMatrix;
    const Device<uint16_t> a(elements), b(elements), c(elements);
    check(cudaMemset(a.data(), 0x3c, elements * 2), "filling memory");
    check(cudaMemset(b.data(), 0x3c, elements * 2), "filling memory");
    bool worked = true;
    const double ms = medianMs(stream, 10, [&] { worked = worked && cublas.multiply(stream, a.data(), b.data(), c.data(), kMatrix); });
    if (worked) {
      result.flopsPerSecond = 2.0 * kMatrix * static_cast<double>(kMatrix) * kMatrix / (ms / 1e3);
      result.productOf = "cuBLAS, 8192 x 8192 x 8192";
      return result;
    }
  }
  int device = 0, processors = 0;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "asking for processors");
  const Device<float> sink(1);
  const int blocks = processors * 4;
  const double ms = medianMs(stream, 10, [&] {
    multiplyForever<<<blocks, 256, 0, stream>>>(sink.data());
    check(cudaGetLastError(), "launching products");
  });
  result.flopsPerSecond = static_cast<double>(blocks) * 8 * kLoops * kProductsPerLoop * 2 * 16 * 8 * 16 / (ms / 1e3);
  result.productOf = "mma.sync on registers (no cuBLAS found; no matrix product can be faster with mma.sync)";
  return result;
}

}  // namespace blockstitch::harness
