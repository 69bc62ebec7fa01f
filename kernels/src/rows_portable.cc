// The row kernels in plain C++, and the choice between the levels.
#include "kernel_level.h"
#include "row_functions.h"
#include "vec_portable.h"

namespace blockstitch {

namespace {

struct PortableLanes {
  using Vec = PortableVec;

  static Vec turn(Vec x) {
    for (size_t half = 1; half < Vec::kLanes; half *= 2) {
      for (size_t i = 0; i < Vec::kLanes; i++) {
        if ((i & half) != 0) continue;
        const float low = x.lane[i];
        const float high = x.lane[i + half];
        x.lane[i] = low + high;
        x.lane[i + half] = low - high;
      }
    }
    return x;
  }
  static Vec load(const int32_t* from) {
    Vec result;
    for (size_t i = 0; i < Vec::kLanes; i++) result.lane[i] = static_cast<float>(from[i]);
    return result;
  }
  static void bytes(Vec x, uint8_t* to) {
    for (size_t i = 0; i < Vec::kLanes; i++) {
      to[i] = static_cast<uint8_t>(static_cast<int>(std::nearbyintf(x.lane[i])) + kByteZero);
    }
  }
  static Vec divide(Vec x, Vec y) {
    for (size_t i = 0; i < Vec::kLanes; i++) x.lane[i] /= y.lane[i];
    return x;
  }
  static Vec oneFrom0(Vec x) {
    for (float& each : x.lane) each = each >= 0 ? 1.0f : 0.0f;
    return x;
  }
};

}  // namespace

const RowKernels& portableRowKernels() { return RowFunctions<PortableLanes>::table(); }

const RowKernels& rowKernels() {
#if defined(__x86_64__)
  const KernelLevel level = kernelLevel();
  if (level >= KernelLevel::kAvx512) return avx512RowKernels();
  if (level >= KernelLevel::kAvx2) return avx2RowKernels();
#endif
  return portableRowKernels();
}

}  // namespace blockstitch
