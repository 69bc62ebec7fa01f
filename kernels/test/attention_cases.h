// Random ragged batches for BlockAttention and the float64 reference that every implementation is held against.
// Knows cases, inputs and the right results. The test chooses the kernel and fills the pages.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "element.h"

namespace blockstitch::cases {

struct Sequence {
  std::vector<std::pair<size_t, int32_t>> segments;  ///< length, delta
  int32_t tailPosition;
  size_t past;
  size_t rows;
};

struct Case {
  size_t headDim, kvHeads, group, pageTokens;
  KvDtype dtype;
  size_t window;
  float softcap;
  bool interleaved;
  std::vector<Sequence> sequences;
  /// Inputs are rounded to this type (float32: not at all).
  KvDtype inputs = KvDtype::kFloat32;
};

constexpr size_t kPositions = 140000;
constexpr int32_t kLocal = 4;  ///< local position of every block's first token

/// @param budget tokens of the longest segments
inline Case randomCase(std::mt19937& random, size_t headDim, size_t group, size_t budget) {
  Case c{headDim, 1 + random() % 2, group, random() % 3 == 0 ? 32u : 16u, static_cast<KvDtype>(random() % 4),
         0,       0,                random() % 4 == 0, {}};
  if (random() % 4 == 0) c.window = 1 + random() % 300;
  if (random() % 5 == 0) c.softcap = 20;
  const size_t count = 1 + random() % 3;
  for (size_t s = 0; s < count; s++) {
    Sequence sequence;
    const size_t segments = random() % 4 == 0 ? 0 : random() % (random() % 4 == 0 ? 65 : 8);
    size_t position = 4;
    const size_t far = random() % 2 == 0 ? 0 : random() % 120000;
    for (size_t g = 0; g < segments; g++) {
      const size_t length = 1 + random() % (random() % 6 == 0 ? budget : budget / 16 + 1);
      if (position + length > 8192) break;
      sequence.segments.emplace_back(length, static_cast<int32_t>(position - 4 + far));
      position += length;
    }
    sequence.tailPosition = static_cast<int32_t>(position + far);
    sequence.past = random() % 2 == 0 ? 0 : random() % 200;
    sequence.rows = random() % 2 == 0 ? 1 : 1 + random() % 70;
    c.sequences.push_back(sequence);
  }
  return c;
}

/// Tables of RoPE angles for `half` pairs, float32 [kPositions, half].
struct Tables {
  std::vector<float> cos, sin;
  explicit Tables(size_t half) : cos(kPositions * half), sin(kPositions * half) {
    for (size_t p = 0; p < kPositions; p++) {
      for (size_t i = 0; i < half; i++) {
        const double angle = static_cast<double>(p) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
        cos[p * half + i] = static_cast<float>(std::cos(angle));
        sin[p * half + i] = static_cast<float>(std::sin(angle));
      }
    }
  }
};

/// Made once per width. Only the last one is kept, because a table is large.
inline const Tables& tablesFor(size_t half) {
  static std::pair<size_t, std::unique_ptr<Tables>> made;
  if (made.second == nullptr || made.first != half) {
    made.second.reset();
    made = {half, std::make_unique<Tables>(half)};
  }
  return *made.second;
}

/// Relative L2 error allowed of a row against the reference, by type of the cached elements. Products in bfloat16 round
/// queries, keys, values and weights to 8 bits, unless the cached elements are float32.
inline double tolerance(KvDtype dtype, bool bf16Products = false) {
  switch (dtype) {
    case KvDtype::kFloat32: return 1e-5;
    case KvDtype::kFloat16: return bf16Products ? 5e-3 : 2e-3;
    default: return 1e-2;
  }
}

/// A case with its inputs, its step metadata and the raw keys and values of everything cached.
class CaseData {
 public:
  /// Fills `pages` as an earlier step would have: `tokens` new tokens from local position `position` on.
  using Prefill = std::function<void(const std::vector<int32_t>& pages, size_t tokens, int32_t position,
                                     const std::vector<float>& keys, const std::vector<float>& values)>;

  CaseData(const Case& c, uint32_t seed) : c_(c), random_(seed), tables_(tablesFor(c.headDim / 2)) {
    pages_ = 1;
    for (const Sequence& s : c.sequences) {
      for (const auto& segment : s.segments) pages_ += pagesOf(segment.first);
      pages_ += pagesOf(s.past + s.rows);
      rows_ += s.rows;
    }
    free_.resize(pages_);
    for (size_t i = 0; i < pages_; i++) free_[i] = static_cast<int32_t>(i);
    std::shuffle(free_.begin(), free_.end(), random_);
    query_ = noise(rows_ * c.kvHeads * c.group * c.headDim);
    key_ = noise(rows_ * c.kvHeads * c.headDim);
    value_ = noise(rows_ * c.kvHeads * c.headDim);
  }

  /// Draws the cached tokens, lets `prefill` put them into pages, and lays out the metadata. Call once, before all else.
  void fill(int32_t poolId, const Prefill& prefill) {
    metadata_ = {1, poolId, static_cast<int32_t>(c_.sequences.size()), static_cast<int32_t>(rows_)};
    metadata_.resize(4 + c_.sequences.size());
    const size_t width = c_.kvHeads * c_.headDim;
    const auto cache = [&](const std::vector<int32_t>& pages, size_t tokens, int32_t position) {
      cached_.back().emplace_back(noise(tokens * width), std::vector<float>());
      auto& [keys, values] = cached_.back().back();
      values = noise(tokens * width);
      prefill(pages, tokens, position, keys, values);
    };
    size_t row = 0;
    for (size_t s = 0; s < c_.sequences.size(); s++) {
      const Sequence& sequence = c_.sequences[s];
      metadata_[4 + s] = static_cast<int32_t>(metadata_.size());
      const std::vector<int32_t> tail = take(sequence.past + sequence.rows);
      for (const size_t field : {row, sequence.rows, static_cast<size_t>(sequence.tailPosition), sequence.past,
                                 tail.size(), sequence.segments.size()}) {
        metadata_.push_back(static_cast<int32_t>(field));
      }
      metadata_.insert(metadata_.end(), tail.begin(), tail.end());
      cached_.emplace_back();
      for (const auto& segment : sequence.segments) {
        const std::vector<int32_t> pages = take(segment.first);
        metadata_.push_back(static_cast<int32_t>(segment.first));
        metadata_.push_back(segment.second);
        metadata_.push_back(static_cast<int32_t>(pages.size()));
        metadata_.insert(metadata_.end(), pages.begin(), pages.end());
        cache(pages, segment.first, kLocal);
      }
      if (sequence.past > 0) cache(tail, sequence.past, sequence.tailPosition);
      else cached_.back().emplace_back();
      row += sequence.rows;
    }
  }

  /// Largest relative error over the first, the last and a random row of each sequence, one head each.
  double worstError(const std::vector<float>& output) {
    double worst = 0;
    size_t firstRow = 0;
    for (size_t s = 0; s < c_.sequences.size(); s++) {
      const Sequence& sequence = c_.sequences[s];
      for (size_t sample = 0; sample < 3; sample++) {
        const size_t row = sample == 0 ? 0 : sample == 1 ? sequence.rows - 1 : random_() % sequence.rows;
        const size_t head = random_() % (c_.kvHeads * c_.group);
        worst = std::max(worst, rowError(s, firstRow, row, head, output));
      }
      firstRow += sequence.rows;
    }
    return worst;
  }

  const Tables& tables() const { return tables_; }
  const std::vector<int32_t>& metadata() const { return metadata_; }
  const std::vector<float>& query() const { return query_; }  ///< [rows, heads * headDim]
  const std::vector<float>& key() const { return key_; }      ///< [rows, kvHeads * headDim]
  const std::vector<float>& value() const { return value_; }  ///< [rows, kvHeads * headDim]
  size_t rows() const { return rows_; }
  size_t pages() const { return pages_; }

 private:
  size_t pagesOf(size_t tokens) const { return (tokens + c_.pageTokens - 1) / c_.pageTokens; }

  /// All values have one amplitude: int8 keeps within 1e-2 on even values, and outliers cost it more.
  std::vector<float> noise(size_t count) {
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    std::vector<float> values(count);
    for (float& value : values) value = rounded(uniform(random_));
    return values;
  }

  float rounded(float value) const {
    if (c_.inputs == KvDtype::kFloat16) {
      Half half;
      store(value, &half);
      return toFloat(half);
    }
    if (c_.inputs == KvDtype::kBfloat16) {
      Bfloat16 half;
      store(value, &half);
      return toFloat(half);
    }
    return value;
  }

  std::vector<int32_t> take(size_t tokens) {
    std::vector<int32_t> pages(free_.end() - static_cast<ptrdiff_t>(pagesOf(tokens)), free_.end());
    free_.resize(free_.size() - pages.size());
    return pages;
  }

  std::vector<double> rotated(size_t position, const float* from) const {
    const size_t half = c_.headDim / 2;
    std::vector<double> to(c_.headDim);
    for (size_t i = 0; i < half; i++) {
      const size_t a = c_.interleaved ? 2 * i : i, b = c_.interleaved ? 2 * i + 1 : i + half;
      const double cos = tables_.cos[position * half + i], sin = tables_.sin[position * half + i];
      to[a] = from[a] * cos - from[b] * sin;
      to[b] = from[b] * cos + from[a] * sin;
    }
    return to;
  }

  double rowError(size_t s, size_t firstRow, size_t row, size_t head, const std::vector<float>& output) const {
    const Sequence& sequence = c_.sequences[s];
    const size_t kvHead = head / c_.group, dim = c_.headDim, width = c_.kvHeads * dim;
    const size_t local = static_cast<size_t>(sequence.tailPosition) + sequence.past + row;
    const float* query = query_.data() + ((firstRow + row) * c_.kvHeads * c_.group + head) * dim;
    std::vector<double> scores;
    std::vector<const float*> values;
    size_t global = 0, cachedTokens = 0;
    for (const auto& segment : sequence.segments) cachedTokens += segment.first;
    const size_t own = cachedTokens + sequence.past + row;
    const auto add = [&](const std::vector<double>& turned, size_t position, const float* key, const float* value) {
      const size_t at = global++;
      if (at > own || (c_.window > 0 && own - at >= c_.window)) return;
      const std::vector<double> k = rotated(position, key);
      double score = 0;
      for (size_t d = 0; d < dim; d++) score += turned[d] * k[d];
      score /= std::sqrt(static_cast<double>(dim));
      if (c_.softcap > 0) score = c_.softcap * std::tanh(score / c_.softcap);
      scores.push_back(score);
      values.push_back(value);
    };
    const auto& cached = cached_[s];
    for (size_t g = 0; g < sequence.segments.size(); g++) {
      const std::vector<double> turned = rotated(local - static_cast<size_t>(sequence.segments[g].second), query);
      for (size_t t = 0; t < sequence.segments[g].first; t++) {
        add(turned, kLocal + t, cached[g].first.data() + t * width + kvHead * dim,
            cached[g].second.data() + t * width + kvHead * dim);
      }
    }
    const std::vector<double> turned = rotated(local, query);
    for (size_t t = 0; t <= sequence.past + row; t++) {
      const bool old = t < sequence.past;
      const size_t at = (old ? t * width : (firstRow + t - sequence.past) * width) + kvHead * dim;
      add(turned, static_cast<size_t>(sequence.tailPosition) + t, (old ? cached.back().first : key_).data() + at,
          (old ? cached.back().second : value_).data() + at);
    }
    const double best = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    std::vector<double> expected(dim);
    for (size_t t = 0; t < scores.size(); t++) {
      const double weight = std::exp(scores[t] - best);
      sum += weight;
      for (size_t d = 0; d < dim; d++) expected[d] += weight * values[t][d];
    }
    const float* actual = output.data() + ((firstRow + row) * c_.kvHeads * c_.group + head) * dim;
    double difference = 0, norm = 0;
    for (size_t d = 0; d < dim; d++) {
      const double off = actual[d] - expected[d] / sum;
      difference += off * off;
      norm += expected[d] / sum * (expected[d] / sum);
    }
    const double error = std::sqrt(difference / norm);
    return std::isnan(error) ? INFINITY : error;
  }

  const Case& c_;
  std::mt19937 random_;
  const Tables& tables_;
  size_t rows_ = 0, pages_ = 0;
  std::vector<int32_t> free_, metadata_;
  std::vector<float> query_, key_, value_;
  /// Per sequence, per segment and last the tail's past: raw keys and values [tokens, kvHeads * headDim].
  std::vector<std::vector<std::pair<std::vector<float>, std::vector<float>>>> cached_;
};

}  // namespace blockstitch::cases
