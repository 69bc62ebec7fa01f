// Measures what this machine can do at best: bytes read per second, multiply-adds per second.
// The floor of the attention kernel follows from these, so each is the best of several ways.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention.h"
#include "thread_team.h"

namespace blockstitch::bench {

/// Ways of reading memory: plain, and with prefetches.
constexpr size_t kReadWays = 4;

/// Reads `bytes` at `memory` once, each thread a part of its own. @returns seconds
double readOnce(ThreadTeam& team, KernelLevel level, size_t way, const uint8_t* memory, size_t bytes);

/// Products of the level on registers only, on all threads: float32, or pairs of bfloat16.
/// @returns operations per second; a multiply-add counts as two
double productRate(ThreadTeam& team, KernelLevel level);

}  // namespace blockstitch::bench
