// Sixteen float lanes with AVX-512 (F, BW, VL). Include only in files compiled with those flags.
#pragma once

#include <immintrin.h>

#include "element.h"

namespace blockstitch {

struct Avx512Vec {
  static constexpr size_t kLanes = 16;
  static constexpr size_t kRegisters = 32;
  __m512 value;

  static Avx512Vec broadcast(float value) { return {_mm512_set1_ps(value)}; }
  static Avx512Vec zero() { return {_mm512_setzero_ps()}; }
  static Avx512Vec load(const float* from) { return {_mm512_loadu_ps(from)}; }
  static Avx512Vec load(const Half* from) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
  }
  static Avx512Vec load(const Bfloat16* from) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  static Avx512Vec load(const int8_t* from) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))))};
  }
  void write(float* to) const { _mm512_storeu_ps(to, value); }
  void write(Half* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  void write(int8_t* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value)));
  }
  static Avx512Vec multiplyAdd(Avx512Vec a, Avx512Vec b, Avx512Vec c) {
    return {_mm512_fmadd_ps(a.value, b.value, c.value)};
  }
  friend Avx512Vec operator*(Avx512Vec a, Avx512Vec b) { return {_mm512_mul_ps(a.value, b.value)}; }
  friend Avx512Vec operator+(Avx512Vec a, Avx512Vec b) { return {_mm512_add_ps(a.value, b.value)}; }
  friend Avx512Vec operator-(Avx512Vec a, Avx512Vec b) { return {_mm512_sub_ps(a.value, b.value)}; }
  static Avx512Vec max(Avx512Vec a, Avx512Vec b) { return {_mm512_max_ps(a.value, b.value)}; }
  static Avx512Vec round(Avx512Vec a) {
    return {_mm512_roundscale_ps(a.value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static Avx512Vec powerOfTwo(Avx512Vec n) {
    const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.value), _mm512_set1_epi32(127));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
  }
  static bool anyGreater(Avx512Vec a, Avx512Vec b) { return _mm512_cmp_ps_mask(a.value, b.value, _CMP_GT_OQ) != 0; }
  float horizontalMax() const { return _mm512_reduce_max_ps(value); }
  float horizontalSum() const { return _mm512_reduce_add_ps(value); }
};

}  // namespace blockstitch
