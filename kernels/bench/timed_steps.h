// What the attention benches share: a pool full of noise, rotary tables, and a step that runs layer after layer.
// Knows how the operator runs a step. Each bench makes its own steps.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "attention.h"
#include "thread_team.h"

namespace blockstitch::bench {

constexpr size_t kPageTokens = 16;

/// Fills a float16 pool with values uniform in -1 .. 1.
inline void fillPool(KvPool& pool) {
  std::vector<uint16_t> noise(1 << 16);
  std::mt19937 random(3);
  for (uint16_t& each : noise) {
    Half half;
    store(std::uniform_real_distribution<float>(-1, 1)(random), &half);
    each = half.bits;
  }
  const size_t bytes = pool.shape().pages * pool.pageBytes();
  for (size_t at = 0; at < bytes; at += noise.size() * 2) {
    std::copy_n(reinterpret_cast<const uint8_t*>(noise.data()), std::min(noise.size() * 2, bytes - at), pool.keys(0, 0, 0) + at);
  }
}

/// Step metadata of one sequence after another; see src/kernels/step-metadata.ts.
class StepMaker {
 public:
  /// Begins a sequence of `rows` new rows behind `past` tokens of its tail, whose first token stands at `position`.
  /// @param firstPage the first of the tail's pages, which follow one another
  void sequence(size_t rows, size_t position, size_t past, size_t firstPage) {
    offsets_.push_back(static_cast<int32_t>(records_.size()));
    const size_t pages = (past + rows + kPageTokens - 1) / kPageTokens;
    for (const size_t field : {rows_, rows, position, past, pages, size_t{0}}) records_.push_back(static_cast<int32_t>(field));
    segments_ = records_.size() - 1;
    addPages(firstPage, pages);
    rows_ += rows;
  }

  /// Adds a segment of `length` tokens to the last sequence.
  void segment(size_t length, size_t delta, size_t firstPage) {
    const size_t pages = (length + kPageTokens - 1) / kPageTokens;
    for (const size_t field : {length, delta, pages}) records_.push_back(static_cast<int32_t>(field));
    addPages(firstPage, pages);
    records_[segments_]++;
  }

  size_t rows() const { return rows_; }

  std::vector<int32_t> metadata() const {
    std::vector<int32_t> all = {1, 0, static_cast<int32_t>(offsets_.size()), static_cast<int32_t>(rows_)};
    for (const int32_t offset : offsets_) all.push_back(offset + static_cast<int32_t>(4 + offsets_.size()));
    all.insert(all.end(), records_.begin(), records_.end());
    return all;
  }

 private:
  void addPages(size_t first, size_t count) {
    for (size_t page = first; page < first + count; page++) records_.push_back(static_cast<int32_t>(page));
  }

  std::vector<int32_t> offsets_, records_;
  size_t rows_ = 0;
  size_t segments_ = 0;
};

/// Angles of RoPE, float32 [positions, headDim / 2].
struct Angles {
  std::vector<float> cos, sin;

  Angles(size_t positions, size_t headDim) : cos(positions * headDim / 2), sin(cos.size()) {
    const size_t half = headDim / 2;
    for (size_t i = 0; i < cos.size(); i++) {
      const double angle =
          static_cast<double>(i / half) * std::pow(1e6, -static_cast<double>(i % half) / static_cast<double>(half));
      cos[i] = static_cast<float>(std::cos(angle));
      sin[i] = static_cast<float>(std::sin(angle));
    }
  }
};

/// A step with inputs of its own, run over all layers of a pool as the operator runs it.
class TimedStep {
 public:
  TimedStep(std::vector<int32_t> metadata, size_t rows, size_t group, const Angles& angles, KvPool& pool)
      : metadata_(std::move(metadata)), rows_(rows), heads_(pool.shape().kvHeads * group), angles_(angles), pool_(pool) {
    std::mt19937 random(5);
    std::uniform_real_distribution<float> uniform(-1, 1);
    const size_t dim = pool.shape().headDim;
    query_.resize(rows * heads_ * dim);
    key_.resize(rows * pool.shape().kvHeads * dim);
    value_.resize(key_.size());
    output_.resize(query_.size());
    for (std::vector<float>* list : {&query_, &key_, &value_}) {
      for (float& each : *list) each = uniform(random);
    }
  }

  /// @returns seconds for all layers
  double run(ThreadTeam& team) {
    const PoolShape& shape = pool_.shape();
    const AttentionInputs inputs{query_.data(), key_.data(), value_.data(), angles_.cos.data(), angles_.sin.data()};
    const size_t positions = angles_.cos.size() / (shape.headDim / 2);
    const auto begin = std::chrono::steady_clock::now();
    for (size_t layer = 0; layer < shape.layers; layer++) {
      // As the op does it: the first layer reads and plans, the others find the plan.
      std::string wrong;
      const AttentionPlan* plan =
          PlanCache::ofThread().find(metadata_.data(), metadata_.size(), {rows_, shape.pages, kPageTokens, positions},
                                     {heads_, shape.kvHeads, shape.headDim}, &wrong);
      if (plan == nullptr) {
        std::fprintf(stderr, "%s\n", wrong.c_str());
        std::exit(1);
      }
      const float scale = 1.0f / std::sqrt(static_cast<float>(shape.headDim));
      blockAttention({layer, heads_, shape.kvHeads, shape.headDim, shape.headDim, false, scale, 0, 0}, inputs, *plan, pool_,
                     output_.data(),
                     [&](size_t count, const std::function<void(size_t)>& task) { team.parallelFor(count, task); });
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  const std::vector<int32_t> metadata_;
  const size_t rows_;
  const size_t heads_;
  const Angles& angles_;
  KvPool& pool_;
  std::vector<float> query_, key_, value_, output_;
};

/// How often the operating system took a core away from a thread of this process.
inline long preemptions() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

/// Measures until no other process interrupted a thread, ten times at most. Counts the times that were thrown away.
inline double undisturbed(const std::function<double()>& measure, size_t* disturbed) {
  double value = 0;
  for (int attempt = 0; attempt < 10; attempt++) {
    const long before = preemptions();
    value = measure();
    if (preemptions() == before) return value;
    ++*disturbed;
  }
  return value;
}

inline void printList(const char* name, const std::vector<double>& values, const char* after) {
  std::printf("\"%s\":[", name);
  for (size_t i = 0; i < values.size(); i++) std::printf("%s%.6g", i == 0 ? "" : ",", values[i]);
  std::printf("]%s", after);
}

}  // namespace blockstitch::bench
