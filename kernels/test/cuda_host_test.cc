// The CUDA kernels' device functions, run on the CPU, against the float64 reference over the CPU op's random cases.
// Index arithmetic, fragment layouts, scheduling and masks are those of the GPU. Races, speed and the rounding of the
// GPU's own instructions show only there. `--cases N` draws N cases per head dim.
#include <cstdio>
#include <cstdlib>

#include "checks.h"
#include "cuda_cases.h"
#include "host_run.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

constexpr int kLayers = 2;
constexpr int kLayer = 1;

/// A case over a pool in host memory, filled through the append kernel.
class HostBench {
 public:
  HostBench(const Case& c, uint32_t seed, int processors) : c_(c), data_(c, seed), processors_(processors) {
    const cuda::PoolLayout layout = cudaLayout(c, kLayers);
    pool_.assign(data_.pages() * static_cast<size_t>(layout.pageBytes()) / 16, Chunk{{0xff, 0xff, 0xff, 0xff}});  // NaN everywhere
    data_.fill(7, [this](const std::vector<int32_t>& pages, size_t tokens, int32_t position,
                         const std::vector<float>& keys, const std::vector<float>& values) {
      StepView step;
      step.rows = tokens;
      step.sequences.push_back({0, tokens, position, 0, pages.data(), {}, 0});
      cuda::StepPlan plan;
      buildStepPlan(step, cudaPlanShape(c_, processors_), plan);
      plan.decode.clear();  // only the append matters
      plan.prefill.clear();
      plan.combine.clear();
      run(plan, std::vector<float>(keys.size() * c_.group), keys, values);
    });
  }

  std::vector<float> run() {
    StepView step;
    const std::string wrong = readStepMetadata(data_.metadata().data(), data_.metadata().size(),
                                               {data_.rows(), data_.pages(), c_.pageTokens, kPositions}, &step);
    check(wrong.empty(), wrong);
    cuda::StepPlan plan;
    buildStepPlan(step, cudaPlanShape(c_, processors_), plan);
    decodeItems += plan.decode.size(), prefillItems += plan.prefill.size(), combineItems += plan.combine.size();
    return run(plan, data_.query(), data_.key(), data_.value());
  }

  double worstError(const std::vector<float>& output) { return data_.worstError(output); }

  static size_t decodeItems, prefillItems, combineItems;

 private:
  struct alignas(16) Chunk {
    uint32_t words[4];
  };

  std::vector<float> run(const cuda::StepPlan& plan, const std::vector<float>& query, const std::vector<float>& key,
                         const std::vector<float>& value) {
    const std::vector<uint16_t> queryBits = to16(query, c_.inputs), keyBits = to16(key, c_.inputs), valueBits = to16(value, c_.inputs);
    std::vector<uint16_t> output(query.size(), 0x7fff);  // NaN in both types
    std::vector<float> partials(static_cast<size_t>(plan.partialRows) * c_.kvHeads * (c_.headDim + 2), NAN);
    cuda::AttentionParams p = cudaParams(c_, kLayers, kLayer);
    p.query = queryBits.data(), p.key = keyBits.data(), p.value = valueBits.data(), p.output = output.data();
    p.cosines = data_.tables().cos.data(), p.sines = data_.tables().sin.data();
    p.pool = reinterpret_cast<unsigned char*>(pool_.data());
    p.partials = partials.data();
    cuda::pointAtPlan(p, plan, plan.packed.data());
    check(cuda::runLayerOnHost(p, countsOf(plan), onTwoThreads), "head dim is known");
    return from16(output, c_.inputs);
  }

  const Case& c_;
  CaseData data_;
  int processors_;
  std::vector<Chunk> pool_;
};

size_t HostBench::decodeItems = 0, HostBench::prefillItems = 0, HostBench::combineItems = 0;

void againstReference(size_t cases, size_t budget) {
  std::mt19937 random(20240915);
  size_t ran = 0;
  double worst = 0;
  for (const int headDim : kCudaHeadDims) {
    if (!cuda::withHeadDim(headDim, [](auto) {})) continue;  // left out of this build
    for (size_t i = 0; i < cases; i++) {
      const Case c = cudaCase(random, static_cast<size_t>(headDim), 1 + ran % 8, budget);
      const int processors = ran % 3 == 0 ? 1 : ran % 3 == 1 ? 20 : 132;  // few splits, some, many
      HostBench bench(c, static_cast<uint32_t>(random()), processors);
      const double error = bench.worstError(bench.run());
      check(error < cudaTolerance(c), "case " + std::to_string(ran) + ", " + describe(c) + ": relative error " + std::to_string(error));
      worst = std::max(worst, error / cudaTolerance(c));
      ran++;
    }
  }
  std::printf("%zu random cases against float64 (%zu decode, %zu prefill, %zu combine items), worst error %.2f of what is allowed\n",
              ran, HostBench::decodeItems, HostBench::prefillItems, HostBench::combineItems, worst);
}

/// A row's bits must not depend on what else is in the step (docs/decisions/020).
void rowsDoNotDependOnTheBatch() {
  const Sequence first{{{300, 0}, {77, 300}}, 381, 5, 40};
  const Sequence second{{{900, 0}}, 904, 3, 1};
  for (const KvDtype dtype : {KvDtype::kFloat16, KvDtype::kBfloat16, KvDtype::kInt8}) {
    Case alone{80, 2, 3, 16, dtype, 0, 0, false, {first}, KvDtype::kFloat16};
    Case together = alone;
    together.sequences.push_back(second);
    cuda::StepPlan plans[2];
    for (const Case* c : {&alone, &together}) {
      CaseData data(*c, 11);
      data.fill(7, [](const std::vector<int32_t>&, size_t, int32_t, const std::vector<float>&, const std::vector<float>&) {});
      StepView step;
      readStepMetadata(data.metadata().data(), data.metadata().size(), {data.rows(), data.pages(), 16, kPositions}, &step);
      buildStepPlan(step, cudaPlanShape(*c, 132), plans[c == &alone ? 0 : 1]);
    }
    const auto spans = [](const std::vector<cuda::WorkItem>& items, int firstRow) {
      std::vector<std::pair<int, int>> result;
      for (const cuda::WorkItem& item : items) if (item.firstRow == firstRow) result.emplace_back(item.tileBegin, item.tileEnd);
      return result;
    };
    check(!plans[0].prefill.empty() && spans(plans[0].prefill, 0) == spans(plans[1].prefill, 0), "work is cut by the sequence alone");
    HostBench bench(together, 11, 132);
    check(bench.run() == bench.run(), "the same step twice gives the same bits");
  }
}

/// A wide spread of scores and of value scales: the maxima keep moving, the units grow.
void longSegmentWithEveryType() {
  for (const KvDtype dtype : {KvDtype::kFloat16, KvDtype::kBfloat16, KvDtype::kInt8}) {
    for (const KvDtype inputs : {KvDtype::kFloat16, KvDtype::kBfloat16}) {
      const Case c{256, 2, 4, 16, dtype, 0, 0, false, {{{{4001, 0}}, 4005, 3, 2}, {{{1000, 7}, {1, 1007}}, 1012, 0, 33}}, inputs};
      HostBench bench(c, 5, 132);
      const double error = bench.worstError(bench.run());
      check(error < cudaTolerance(c), describe(c) + ": relative error " + std::to_string(error));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
#if defined(__SANITIZE_ADDRESS__)
  size_t cases = 4, budget = 200;
#else
  size_t cases = 16, budget = 1000;
#endif
  if (argc == 3 && std::strcmp(argv[1], "--cases") == 0) cases = static_cast<size_t>(std::atoi(argv[2])), budget = 1500;
  againstReference(cases, budget);
  rowsDoNotDependOnTheBatch();
  longSegmentWithEveryType();
  std::printf("%d checks of the CUDA kernels on the CPU failed\n", failures);
  return failures == 0 ? 0 : 1;
}
