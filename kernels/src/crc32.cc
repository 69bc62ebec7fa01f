// CRC-32 by carry-less products where the processor has them, else by tables; see crc32.h.
#include "crc32.h"

#include <array>
#include <cstring>

#include "kernel_level.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace blockstitch {

namespace {

/// Bytes that one round of table look-ups takes (Kounavis and Berry, "Novel Table Lookup-Based Algorithms", 2008).
constexpr size_t kSlices = 8;
using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

constexpr Tables makeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ ((sum & 1) ? 0xedb88320u : 0);
    tables[0][byte] = sum;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (size_t slice = 1; slice < kSlices; slice++) {
      const uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = makeTables();

/// @param sum inverted, as in all functions here
uint32_t byTables(uint32_t sum, const uint8_t* bytes, size_t length) {
  for (; length >= kSlices; bytes += kSlices, length -= kSlices) {
    uint32_t next = 0;
    for (size_t i = 0; i < 4; i++) next ^= kTables[7 - i][((sum >> (8 * i)) & 0xff) ^ bytes[i]];
    for (size_t i = 4; i < 8; i++) next ^= kTables[7 - i][bytes[i]];
    sum = next;
  }
  for (; length > 0; bytes++, length--) sum = (sum >> 8) ^ kTables[0][(sum ^ *bytes) & 0xff];
  return sum;
}

#if defined(__x86_64__)

/// Bytes that one round folds: four sums side by side.
constexpr size_t kRound = 64;
/// Below it the tables are as fast.
constexpr size_t kLeast = 2 * kRound;

__attribute__((target("pclmul,sse4.1"))) inline __m128i folded(__m128i sum, __m128i by, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(sum, by, 0x00);
  const __m128i high = _mm_clmulepi64_si128(sum, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i at(const uint8_t* bytes, size_t lane) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + lane);
}

/// Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009): four sums
/// over 128 bits each are carried 512 bits ahead by a product each; then they are folded into one. The last 16 bytes
/// go through the tables, which spares the reduction. @param length a multiple of 16, kLeast or more
__attribute__((target("pclmul,sse4.1"))) uint32_t byProducts(uint32_t sum, const uint8_t* bytes, size_t length) {
  // x^(512+64), x^512, x^(128+64), x^128 modulo the polynomial, reflected.
  const __m128i fourAhead = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  const __m128i oneAhead = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
  __m128i sums[4];
  for (size_t lane = 0; lane < 4; lane++) sums[lane] = at(bytes, lane);
  sums[0] = _mm_xor_si128(sums[0], _mm_cvtsi32_si128(static_cast<int>(sum)));
  bytes += kRound, length -= kRound;
  for (; length >= kRound; bytes += kRound, length -= kRound) {
    for (size_t lane = 0; lane < 4; lane++) sums[lane] = folded(sums[lane], fourAhead, at(bytes, lane));
  }
  __m128i all = sums[0];
  for (size_t lane = 1; lane < 4; lane++) all = folded(all, oneAhead, sums[lane]);
  for (; length > 0; bytes += 16, length -= 16) all = folded(all, oneAhead, at(bytes, 0));
  uint8_t rest[16];
  std::memcpy(rest, &all, sizeof rest);
  return byTables(0, rest, sizeof rest);
}

bool hasProducts() {
  static const bool has = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  return has && kernelLevel() != KernelLevel::kPortable;
}

#endif

}  // namespace

uint32_t crc32(uint32_t sum, const uint8_t* bytes, size_t length) {
  sum = ~sum;
#if defined(__x86_64__)
  if (length >= kLeast && hasProducts()) {
    const size_t whole = length / 16 * 16;
    sum = byProducts(sum, bytes, whole);
    bytes += whole, length -= whole;
  }
#endif
  return ~byTables(sum, bytes, length);
}

}  // namespace blockstitch
