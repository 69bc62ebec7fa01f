// Read loops and multiply-add loops for each instruction set.
#include "ceilings.h"

#include <chrono>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace blockstitch::bench {

namespace {

/// Bytes that a thread reads before it takes its next stretch.
constexpr size_t kStretch = 1 << 16;

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Keeps a value alive so that the loop that made it is not removed.
template <typename T>
void keep(T& value) {
  asm volatile("" : "+x"(value));
}

/// Sums `bytes` (a multiple of 512) at `from`. Prefetches `ahead` bytes further; 0 = never.
using Read = void (*)(const uint8_t* from, size_t bytes, size_t ahead);
using Multiply = void (*)(size_t rounds);

#if defined(__x86_64__)

__attribute__((target("avx512f"))) void read512(const uint8_t* from, size_t bytes, size_t ahead) {
  __m512i sums[8];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (size_t at = 0; at < bytes; at += 512) {
    for (size_t i = 0; i < 8; i++) {
      if (ahead > 0) _mm_prefetch(reinterpret_cast<const char*>(from + at + ahead + 64 * i), _MM_HINT_T0);
      sums[i] = _mm512_add_epi32(sums[i], _mm512_loadu_si512(from + at + 64 * i));
    }
  }
  for (__m512i& sum : sums) keep(sum);
}

__attribute__((target("avx2"))) void read256(const uint8_t* from, size_t bytes, size_t ahead) {
  __m256i sums[8];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (size_t at = 0; at < bytes; at += 256) {
    for (size_t i = 0; i < 8; i++) {
      if (ahead > 0 && i % 2 == 0) _mm_prefetch(reinterpret_cast<const char*>(from + at + ahead + 32 * i), _MM_HINT_T0);
      sums[i] = _mm256_add_epi32(sums[i], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at + 32 * i)));
    }
  }
  for (__m256i& sum : sums) keep(sum);
}

constexpr size_t kChains = 12;

__attribute__((target("avx512f"))) void multiply512(size_t rounds) {
  __m512 sums[kChains];
  for (size_t i = 0; i < kChains; i++) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  keep(a);
  keep(b);
  for (size_t round = 0; round < rounds; round++) {
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, a, b);
  }
  for (__m512& sum : sums) keep(sum);
}

__attribute__((target("avx2,fma"))) void multiply256(size_t rounds) {
  __m256 sums[kChains];
  for (size_t i = 0; i < kChains; i++) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  keep(a);
  keep(b);
  for (size_t round = 0; round < rounds; round++) {
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, a, b);
  }
  for (__m256& sum : sums) keep(sum);
}

__attribute__((target("avx512f,avx512bf16"))) void multiplyBf16(size_t rounds) {
  __m512 sums[kChains];
  for (size_t i = 0; i < kChains; i++) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512i a = _mm512_set1_epi32(0x3f7f3f7f), b = _mm512_set1_epi32(0x3a833a83);
  keep(a);
  keep(b);
  for (size_t round = 0; round < rounds; round++) {
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  for (__m512& sum : sums) keep(sum);
}

#endif

void readPlain(const uint8_t* from, size_t bytes, size_t) {
  const auto* words = reinterpret_cast<const uint64_t*>(from);
  volatile uint64_t sink = 0;
  uint64_t sums[8] = {};
  for (size_t at = 0; at < bytes / 8; at += 8) {
    for (size_t i = 0; i < 8; i++) sums[i] += words[at + i];
  }
  for (const uint64_t sum : sums) sink = sink + sum;
}

void multiplyPlain(size_t rounds) {
  float sums[96];
  for (size_t i = 0; i < 96; i++) sums[i] = static_cast<float>(i);
  for (size_t round = 0; round < rounds; round++) {
    for (float& sum : sums) sum = sum * 0.999f + 0.001f;
  }
  volatile float sink = 0;
  for (const float sum : sums) sink = sink + sum;
}

struct Loops {
  Read read;
  Multiply multiply;
  size_t lanesPerRound;
};

Loops loopsOf(KernelLevel level) {
#if defined(__x86_64__)
  if (level == KernelLevel::kAvx512Bf16) return {read512, multiplyBf16, 32 * kChains};
  if (level == KernelLevel::kAvx512) return {read512, multiply512, 16 * kChains};
  if (level == KernelLevel::kAvx2) return {read256, multiply256, 8 * kChains};
#else
  static_cast<void>(level);
#endif
  return {readPlain, multiplyPlain, 96};
}

constexpr size_t kAhead[kReadWays] = {0, 512, 2048, 4096};

}  // namespace

double readOnce(ThreadTeam& team, KernelLevel level, size_t way, const uint8_t* memory, size_t bytes) {
  const Read read = loopsOf(level).read;
  const size_t stretches = bytes / kStretch;
  const auto begin = std::chrono::steady_clock::now();
  team.run([&](size_t thread) {
    const size_t from = stretches * thread / team.threads(), to = stretches * (thread + 1) / team.threads();
    read(memory + from * kStretch, (to - from) * kStretch, kAhead[way]);
  });
  return secondsSince(begin) * static_cast<double>(bytes) / static_cast<double>(stretches * kStretch);
}

double productRate(ThreadTeam& team, KernelLevel level) {
  const Loops loops = loopsOf(level);
  constexpr size_t kRounds = 400'000;
  const auto begin = std::chrono::steady_clock::now();
  team.run([&](size_t) { loops.multiply(kRounds); });
  return 2.0 * static_cast<double>(kRounds * loops.lanesPerRound * team.threads()) / secondsSince(begin);
}

}  // namespace blockstitch::bench
