// The CPU op's random cases, run on the GPU through the device pool's own parts, against the float64 reference.
#include <cstdio>

#include "cuda_cases.h"
#include "harness.h"
#include "launch.h"

namespace blockstitch::harness {

using namespace cases;

namespace {

constexpr int kLayers = 2;
constexpr int kLayer = 1;

// A case over a pool in device memory, filled through the append kernel.
class GpuBench {
 public:
  GpuBench(const Case& c, uint32_t seed, int processors)
      : c_(c), data_(c, seed), processors_(processors), cosines_(data_.tables().cos), sines_(data_.tables().sin),
        pool_(data_.pages() * static_cast<size_t>(cudaLayout(c, kLayers).pageBytes())) {
    check(cudaMemset(pool_.data(), 0xff, pool_.size()), "filling the pool with NaN");
    data_.fill(7, [this](const std::vector<int32_t>& pages, size_t tokens, int32_t position,
                         const std::vector<float>& keys, const std::vector<float>& values) {
      StepView step;
      step.rows = tokens;
      step.sequences.push_back({0, tokens, position, 0, pages.data(), {}, 0});
      cuda::StepPlan plan;
      buildStepPlan(step, cudaPlanShape(c_, processors_), plan);
      run(plan, {static_cast<int>(0), 0, 0, 0}, std::vector<float>(keys.size() * c_.group), keys, values);  // append only
    });
  }

  std::vector<float> run() {
    StepView step;
    const std::string wrong = readStepMetadata(data_.metadata().data(), data_.metadata().size(),
                                               {data_.rows(), data_.pages(), c_.pageTokens, kPositions}, &step);
    if (!wrong.empty()) fail(wrong);
    cuda::StepPlan plan;
    buildStepPlan(step, cudaPlanShape(c_, processors_), plan);
    return run(plan, countsOf(plan), data_.query(), data_.key(), data_.value());
  }

  double worstError(const std::vector<float>& output) { return data_.worstError(output); }

 private:
  std::vector<float> run(const cuda::StepPlan& plan, const cuda::LaunchCounts& counts, const std::vector<float>& query,
                         const std::vector<float>& key, const std::vector<float>& value) {
    const Device<uint16_t> q(to16(query, c_.inputs)), k(to16(key, c_.inputs)), v(to16(value, c_.inputs));
    const Device<uint16_t> output(std::vector<uint16_t>(query.size(), 0x7fff));
    const Device<float> partials(static_cast<size_t>(plan.partialRows) * c_.kvHeads * (c_.headDim + 2));
    const Device<int32_t> packed(plan.packed);
    cuda::AttentionParams p = cudaParams(c_, kLayers, kLayer);
    p.query = q.data(), p.key = k.data(), p.value = v.data(), p.output = output.data();
    p.cosines = cosines_.data(), p.sines = sines_.data();
    p.pool = pool_.data();
    p.partials = partials.data();
    cuda::pointAtPlan(p, plan, packed.data());
    check(cuda::launchLayer(p, counts, nullptr), "launching");
    check(cudaDeviceSynchronize(), "running the kernels");
    return from16(output.toHost(), c_.inputs);
  }

  const Case& c_;
  CaseData data_;
  int processors_;
  Device<float> cosines_, sines_;
  Device<unsigned char> pool_;
};

}  // namespace

int checkCases(bool few) {
  std::mt19937 random(20240915);
  int failures = 0, ran = 0;
  double worst = 0;
  for (const int headDim : kCudaHeadDims) {
    for (int i = 0; i < (few ? 3 : 16); i++) {
      const Case c = cudaCase(random, static_cast<size_t>(headDim), static_cast<size_t>(1 + ran % 8), few ? 200 : 1500);
      const int processors = ran % 3 == 0 ? 1 : ran % 3 == 1 ? 20 : 132;
      GpuBench bench(c, static_cast<uint32_t>(random()), processors);
      const std::vector<float> output = bench.run();
      const double error = bench.worstError(output);
      const bool repeats = output == bench.run();
      if (!(error < cudaTolerance(c)) || !repeats) {
        failures++;
        std::printf("FAILED: case %d, %s: relative error %g%s\n", ran, describe(c).c_str(), error, repeats ? "" : ", and twice is not the same");
      }
      worst = std::max(worst, error / cudaTolerance(c));
      ran++;
    }
  }
  std::printf("%d random cases against float64: %d failed, worst error %.2f of what is allowed\n", ran, failures, worst);
  return failures;
}

}  // namespace blockstitch::harness
