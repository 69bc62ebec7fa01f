// Eight float lanes with AVX2, FMA and F16C. Include only in files compiled with -mavx2 -mfma -mf16c.
#pragma once

#include <immintrin.h>

#include "element.h"

namespace blockstitch {

struct Avx2Vec {
  static constexpr size_t kLanes = 8;
  static constexpr size_t kRegisters = 16;
  __m256 value;

  static Avx2Vec broadcast(float value) { return {_mm256_set1_ps(value)}; }
  static Avx2Vec zero() { return {_mm256_setzero_ps()}; }
  static Avx2Vec load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Avx2Vec load(const Half* from) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Avx2Vec load(const Bfloat16* from) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  static Avx2Vec load(const int8_t* from) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))))};
  }
  void write(float* to) const { _mm256_storeu_ps(to, value); }
  void write(Half* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  void write(int8_t* to) const {
    const __m256i whole = _mm256_cvtps_epi32(value);
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(halves, halves));
  }
  static Avx2Vec multiplyAdd(Avx2Vec a, Avx2Vec b, Avx2Vec c) { return {_mm256_fmadd_ps(a.value, b.value, c.value)}; }
  friend Avx2Vec operator*(Avx2Vec a, Avx2Vec b) { return {_mm256_mul_ps(a.value, b.value)}; }
  friend Avx2Vec operator+(Avx2Vec a, Avx2Vec b) { return {_mm256_add_ps(a.value, b.value)}; }
  friend Avx2Vec operator-(Avx2Vec a, Avx2Vec b) { return {_mm256_sub_ps(a.value, b.value)}; }
  static Avx2Vec max(Avx2Vec a, Avx2Vec b) { return {_mm256_max_ps(a.value, b.value)}; }
  static Avx2Vec round(Avx2Vec a) {
    return {_mm256_round_ps(a.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static Avx2Vec powerOfTwo(Avx2Vec n) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.value), _mm256_set1_epi32(127));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(biased, 23))};
  }
  static bool anyGreater(Avx2Vec a, Avx2Vec b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a.value, b.value, _CMP_GT_OQ)) != 0;
  }
  float horizontalMax() const {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
  }
  float horizontalSum() const {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
  }
};

}  // namespace blockstitch
