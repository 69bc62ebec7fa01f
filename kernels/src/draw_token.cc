// One pass over the row by chunks, then one chunk again. A chunk with adjusted tokens is copied, so that the row stays as
// it is. See draw_token.h.
#include "draw_token.h"

#include <algorithm>
#include <cfloat>
#include <vector>

#include "attention_kernels.h"
#include "kernel_level.h"

namespace blockstitch {

namespace {

constexpr size_t kChunk = kWeighMultiple * 16;
/// 1 / temperature at most: beyond it every logit but the best weighs nothing anyway, and 0 times it stays 0.
constexpr double kMostScale = 1e30;
/// Weights at or below this come from logits too far below the best to be drawn.
constexpr float kNothing = 1e-30f;

class Row {
 public:
  Row(const float* logits, size_t vocab, const DrawRules& rules, const Adjustment* adjustments, size_t count)
      : logits_(logits), vocab_(vocab), rules_(rules), scale_(static_cast<float>(std::min(1 / rules.temperature, kMostScale))) {
    sort(adjustments, count);
  }

  DrawnToken draw(float best) {
    float reference = best;
    for (const Adjustment& each : sorted_) {
      reference = std::max(reference, adjustedLogit(logits_[each.id], rules_, each));
    }
    double total = weigh(reference);
    // No token has the reference any more: penalties have lowered the best ones.
    if (total < 0.5) total = weigh(greatest());
    return find(rules_.point * total);
  }

 private:
  size_t chunks() const { return sums_.size(); }
  size_t sizeOf(size_t chunk) const { return std::min(kChunk, vocab_ - chunk * kChunk); }

  /// Puts the adjustments in order of their chunks (a counting sort).
  void sort(const Adjustment* adjustments, size_t count) {
    sums_.resize((vocab_ + kChunk - 1) / kChunk);
    first_.assign(chunks() + 1, 0);
    const auto inside = [&](const Adjustment& each) { return each.id >= 0 && static_cast<size_t>(each.id) < vocab_; };
    for (size_t i = 0; i < count; i++) {
      if (inside(adjustments[i])) first_[static_cast<size_t>(adjustments[i].id) / kChunk + 1]++;
    }
    for (size_t chunk = 0; chunk < chunks(); chunk++) first_[chunk + 1] += first_[chunk];
    sorted_.resize(first_[chunks()]);
    for (size_t i = 0; i < count; i++) {
      if (inside(adjustments[i])) sorted_[first_[static_cast<size_t>(adjustments[i].id) / kChunk]++] = adjustments[i];
    }
    // Each place moved to the end of its chunk, which is where the next one begins.
    for (size_t chunk = chunks(); chunk > 0; chunk--) first_[chunk] = first_[chunk - 1];
    first_[0] = 0;
  }

  /// A whole chunk of adjusted logits; what is beyond the vocabulary weighs nothing.
  const float* chunkAt(size_t chunk) {
    const float* from = logits_ + chunk * kChunk;
    const size_t size = sizeOf(chunk);
    if (size == kChunk && first_[chunk] == first_[chunk + 1]) return from;
    std::copy(from, from + size, copy_);
    std::fill(copy_ + size, copy_ + kChunk, -FLT_MAX);
    for (size_t i = first_[chunk]; i < first_[chunk + 1]; i++) {
      const size_t at = static_cast<size_t>(sorted_[i].id) - chunk * kChunk;
      copy_[at] = adjustedLogit(from[at], rules_, sorted_[i]);
    }
    return copy_;
  }

  double weigh(float reference) {
    reference_ = reference;
    double total = 0;
    for (size_t chunk = 0; chunk < chunks(); chunk++) {
      sums_[chunk] = kernels_.weigh(chunkAt(chunk), kChunk, reference, scale_, nullptr);
      total += static_cast<double>(sums_[chunk]);
    }
    return total;
  }

  float greatest() {
    float best = -FLT_MAX;
    for (size_t chunk = 0; chunk < chunks(); chunk++) best = std::max(best, kernels_.greatest(chunkAt(chunk), kChunk));
    return best;
  }

  DrawnToken find(double goal) {
    size_t chosen = 0;
    double before = 0, reached = 0;
    for (size_t chunk = 0; chunk < chunks(); chunk++) {
      if (sums_[chunk] <= kNothing * kChunk) continue;
      chosen = chunk;
      before = reached;
      reached += static_cast<double>(sums_[chunk]);
      if (reached > goal) break;
    }
    float weights[kChunk];
    kernels_.weigh(chunkAt(chosen), kChunk, reference_, scale_, weights);
    size_t found = 0;
    reached = before;
    for (size_t at = 0; at < sizeOf(chosen); at++) {
      if (weights[at] <= kNothing) continue;
      found = at;
      reached += static_cast<double>(weights[at]);
      // Where the sum of the chunk was rounded up, the goal may lie behind its last token.
      if (reached > goal) break;
    }
    const size_t id = chosen * kChunk + found;
    return {static_cast<int32_t>(id), logits_[id]};
  }

  const float* logits_;
  size_t vocab_;
  const DrawRules& rules_;
  float scale_;
  const KernelTable& kernels_ = kernelsFor(kWeighMultiple);
  float reference_ = 0;
  std::vector<Adjustment> sorted_;
  std::vector<size_t> first_;
  std::vector<float> sums_;
  float copy_[kChunk];
};

}  // namespace

float adjustedLogit(float logit, const DrawRules& rules, const Adjustment& adjustment) {
  float value = logit;
  if (adjustment.counts & 1) {
    const double wide = value;
    value = static_cast<float>(wide > 0 ? wide / rules.repetition : wide * rules.repetition);
  }
  const int32_t generated = adjustment.counts >> 1;
  if (generated > 0) value = static_cast<float>(static_cast<double>(value) - rules.frequency * generated - rules.presence);
  if (adjustment.bias != 0.0f) value = value + adjustment.bias;
  return value;
}

DrawnToken drawToken(const float* row, size_t vocab, float best, const DrawRules& rules, const Adjustment* adjustments,
                     size_t count) {
  return Row(row, vocab, rules, adjustments, count).draw(best);
}

}  // namespace blockstitch
