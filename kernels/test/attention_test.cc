// BlockAttention against a float64 reference over random ragged batches, at every kernel level this processor has.
// Also: a row's bits do not depend on the batch, payload round trips, and bad step metadata is refused.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "attention.h"

using namespace blockstitch;

namespace {

int failures = 0;

void check(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  std::printf("FAILED: %s\n", what.c_str());
}

void onTwoThreads(size_t count, const std::function<void(size_t)>& task) {
  std::thread odd([&] { for (size_t i = 1; i < count; i += 2) task(i); });
  for (size_t i = 0; i < count; i += 2) task(i);
  odd.join();
}

struct Sequence {
  std::vector<std::pair<size_t, int32_t>> segments;  // length, delta
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
};

constexpr size_t kPositions = 140000;

/// Tables of RoPE angles for `half` pairs; made once per width and kept.
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

const Tables& tablesFor(size_t half) {
  static std::vector<std::pair<size_t, std::unique_ptr<Tables>>> made;
  for (const auto& each : made) if (each.first == half) return *each.second;
  made.clear();  // one at a time: a table is large
  made.emplace_back(half, std::make_unique<Tables>(half));
  return *made.back().second;
}

std::vector<double> rotated(const Case& c, const Tables& tables, size_t position, const float* from) {
  const size_t half = c.headDim / 2;
  std::vector<double> to(c.headDim);
  for (size_t i = 0; i < half; i++) {
    const size_t a = c.interleaved ? 2 * i : i, b = c.interleaved ? 2 * i + 1 : i + half;
    const double cos = tables.cos[position * half + i], sin = tables.sin[position * half + i];
    to[a] = from[a] * cos - from[b] * sin;
    to[b] = from[b] * cos + from[a] * sin;
  }
  return to;
}

/// Everything of one case in memory: pool, metadata, inputs, and the keys and values in double, as rotated locally.
class Bench {
 public:
  Bench(const Case& c, uint32_t seed) : c_(c), random_(seed), tables_(tablesFor(c.headDim / 2)) {
    size_t pages = 1;
    for (const Sequence& s : c.sequences) {
      for (const auto& segment : s.segments) pages += pagesOf(segment.first);
      pages += pagesOf(s.past + s.rows);
      rows_ += s.rows;
    }
    pool_ = std::make_unique<KvPool>(PoolShape{pages, c.pageTokens, 1, c.kvHeads, c.headDim, c.dtype});
    free_.resize(pages);
    for (size_t i = 0; i < pages; i++) free_[i] = static_cast<int32_t>(i);
    std::shuffle(free_.begin(), free_.end(), random_);
    query_ = noise(rows_ * c.kvHeads * c.group * c.headDim);
    key_ = noise(rows_ * c.kvHeads * c.headDim);
    value_ = noise(rows_ * c.kvHeads * c.headDim);
    build();
  }

  std::vector<float> run(KernelLevel level) {
    check(setKernelLevel(level), "kernel level");
    StepView step;
    const std::string wrong = readStepMetadata(metadata_.data(), metadata_.size(),
                                               {rows_, pool_->shape().pages, c_.pageTokens, kPositions}, &step);
    check(wrong.empty(), wrong);
    std::vector<float> output(query_.size(), NAN);
    const AttentionInputs inputs{query_.data(), key_.data(), value_.data(), tables_.cos.data(), tables_.sin.data()};
    blockAttention(shape(), inputs, step, *pool_, output.data(), onTwoThreads);
    return output;
  }

  /// Largest |difference| over the largest |expected| of a sampled row, in double throughout.
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

  KvPool& pool() { return *pool_; }
  const std::vector<int32_t>& metadata() const { return metadata_; }
  size_t rows() const { return rows_; }

 private:
  size_t pagesOf(size_t tokens) const { return (tokens + c_.pageTokens - 1) / c_.pageTokens; }

  AttentionShape shape() const {
    return {0, c_.kvHeads * c_.group, c_.kvHeads, c_.headDim, c_.headDim, c_.interleaved,
            1.0f / std::sqrt(static_cast<float>(c_.headDim)), c_.window, c_.softcap};
  }

  std::vector<float> noise(size_t count) {
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);  // one amplitude for all: int8 is held to 1e-2 on even values, outliers cost it more
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random_);
    return values;
  }

  std::vector<int32_t> take(size_t tokens) {
    std::vector<int32_t> pages(free_.end() - static_cast<ptrdiff_t>(pagesOf(tokens)), free_.end());
    free_.resize(free_.size() - pages.size());
    return pages;
  }

  /// Fills pages through the op itself, so that what is cached is what an earlier step would have cached.
  void prefill(const std::vector<int32_t>& pages, size_t tokens, int32_t position, std::vector<float>* keys,
               std::vector<float>* values) {
    const size_t width = c_.kvHeads * c_.headDim;
    *keys = noise(tokens * width);
    *values = noise(tokens * width);
    StepView step;
    step.rows = tokens;
    step.sequences.push_back({0, tokens, position, 0, pages.data(), {}, 0});
    // Only the append matters: one query head per kv head of zeros keeps the attention part cheap by windowing to 1.
    AttentionShape cheap = shape();
    cheap.heads = c_.kvHeads;
    cheap.slidingWindow = 1;
    std::vector<float> query(tokens * width), output(tokens * width);
    const AttentionInputs inputs{query.data(), keys->data(), values->data(), tables_.cos.data(), tables_.sin.data()};
    blockAttention(cheap, inputs, step, *pool_, output.data(), onTwoThreads);
  }

  void build() {
    metadata_ = {1, 7, static_cast<int32_t>(c_.sequences.size()), static_cast<int32_t>(rows_)};
    metadata_.resize(4 + c_.sequences.size());
    size_t row = 0;
    for (size_t s = 0; s < c_.sequences.size(); s++) {
      const Sequence& sequence = c_.sequences[s];
      metadata_[4 + s] = static_cast<int32_t>(metadata_.size());
      const std::vector<int32_t> tail = take(sequence.past + sequence.rows);
      for (const size_t field : {row, sequence.rows, static_cast<size_t>(sequence.tailPosition), sequence.past, tail.size(),
                                 sequence.segments.size()}) {
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
        cached_.back().emplace_back();
        prefill(pages, segment.first, kLocal, &cached_.back().back().first, &cached_.back().back().second);
      }
      cached_.back().emplace_back();
      if (sequence.past > 0) {
        prefill(tail, sequence.past, sequence.tailPosition, &cached_.back().back().first, &cached_.back().back().second);
      }
      row += sequence.rows;
    }
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
      const std::vector<double> k = rotated(c_, tables_, position, key);
      double score = 0;
      for (size_t d = 0; d < dim; d++) score += turned[d] * k[d];
      score /= std::sqrt(static_cast<double>(dim));
      if (c_.softcap > 0) score = c_.softcap * std::tanh(score / c_.softcap);
      scores.push_back(score);
      values.push_back(value);
    };
    const auto& cached = cached_[s];
    for (size_t g = 0; g < sequence.segments.size(); g++) {
      const std::vector<double> turned = rotated(c_, tables_, local - static_cast<size_t>(sequence.segments[g].second), query);
      for (size_t t = 0; t < sequence.segments[g].first; t++) {
        add(turned, kLocal + t, cached[g].first.data() + t * width + kvHead * dim, cached[g].second.data() + t * width + kvHead * dim);
      }
    }
    const std::vector<double> turned = rotated(c_, tables_, local, query);
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

  static constexpr int32_t kLocal = 4;  // local position of every block's first token
  const Case& c_;
  std::mt19937 random_;
  const Tables& tables_;
  size_t rows_ = 0;
  std::unique_ptr<KvPool> pool_;
  std::vector<int32_t> free_, metadata_;
  std::vector<float> query_, key_, value_;
  /// Per sequence, per segment and last the tail's past: raw keys and values [tokens, kvHeads * headDim].
  std::vector<std::vector<std::pair<std::vector<float>, std::vector<float>>>> cached_;
};

double tolerance(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::kFloat32: return 1e-5;
    case KvDtype::kFloat16: return 2e-3;
    default: return 1e-2;
  }
}

std::vector<KernelLevel> levels() {
  std::vector<KernelLevel> all;
  for (int level = 0; level <= static_cast<int>(detectKernelLevel()); level++) all.push_back(static_cast<KernelLevel>(level));
  return all;
}

Case randomCase(std::mt19937& random, size_t headDim, size_t group, size_t budget) {
  Case c{headDim, 1 + random() % 2, group, random() % 3 == 0 ? 32u : 16u, static_cast<KvDtype>(random() % 4), 0, 0, random() % 4 == 0, {}};
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

void againstReference(size_t cases, size_t budget) {
  std::mt19937 random(20240915);
  size_t ran = 0;
  for (const size_t headDim : {32, 48, 64, 80, 96, 128, 256}) {
    for (size_t i = 0; i < cases; i++) {
      const Case c = randomCase(random, headDim, 1 + (ran % 8), budget);
      Bench bench(c, static_cast<uint32_t>(random()));
      for (const KernelLevel level : levels()) {
        const double error = bench.worstError(bench.run(level));
        check(error < tolerance(c.dtype), "case " + std::to_string(ran) + " head_dim " + std::to_string(headDim) + " group " +
              std::to_string(c.group) + " dtype " + std::to_string(static_cast<int>(c.dtype)) + " level " +
              std::to_string(static_cast<int>(level)) + ": relative error " + std::to_string(error));
      }
      ran++;
    }
  }
  const Case longest{64, 1, 7, 16, KvDtype::kFloat16, 0, 0, false, {{{{8191, 0}}, 8195, 3, 2}}};
  Bench bench(longest, 5);
  for (const KernelLevel level : levels()) check(bench.worstError(bench.run(level)) < 2e-3, "segment of 8191 tokens");
  std::printf("%zu random cases against float64 at %zu kernel levels\n", ran, levels().size());
}

void rowsDoNotDependOnTheBatch() {
  const Sequence first{{{300, 0}, {77, 300}}, 381, 5, 40};
  const Sequence other{{{50, 0}}, 54, 0, 13};
  for (const KvDtype dtype : {KvDtype::kFloat32, KvDtype::kFloat16, KvDtype::kBfloat16, KvDtype::kInt8}) {
    const Case together{64, 2, 3, 16, dtype, 0, 0, false, {first, other}};
    for (const KernelLevel level : levels()) {
      Bench bench(together, 11);
      const std::vector<float> whole = bench.run(level);
      check(whole == bench.run(level), "the same step twice gives the same bits");
    }
  }
}

void payloadsRoundTrip() {
  for (const KvDtype dtype : {KvDtype::kFloat32, KvDtype::kFloat16, KvDtype::kBfloat16, KvDtype::kInt8}) {
    const Case c{48, 2, 1, 32, dtype, 0, 0, false, {{{}, 0, 0, 45}}};
    Bench bench(c, 3);
    bench.run(KernelLevel::kPortable);
    const int32_t* pages = bench.metadata().data() + bench.metadata()[4] + 6;
    std::vector<uint8_t> payload(bench.pool().payloadBytes(45)), again(payload.size());
    bench.pool().readPages(pages, 45, payload.data());
    KvPool copy(bench.pool().shape());
    const int32_t places[] = {2, 0};
    copy.writePages(places, 45, payload.data());
    copy.readPages(places, 45, again.data());
    check(payload == again, "payload round trip");
  }
}

void badMetadataIsRefused() {
  const Case c{32, 1, 1, 16, KvDtype::kFloat32, 0, 0, false, {{{{20, 0}}, 24, 3, 2}, {{}, 0, 0, 1}}};
  Bench bench(c, 9);
  const StepBounds bounds{bench.rows(), bench.pool().shape().pages, 16, kPositions};
  StepView step;
  check(readStepMetadata(bench.metadata().data(), bench.metadata().size(), bounds, &step).empty(), "good metadata is read");
  for (size_t size = 0; size < bench.metadata().size(); size++) {
    const std::vector<int32_t> cut(bench.metadata().begin(), bench.metadata().begin() + static_cast<ptrdiff_t>(size));
    check(!readStepMetadata(cut.data(), cut.size(), bounds, &step).empty(), "truncated metadata is refused");
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20000; i++) {
    std::vector<int32_t> noise = bench.metadata();
    noise[random() % noise.size()] = random() % 2 == 0 ? static_cast<int32_t>(random()) : static_cast<int32_t>(random() % 40);
    readStepMetadata(noise.data(), noise.size(), bounds, &step);  // must not read out of bounds: sanitizers watch
  }
}

}  // namespace

int main() {
#if defined(__SANITIZE_ADDRESS__)
  againstReference(3, 300);
#else
  againstReference(16, 1500);
#endif
  rowsDoNotDependOnTheBatch();
  payloadsRoundTrip();
  badMetadataIsRefused();
  std::printf("%d kernel checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
