// The instruction set of the CPU kernels: what the processor has, and which level is in use.
#pragma once

#include <cstddef>

namespace blockstitch {

struct KernelTable;

enum class KernelLevel : int { kPortable = 0, kAvx2 = 1, kAvx512 = 2, kAvx512Bf16 = 3 };

/// By level.
constexpr const char* kKernelLevels[] = {"portable", "avx2", "avx512", "avx512-bf16"};

/// Best level this processor has.
KernelLevel detectKernelLevel();
/// Level in use: the best one, until setKernelLevel says otherwise. For the whole process.
KernelLevel kernelLevel();
/// @returns false where the processor lacks the level; nothing changes then
bool setKernelLevel(KernelLevel level);

/// Kernels of the level in use for heads of `headDim`. AVX-512 has sixteen lanes: heads of other sizes take AVX2.
const KernelTable& kernelsFor(size_t headDim);

}  // namespace blockstitch
