// One tensor-core product, D[16,8] += A[16,16] B[16,8] with float32 sums, for half and bfloat16 operands; the host build
// emulates it. Fragment layouts (PTX ISA, "Matrix Fragments for mma.m16n8k16"; g = lane / 4, q = lane % 4):
//   A  registers 0..3: rows g, g+8, g, g+8; columns 2q, 2q+1 (registers 0, 1) and 2q+8, 2q+9 (registers 2, 3)
//   B  registers 0..1: column g; rows 2q, 2q+1 (register 0) and 2q+8, 2q+9 (register 1)
//   D  floats 0..3: rows g, g, g+8, g+8; columns 2q, 2q+1, 2q, 2q+1
#pragma once

#include "element_types.cuh"

namespace blockstitch::cuda {

struct FragmentA {
  uint32_t pair[4];
};
struct FragmentB {
  uint32_t pair[2];
};
struct FragmentD {
  float value[4];
};

#if defined(__CUDACC__)

template <class C>
BS_DEVICE void multiplyAccumulate(PerLane<FragmentD>& d, const PerLane<FragmentA>& a, const PerLane<FragmentB>& b);

template <>
BS_DEVICE void multiplyAccumulate<Half>(PerLane<FragmentD>& d, const PerLane<FragmentA>& a,
                                        const PerLane<FragmentB>& b) {
  float* out = d.value.value;
  const uint32_t* left = a.value.pair;
  const uint32_t* right = b.value.pair;
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(out[0]), "+f"(out[1]), "+f"(out[2]), "+f"(out[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

template <>
BS_DEVICE void multiplyAccumulate<BFloat16>(PerLane<FragmentD>& d, const PerLane<FragmentA>& a,
                                            const PerLane<FragmentB>& b) {
  float* out = d.value.value;
  const uint32_t* left = a.value.pair;
  const uint32_t* right = b.value.pair;
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(out[0]), "+f"(out[1]), "+f"(out[2]), "+f"(out[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

#else

template <class C>
void multiplyAccumulate(PerLane<FragmentD>& d, const PerLane<FragmentA>& a, const PerLane<FragmentB>& b) {
  float left[16][16];
  float right[16][8];
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    const int g = lane / 4;
    const int q = lane % 4;
    for (int r = 0; r < 4; ++r) {
      const int row = g + 8 * (r % 2);
      const int column = 2 * q + 8 * (r / 2);
      left[row][column] = lowFloat<C>(a[lane].pair[r]);
      left[row][column + 1] = highFloat<C>(a[lane].pair[r]);
    }
    for (int r = 0; r < 2; ++r) {
      right[2 * q + 8 * r][g] = lowFloat<C>(b[lane].pair[r]);
      right[2 * q + 8 * r + 1][g] = highFloat<C>(b[lane].pair[r]);
    }
  }
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2);
      const int column = 2 * (lane % 4) + i % 2;
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += left[row][k] * right[k][column];
      d[lane].value[i] += sum;
    }
  }
}

#endif

}  // namespace blockstitch::cuda
