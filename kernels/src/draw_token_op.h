// The DrawToken operator as ONNX Runtime's custom-op table sees it: the draws of a step, so that rows of logits need not leave
// the graph. Knows tensors; draw_token.h does the work.
#pragma once

#include "ort_abi.h"

namespace blockstitch {

/// Inputs:
///   logits        float32 [L, vocab]
///   best          float32 [L, k], the greatest logit of each row first
///   draw_rules    float64 [L, 5]: temperature (0: no draw), point, repetition, presence, frequency; see DrawRules
///   adjusted_from int32 [L + 1]: where each row's adjustments begin, and the end of the last
///   adjusted      int32 [N, 3]: id, counts, the bits of the float32 bias; see Adjustment
/// Outputs, 0 where there is no draw:
///   drawn_ids     int32 [L]
///   drawn_logits  float32 [L], before adjustments
/// The operator lives as long as the process.
const ort::CustomOp* drawTokenOp();

}  // namespace blockstitch
