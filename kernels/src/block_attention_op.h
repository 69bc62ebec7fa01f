// The BlockAttention operator of the CPU, as ONNX Runtime's custom-op table sees it.
// Knows tensors and attributes; attention.h does the work.
#pragma once

#include <cstdint>

#include "ort_abi.h"

namespace blockstitch {

/// Domain of the operator; version 1.
constexpr const char* kOpDomain = "ai.blockstitch";

/// The CPU operator; lives as long as the process.
const ort::CustomOp* blockAttentionOp();

/// Of the CPU operator, over all sessions since process start.
struct OperatorStatistics {
  uint64_t calls;        ///< one per layer and step, failed ones too
  uint64_t nanoseconds;  ///< spent in those calls
  uint64_t plans;        ///< steps that were read and planned: one per step, whatever its layers
};

OperatorStatistics operatorStatistics();

}  // namespace blockstitch
