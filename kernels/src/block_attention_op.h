// The BlockAttention operator as ONNX Runtime's custom-op table sees it. Knows tensors and attributes; the work is attention.h.
#pragma once

#include <cstdint>

#include "ort_abi.h"

namespace blockstitch {

/// Domain of the operator; version 1.
constexpr const char* kOpDomain = "ai.blockstitch";

/// The CPU operator; lives as long as the process.
const ort::CustomOp* blockAttentionOp();

struct OperatorStatistics {
  uint64_t calls;
  uint64_t nanoseconds;
};

/// Since process start.
OperatorStatistics operatorStatistics();

}  // namespace blockstitch
