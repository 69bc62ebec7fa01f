// Chooses the kernels by what the processor has; see kernel_level.h.
#include "kernel_level.h"

#include <atomic>

#include "attention_kernels.h"

namespace blockstitch {

namespace {

std::atomic<int>& levelStore() {
  static std::atomic<int> level{static_cast<int>(detectKernelLevel())};
  return level;
}

}  // namespace

KernelLevel detectKernelLevel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return __builtin_cpu_supports("avx512bf16") ? KernelLevel::kAvx512Bf16 : KernelLevel::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    return KernelLevel::kAvx2;
  }
#endif
  return KernelLevel::kPortable;
}

KernelLevel kernelLevel() { return static_cast<KernelLevel>(levelStore().load(std::memory_order_relaxed)); }

bool setKernelLevel(KernelLevel level) {
  if (static_cast<int>(level) > static_cast<int>(detectKernelLevel())) return false;
  levelStore().store(static_cast<int>(level), std::memory_order_relaxed);
  return true;
}

const KernelTable& kernelsFor(size_t headDim) {
#if defined(__x86_64__)
  switch (kernelLevel()) {
    case KernelLevel::kAvx512Bf16: return headDim % 16 == 0 ? avx512Bf16Kernels() : avx2Kernels();
    case KernelLevel::kAvx512: return headDim % 16 == 0 ? avx512Kernels() : avx2Kernels();
    case KernelLevel::kAvx2: return avx2Kernels();
    case KernelLevel::kPortable: break;
  }
#else
  static_cast<void>(headDim);
#endif
  return portableKernels();
}

}  // namespace blockstitch
