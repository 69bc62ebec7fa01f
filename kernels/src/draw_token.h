// Draws one token from a row of logits: after penalties and bias, by weight exp((logit - best) / temperature).
// Knows floats. draw_token_op.h knows ONNX Runtime; src/engine/sampling knows which requests draw this way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace blockstitch {

/// What one request asks for.
struct DrawRules {
  double temperature;  ///< > 0
  double point;        ///< in [0, 1): where the draw falls
  double repetition;   ///< divides positive logits of seen tokens, multiplies others
  double presence;     ///< taken from the logit of a generated token
  double frequency;    ///< the same, times how often it was generated
};

/// A token whose logit changes. The layout is that of src/engine/sampling/logit-adjustments.ts.
struct Adjustment {
  int32_t id;      ///< ids outside the vocabulary are passed over
  int32_t counts;  ///< twice the times it was generated, plus one if the repetition penalty counts it
  float bias;
};

struct DrawnToken {
  int32_t id;
  float logit;  ///< as the model gave it
};

/// Each step is rounded to float32, in this order: repetition, presence and frequency, bias.
float adjustedLogit(float logit, const DrawRules& rules, const Adjustment& adjustment);

/// Takes the first token, in order of id, at which the cumulative weight exceeds point * total. Weights are float32 (off by
/// 3e-7 of themselves at most), sums of 1024 of them too, and sums of those are float64.
/// The same row, rules and adjustments give the same token.
///
/// @param row         [vocab], vocab >= 1
/// @param best        the greatest logit of the row
/// @param adjustments [count], each id once, in any order
DrawnToken drawToken(const float* row, size_t vocab, float best, const DrawRules& rules, const Adjustment* adjustments,
                     size_t count);

}  // namespace blockstitch
