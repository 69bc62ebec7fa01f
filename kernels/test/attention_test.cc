// BlockAttention against a float64 reference over random ragged batches, at every kernel level of this processor.
// Also: payloads come back as they were, and bad step metadata is refused. attention_rows_test.cc compares rows to the bit.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "attention.h"
#include "attention_cases.h"
#include "attention_kernels.h"
#include "checks.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

/// A case in a pool. The op itself fills the pages, so they hold what an earlier step would have cached.
class Bench {
 public:
  Bench(const Case& c, uint32_t seed)
      : c_(c), data_(c, seed), pool_(PoolShape{data_.pages(), c.pageTokens, 1, c.kvHeads, c.headDim, c.dtype}) {
    data_.fill(7, [this](const std::vector<int32_t>& pages, size_t tokens, int32_t position,
                         const std::vector<float>& keys, const std::vector<float>& values) {
      StepView step;
      step.rows = tokens;
      step.sequences.push_back({0, tokens, position, 0, pages.data(), {}, 0});
      // Only the append matters: one query head per kv head of zeros keeps the attention part cheap by windowing to 1.
      AttentionShape cheap = shape();
      cheap.heads = c_.kvHeads;
      cheap.slidingWindow = 1;
      std::vector<float> query(keys.size()), output(keys.size());
      const AttentionInputs inputs{query.data(), keys.data(), values.data(), data_.tables().cos.data(), data_.tables().sin.data()};
      blockAttention(cheap, inputs, AttentionPlan(step, {cheap.heads, cheap.kvHeads, cheap.headDim}, c_.pageTokens), pool_, output.data(), onTwoThreads);
    });
  }

  std::vector<float> run(KernelLevel level) {
    check(setKernelLevel(level), "kernel level");
    StepView step;
    const std::string wrong = readStepMetadata(metadata().data(), metadata().size(),
                                               {rows(), pool_.shape().pages, c_.pageTokens, kPositions}, &step);
    check(wrong.empty(), wrong);
    std::vector<float> output(data_.query().size(), NAN);
    const AttentionInputs inputs{data_.query().data(), data_.key().data(), data_.value().data(), data_.tables().cos.data(),
                                 data_.tables().sin.data()};
    const AttentionShape all = shape();
    blockAttention(all, inputs, AttentionPlan(step, {all.heads, all.kvHeads, all.headDim}, c_.pageTokens), pool_, output.data(), onTwoThreads);
    return output;
  }

  double worstError(const std::vector<float>& output) { return data_.worstError(output); }
  KvPool& pool() { return pool_; }
  const std::vector<int32_t>& metadata() const { return data_.metadata(); }
  size_t rows() const { return data_.rows(); }

 private:
  AttentionShape shape() const {
    return {0, c_.kvHeads * c_.group, c_.kvHeads, c_.headDim, c_.headDim, c_.interleaved,
            1.0f / std::sqrt(static_cast<float>(c_.headDim)), c_.window, c_.softcap};
  }

  const Case& c_;
  CaseData data_;
  KvPool pool_;
};

std::vector<KernelLevel> levels() {
  std::vector<KernelLevel> all;
  for (int level = 0; level <= static_cast<int>(detectKernelLevel()); level++) all.push_back(static_cast<KernelLevel>(level));
  return all;
}

double toleranceAt(KernelLevel level, KvDtype dtype) { return tolerance(dtype, level == KernelLevel::kAvx512Bf16); }

void againstReference(size_t cases, size_t budget) {
  std::mt19937 random(20240915);
  size_t ran = 0;
  for (const size_t headDim : {32, 48, 64, 80, 96, 128, 256}) {
    for (size_t i = 0; i < cases; i++) {
      const Case c = randomCase(random, headDim, 1 + (ran % 8), budget);
      Bench bench(c, static_cast<uint32_t>(random()));
      for (const KernelLevel level : levels()) {
        const double error = bench.worstError(bench.run(level));
        check(error < toleranceAt(level, c.dtype), "case " + std::to_string(ran) + " head_dim " + std::to_string(headDim) + " group " +
              std::to_string(c.group) + " dtype " + std::to_string(static_cast<int>(c.dtype)) + " level " +
              std::to_string(static_cast<int>(level)) + ": relative error " + std::to_string(error));
      }
      ran++;
    }
  }
  const Case longest{64, 1, 7, 16, KvDtype::kFloat16, 0, 0, false, {{{{8191, 0}}, 8195, 3, 2}}};
  Bench bench(longest, 5);
  for (const KernelLevel level : levels()) {
    check(bench.worstError(bench.run(level)) < toleranceAt(level, longest.dtype), "segment of 8191 tokens");
  }
  std::printf("%zu random cases against float64 at %zu kernel levels\n", ran, levels().size());
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

/// Rows are rounded as single numbers are, at every level.
void rowsRoundAsNumbersDo() {
  std::mt19937 random(4);
  std::vector<float> row(64);
  for (int round = 0; round < 2000; round++) {
    for (float& each : row) {
      each = std::ldexp(std::uniform_real_distribution<float>(-1, 1)(random), static_cast<int>(random() % 48) - 30);
    }
    if (round == 0) std::fill(row.begin(), row.end(), 0.0f);
    float amax = 0;
    for (const float each : row) amax = std::max(amax, std::fabs(each));
    const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
    for (const KernelLevel level : levels()) {
      setKernelLevel(level);
      const KernelTable& kernels = kernelsFor(row.size());
      Half halves[64], half;
      int8_t whole[64];
      kernels.roundRow(row.data(), row.size(), halves);
      check(kernels.quantizeRow(row.data(), row.size(), whole) == amax / 127.0f, "the scale of a row");
      bool same = true;
      for (size_t i = 0; i < row.size(); i++) {
        store(row[i], &half);
        same = same && half.bits == halves[i].bits && whole[i] == static_cast<int8_t>(std::lrint(row[i] * inverse));
      }
      check(same, std::string("rounded row at level ") + kKernelLevels[static_cast<int>(level)]);
    }
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
  payloadsRoundTrip();
  rowsRoundAsNumbersDo();
  badMetadataIsRefused();
  std::printf("%d kernel checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
