// The BlockAttention operator of the CPU, as ONNX Runtime's custom-op table sees it.
// Knows tensors and attributes; attention.h does the work.
#pragma once

#include <chrono>
#include <cstdint>

#include "attention.h"
#include "op_tensors.h"
#include "ort_abi.h"

namespace blockstitch {

/// Domain of the operator; version 1.
constexpr const char* kOpDomain = "ai.blockstitch";

/// The CPU operator; lives as long as the process.
const ort::CustomOp* blockAttentionOp();

/// Attention of one layer and step: finds the pool and the plan, and works with ONNX Runtime's threads.
/// @param output float32 [rows, heads * headDim]
/// @returns null, or a status that says what is wrong with the step
ort::Status* attendStep(ort::Api api, const ort::KernelContext* context, const AttentionShape& shape, const OpInputs& inputs,
                        float* output);

/// Counts one call of an operator with attention, from its making to its end.
class CountedCall {
 public:
  CountedCall();
  CountedCall(const CountedCall&) = delete;
  ~CountedCall();

 private:
  std::chrono::steady_clock::time_point begin_;
};

/// Of the operators with attention, over all sessions since process start.
struct OperatorStatistics {
  uint64_t calls;        ///< one per layer and step, failed ones too
  uint64_t nanoseconds;  ///< spent in those calls
  uint64_t plans;        ///< steps that were read and planned: one per step, whatever its layers
};

OperatorStatistics operatorStatistics();

}  // namespace blockstitch
