// The row kernels for AVX2.
#include "row_functions.h"
#include "vec_avx2.h"

namespace blockstitch {

namespace {

struct Avx2Lanes {
  using Vec = Avx2Vec;

  /// In each stage a lane takes its partner's value plus or minus its own: x + y below, x - y above.
  static Vec turn(Vec x) {
    __m256 v = x.value;
    v = _mm256_add_ps(_mm256_permute_ps(v, 0xB1), negated(v, 0, -1, 0, -1, 0, -1, 0, -1));
    v = _mm256_add_ps(_mm256_permute_ps(v, 0x4E), negated(v, 0, 0, -1, -1, 0, 0, -1, -1));
    v = _mm256_add_ps(_mm256_permute2f128_ps(v, v, 1), negated(v, 0, 0, 0, 0, -1, -1, -1, -1));
    return {v};
  }
  static Vec load(const int32_t* from) {
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
  }
  static void bytes(Vec x, uint8_t* to) {
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(x.value), _mm256_set1_epi32(kByteZero));
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
  }
  static Vec divide(Vec x, Vec y) { return {_mm256_div_ps(x.value, y.value)}; }
  static Vec oneFrom0(Vec x) {
    return {_mm256_and_ps(_mm256_cmp_ps(x.value, _mm256_setzero_ps(), _CMP_GE_OQ), _mm256_set1_ps(1.0f))};
  }

 private:
  /// The lanes with a mark change their sign.
  template <typename... Marks>
  static __m256 negated(__m256 v, Marks... marks) {
    const __m256i sign = _mm256_slli_epi32(_mm256_setr_epi32(marks...), 31);
    return _mm256_xor_ps(v, _mm256_castsi256_ps(sign));
  }
};

}  // namespace

const RowKernels& avx2RowKernels() { return RowFunctions<Avx2Lanes>::table(); }

}  // namespace blockstitch
