// Element types of cached keys and values and their scalar conversions (round to nearest even).
// Knows bits; vector conversions live with each instruction set in vec_*.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace blockstitch {

enum class KvDtype : int { kFloat32 = 0, kFloat16 = 1, kBfloat16 = 2, kInt8 = 3 };

inline size_t elementBytes(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kFloat32: return 4;
    case KvDtype::kFloat16:
    case KvDtype::kBfloat16: return 2;
    case KvDtype::kInt8: return 1;
  }
  return 0;
}

inline uint32_t floatBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float bitsFloat(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// IEEE binary16, stored as bits.
struct Half {
  uint16_t bits;
};

/// bfloat16, stored as bits.
struct Bfloat16 {
  uint16_t bits;
};

inline float toFloat(float value) { return value; }
inline float toFloat(int8_t value) { return static_cast<float>(value); }
inline float toFloat(Bfloat16 value) { return bitsFloat(static_cast<uint32_t>(value.bits) << 16); }

inline float toFloat(Half half) {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
  const uint32_t exponent = (half.bits >> 10) & 0x1fu;
  const uint32_t fraction = half.bits & 0x3ffu;
  if (exponent == 31) return bitsFloat(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return bitsFloat(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float small = static_cast<float>(fraction) * 5.9604644775390625e-8f;  // 2^-24
  return bitsFloat(sign | floatBits(small));
}

inline void store(float value, float* to) { *to = value; }

inline void store(float value, Bfloat16* to) {
  const uint32_t bits = floatBits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    to->bits = static_cast<uint16_t>((bits >> 16) | 0x40u);
    return;
  }
  to->bits = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline void store(float value, Half* to) {
  const uint32_t bits = floatBits(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    to->bits = static_cast<uint16_t>(sign | 0x7e00u);
  } else if (magnitude >= 0x477ff000u) {
    to->bits = static_cast<uint16_t>(sign | 0x7c00u);  // rounds beyond the largest half
  } else if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 leaves the rounded value in the low bits of the sum.
    to->bits = static_cast<uint16_t>(sign | (floatBits(bitsFloat(magnitude) + 0.5f) - 0x3f000000u));
  } else {
    const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    to->bits = static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
  }
}

}  // namespace blockstitch
