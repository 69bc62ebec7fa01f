// The 16-bit element types of queries and cached keys and values, as bits plus conversions that agree bit for bit
// between device and host (round to nearest, ties to even), and the packed pair that a matrix fragment is made of.
#pragma once

#include "simt.cuh"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace blockstitch::cuda {

struct Half {
  uint16_t bits;

  BS_BOTH static Half fromFloat(float value) {
#if BS_ON_DEVICE
    return {__half_as_ushort(__float2half_rn(value))};
#else
    uint32_t x;
    std::memcpy(&x, &value, 4);
    const uint16_t sign = static_cast<uint16_t>((x >> 16) & 0x8000u);
    const uint32_t magnitude = x & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
    if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};
    if (magnitude < 0x38800000u) {  // below the smallest normal half: let float addition round to its last place
      float shifted;
      std::memcpy(&shifted, &magnitude, 4);
      shifted += 0.5f;
      uint32_t rounded;
      std::memcpy(&rounded, &shifted, 4);
      return {static_cast<uint16_t>(sign | (rounded - 0x3f000000u))};
    }
    const uint32_t odd = (magnitude >> 13) & 1u;
    return {static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13))};
#endif
  }

  BS_BOTH float toFloat() const {
#if BS_ON_DEVICE
    return __half2float(__ushort_as_half(bits));
#else
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu;
    const uint32_t mantissa = bits & 0x3ffu;
    float value;
    if (exponent == 0) {
      value = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
      uint32_t x;
      std::memcpy(&x, &value, 4);
      x |= sign;
      std::memcpy(&value, &x, 4);
      return value;
    }
    const uint32_t x = exponent == 31 ? sign | 0x7f800000u | (mantissa << 13)
                                      : sign | ((exponent + 112u) << 23) | (mantissa << 13);
    std::memcpy(&value, &x, 4);
    return value;
#endif
  }
};

struct BFloat16 {
  uint16_t bits;

  BS_BOTH static BFloat16 fromFloat(float value) {
#if BS_ON_DEVICE
    return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#else
    uint32_t x;
    std::memcpy(&x, &value, 4);
    if ((x & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((x >> 16) | 0x40u)};
    return {static_cast<uint16_t>((x + 0x7fffu + ((x >> 16) & 1u)) >> 16)};
#endif
  }

  BS_BOTH float toFloat() const {
    const uint32_t x = static_cast<uint32_t>(bits) << 16;
#if BS_ON_DEVICE
    return __uint_as_float(x);
#else
    float value;
    std::memcpy(&value, &x, 4);
    return value;
#endif
  }
};

// Two elements in one 32-bit register, the lower-numbered one in the low half.
template <class C>
BS_BOTH uint32_t packPair(C low, C high) {
  return static_cast<uint32_t>(low.bits) | (static_cast<uint32_t>(high.bits) << 16);
}

template <class C>
BS_BOTH uint32_t packFloats(float low, float high) {
  return packPair(C::fromFloat(low), C::fromFloat(high));
}

template <class C>
BS_BOTH float lowFloat(uint32_t pair) {
  return C{static_cast<uint16_t>(pair & 0xffffu)}.toFloat();
}

template <class C>
BS_BOTH float highFloat(uint32_t pair) {
  return C{static_cast<uint16_t>(pair >> 16)}.toFloat();
}

// Takes the low halves, or the high halves, of two registers: {a.low, b.low} or {a.high, b.high}.
BS_BOTH uint32_t pairLows(uint32_t a, uint32_t b) {
#if BS_ON_DEVICE
  return __byte_perm(a, b, 0x5410);
#else
  return (a & 0xffffu) | (b << 16);
#endif
}

BS_BOTH uint32_t pairHighs(uint32_t a, uint32_t b) {
#if BS_ON_DEVICE
  return __byte_perm(a, b, 0x7632);
#else
  return (a >> 16) | (b & 0xffff0000u);
#endif
}

// Two signed bytes of `word` (byte `first` and the next) as a pair of C; exact. Bytes are put under the exponent of a
// number whose last place is 1 (1024 for half, 2^23 for float). This saves integer conversions, which run at a quarter of
// the rate or less.
template <class C>
BS_BOTH uint32_t packBytes(uint32_t word, int first);

template <>
BS_BOTH uint32_t packBytes<Half>(uint32_t word, int first) {
#if BS_ON_DEVICE
  // Bytes b + 128 as halves 1024 + 128 + b, less 1152.
  const uint32_t biased = __byte_perm(word ^ 0x80808080u, 0x64646464u, first == 0 ? 0x4140 : 0x4342);
  const uint32_t offset = 0x64806480u;
  const __half2 pair = __hsub2(*reinterpret_cast<const __half2*>(&biased), *reinterpret_cast<const __half2*>(&offset));
  return *reinterpret_cast<const uint32_t*>(&pair);
#else
  const float low = static_cast<float>(static_cast<int8_t>((word >> (8 * first)) & 0xffu));
  const float high = static_cast<float>(static_cast<int8_t>((word >> (8 * first + 8)) & 0xffu));
  return packFloats<Half>(low, high);
#endif
}

template <>
BS_BOTH uint32_t packBytes<BFloat16>(uint32_t word, int first) {
#if BS_ON_DEVICE
  // Bytes b + 128 as floats 2^23 + 128 + b, less 2^23 + 128; eight bits of value lie in the upper half.
  const uint32_t biased = word ^ 0x80808080u;
  const float low = __uint_as_float(__byte_perm(biased, 0x4b000000u, first == 0 ? 0x7650 : 0x7652)) - 8388736.0f;
  const float high = __uint_as_float(__byte_perm(biased, 0x4b000000u, first == 0 ? 0x7651 : 0x7653)) - 8388736.0f;
  return __byte_perm(__float_as_uint(low), __float_as_uint(high), 0x7632);
#else
  const float low = static_cast<float>(static_cast<int8_t>((word >> (8 * first)) & 0xffu));
  const float high = static_cast<float>(static_cast<int8_t>((word >> (8 * first + 8)) & 0xffu));
  return packFloats<BFloat16>(low, high);
#endif
}

}  // namespace blockstitch::cuda
