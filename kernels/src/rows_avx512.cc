// The row kernels for AVX-512 (F, BW, VL).
#include "row_functions.h"
#include "vec_avx512.h"

namespace blockstitch {

namespace {

struct Avx512Lanes {
  using Vec = Avx512Vec;

  /// In each stage a lane takes its partner's value plus or minus its own: x + y below, x - y above.
  static Vec turn(Vec x) {
    __m512 v = x.value;
    v = stage(v, _mm512_permute_ps(v, 0xB1), 0xAAAA);
    v = stage(v, _mm512_permute_ps(v, 0x4E), 0xCCCC);
    v = stage(v, _mm512_shuffle_f32x4(v, v, 0xB1), 0xF0F0);
    v = stage(v, _mm512_shuffle_f32x4(v, v, 0x4E), 0xFF00);
    return {v};
  }
  static Vec load(const int32_t* from) { return {_mm512_cvtepi32_ps(_mm512_loadu_si512(from))}; }
  static void bytes(Vec x, uint8_t* to) {
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(x.value), _mm512_set1_epi32(kByteZero));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole));
  }
  static Vec divide(Vec x, Vec y) { return {_mm512_div_ps(x.value, y.value)}; }
  static Vec oneFrom0(Vec x) {
    const __mmask16 from0 = _mm512_cmp_ps_mask(x.value, _mm512_setzero_ps(), _CMP_GE_OQ);
    return {_mm512_maskz_mov_ps(from0, _mm512_set1_ps(1.0f))};
  }

 private:
  static __m512 stage(__m512 own, __m512 partner, __mmask16 above) {
    return _mm512_mask_sub_ps(_mm512_add_ps(own, partner), above, partner, own);
  }
};

}  // namespace

const RowKernels& avx512RowKernels() { return RowFunctions<Avx512Lanes>::table(); }

}  // namespace blockstitch
