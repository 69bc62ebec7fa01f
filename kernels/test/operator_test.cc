// The CPU operator through ONNX Runtime's custom-op table. A failure inside it, in a task or on the calling thread, becomes
// the status of that step, and the next step is right. A step is planned once, however many layers it has.
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "attention_cases.h"
#include "attention_plan.h"
#include "block_attention_op.h"
#include "checks.h"
#include "failing_new.h"
#include "fake_runtime.h"
#include "kv_pool.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

/// A case as the operator gets it: layers of one graph, one pool, and the tensors of one step.
class Graph {
 public:
  explicit Graph(const Case& c, size_t layers)
      : c_(c), data_(c, 7), pool_(std::make_shared<KvPool>(PoolShape{data_.pages(), c.pageTokens, layers, c.kvHeads, c.headDim, c.dtype})),
        poolId_(registerPool(pool_)) {
    data_.fill(poolId_, [](const std::vector<int32_t>&, size_t, int32_t, const std::vector<float>&, const std::vector<float>&) {});
    metadata = data_.metadata();
    const ort::CustomOp* op = blockAttentionOp();
    for (size_t layer = 0; layer < layers; layer++) {
      ort::KernelInfo info{attributes(layer), {{"scale", 1.0f / std::sqrt(static_cast<float>(c.headDim))}, {"softcap", 0.0f}}};
      void* kernel = nullptr;
      check(op->createKernelV2(op, FakeRuntime::api(), &info, &kernel) == nullptr, "the kernel is made");
      kernels_.push_back(kernel);
    }
    const auto rows = static_cast<int64_t>(data_.rows());
    const auto dim = static_cast<int64_t>(c.headDim), kvHeads = static_cast<int64_t>(c.kvHeads);
    const auto positions = static_cast<int64_t>(kPositions);
    const auto floats = [](const std::vector<float>& values) { return const_cast<float*>(values.data()); };
    context_.inputs = {{{rows, kvHeads * static_cast<int64_t>(c.group) * dim}, floats(data_.query())},
                       {{rows, kvHeads * dim}, floats(data_.key())},
                       {{rows, kvHeads * dim}, floats(data_.value())},
                       {{positions, dim / 2}, floats(data_.tables().cos)},
                       {{positions, dim / 2}, floats(data_.tables().sin)},
                       {{static_cast<int64_t>(metadata.size())}, metadata.data()}};
    context_.outputData.resize(data_.query().size());
  }

  ~Graph() {
    for (void* kernel : kernels_) blockAttentionOp()->kernelDestroy(kernel);
    unregisterPool(poolId_);
  }

  /// One layer. @returns its status
  ort::Status* layer(size_t layer) {
    context_.inputs[5].data = metadata.data();
    return blockAttentionOp()->kernelComputeV2(kernels_[layer], &context_);
  }

  const std::vector<float>& output() const { return context_.outputData; }
  std::vector<float>& output() { return context_.outputData; }
  int32_t poolId() const { return poolId_; }
  std::vector<uint8_t> payload(const std::vector<int32_t>& pages, size_t tokens) const {
    std::vector<uint8_t> bytes(pool_->payloadBytes(tokens));
    pool_->readPages(pages.data(), tokens, bytes.data());
    return bytes;
  }

  /// The step's metadata tensor; a test may change it in place.
  std::vector<int32_t> metadata;

 private:
  std::map<std::string, int64_t> attributes(size_t layer) const {
    const auto number = [](size_t value) { return static_cast<int64_t>(value); };
    return {{"layer", number(layer)},           {"num_heads", number(c_.kvHeads * c_.group)}, {"num_kv_heads", number(c_.kvHeads)},
            {"head_dim", number(c_.headDim)},   {"rotary_dim", number(c_.headDim)},          {"rotary_interleaved", 0},
            {"sliding_window", number(c_.window)}};
  }

  const Case& c_;
  CaseData data_;
  std::shared_ptr<KvPool> pool_;
  int32_t poolId_;
  std::vector<void*> kernels_;
  ort::KernelContext context_;
};

/// Large enough for several items on two threads: 3 sequences, more than 32 new rows.
const Case kCase{32, 2, 2, 16, KvDtype::kFloat32, 0, 0, false, {{{{40, 0}}, 44, 3, 40}, {{}, 0, 0, 30}, {{{20, 0}}, 24, 0, 1}}};

std::string textOf(ort::Status* status) { return FakeRuntime::textOf(status); }

void whatATaskThrowsIsTheStepsStatus() {
  Graph graph(kCase, 1);
  check(textOf(graph.layer(0)).empty(), "a good step");
  const std::vector<float> right = graph.output();
  FakeRuntime& runtime = FakeRuntime::instance();
  // Every thread of the runtime finds no memory at all: a new thread takes its scratch memory anew.
  runtime.onThread = [] {
    allocationsLeft = 0;
    failsOnce = false;
  };
  const std::string wrong = textOf(graph.layer(0));
  check(wrong == "BlockAttention: there is not enough memory for this step", "a task without memory fails the step: " + wrong);
  runtime.onThread = nullptr;
  check(textOf(graph.layer(0)).empty() && graph.output() == right, "the next step is right");
  check(runtime.statuses == 0, "nothing of the runtime's is kept");
}

void everyAllocationMayFail() {
  Graph graph(kCase, 1);
  check(textOf(graph.layer(0)).empty(), "a good step");
  const std::vector<float> right = graph.output();
  size_t failed = 0;
  for (const bool once : {true, false}) {
    for (long n = 0;; n++) {
      graph.metadata[1] = graph.poolId() + 1;  // so that the next step is planned anew
      textOf(graph.layer(0));
      PlanCache::ofThread() = PlanCache();
      graph.metadata[1] = graph.poolId();
      failsOnce = once;
      allocationsLeft = n;
      ort::Status* status = graph.layer(0);
      const bool ranOut = allocationsLeft <= 0 && status != nullptr;
      allocationsLeft = -1;
      const std::string wrong = textOf(status);
      if (!ranOut) {
        check(wrong.empty() && graph.output() == right, "with enough memory the step is right: " + wrong);
        break;
      }
      failed++;
      check(wrong == "BlockAttention: there is not enough memory for this step", "allocation " + std::to_string(n) + ": " + wrong);
      check(textOf(graph.layer(0)).empty() && graph.output() == right, "the step after it is right");
    }
  }
  check(failed > 20, "many allocations were tried: " + std::to_string(failed));
  check(FakeRuntime::instance().statuses == 0, "nothing of the runtime's is kept");
}

void aRefusalOfTheThreadPoolIsTheStepsStatus() {
  Graph graph(kCase, 1);
  FakeRuntime& runtime = FakeRuntime::instance();
  runtime.refusesParallelFor = true;
  check(textOf(graph.layer(0)) == "the thread pool is gone", "ONNX Runtime's own status is passed on");
  runtime.refusesParallelFor = false;
  check(textOf(graph.layer(0)).empty(), "the next step runs");
  check(runtime.statuses == 0, "the status is given back once");
}

void messagesNameWhatIsWrong() {
  Graph graph(kCase, 1);
  const std::vector<int32_t> good = graph.metadata;
  graph.metadata[1] = 12345;
  check(textOf(graph.layer(0)) == "BlockAttention: there is no KV pool 12345 in host memory", "an unknown pool");
  graph.metadata = good;
  graph.metadata[0] = 9;
  check(textOf(graph.layer(0)).find("layout version 9") != std::string::npos, "another layout");
  graph.metadata = good;
  graph.metadata[static_cast<size_t>(good[4]) + 6] = 1 << 20;
  check(textOf(graph.layer(0)).find("sequence 0") != std::string::npos, "a page outside the pool");
  graph.metadata = good;
  check(textOf(graph.layer(0)).empty(), "good metadata runs after bad");
  ort::KernelInfo nothing;
  void* kernel = nullptr;
  const ort::CustomOp* op = blockAttentionOp();
  check(!textOf(op->createKernelV2(op, FakeRuntime::api(), &nothing, &kernel)).empty() && kernel == nullptr, "missing attributes");
}

void aStepIsPlannedOnceWhateverItsLayers() {
  for (const size_t layers : {size_t{1}, size_t{2}, size_t{30}}) {
    Graph graph(kCase, layers);
    const OperatorStatistics before = operatorStatistics();
    for (size_t step = 0; step < 5; step++) {
      graph.metadata[static_cast<size_t>(graph.metadata[4]) + 3] = static_cast<int32_t>(step);  // another tail length at each step
      for (size_t layer = 0; layer < layers; layer++) check(textOf(graph.layer(layer)).empty(), "a layer runs");
    }
    const OperatorStatistics after = operatorStatistics();
    check(after.plans - before.plans == 5, std::to_string(layers) + " layers: one plan per step, not " +
                                               std::to_string(after.plans - before.plans) + " for 5");
    check(after.calls - before.calls == 5 * layers, "one call per layer and step");
  }
}

/// A table that differs in one page number, at the same address and of the same length, is another step.
void aChangedTableIsNeverServedTheOldPlan() {
  const Case one{32, 1, 1, 16, KvDtype::kFloat32, 0, 0, false, {{{}, 0, 0, 10}, {{}, 0, 0, 10}}};
  Graph graph(one, 2);
  const size_t first = static_cast<size_t>(graph.metadata[4]) + 6, second = static_cast<size_t>(graph.metadata[5]) + 6;
  const int32_t pageA = graph.metadata[first], pageB = graph.metadata[second];
  for (size_t layer = 0; layer < 2; layer++) check(textOf(graph.layer(layer)).empty(), "a layer runs");
  const std::vector<uint8_t> a = graph.payload({pageA}, 10), b = graph.payload({pageB}, 10);
  check(a != b, "the sequences have other tokens");
  std::swap(graph.metadata[first], graph.metadata[second]);
  for (size_t layer = 0; layer < 2; layer++) check(textOf(graph.layer(layer)).empty(), "a layer runs");
  check(graph.payload({pageB}, 10) == a && graph.payload({pageA}, 10) == b, "each page holds what the new table says");
}

/// Sessions of several threads, each with a pool of its own: a one-layer probe beside a model.
void threadsDoNotShareAPlan() {
  const OperatorStatistics before = operatorStatistics();
  Graph model(kCase, 8), probe(kCase, 1);
  check(textOf(model.layer(0)).empty() && textOf(probe.layer(0)).empty(), "both run");
  const std::vector<float> right = model.output();
  const auto steps = [&](Graph& graph, size_t layers) {
    for (size_t step = 0; step < 40; step++) {
      for (size_t layer = 0; layer < layers; layer++) {
        if (FakeRuntime::textOf(graph.layer(layer)) != "" || graph.output() != right) return false;
      }
    }
    return true;
  };
  bool probeHolds = false;
  std::thread other([&] { probeHolds = steps(probe, 1); });
  const bool modelHolds = steps(model, 8);
  other.join();
  check(modelHolds && probeHolds, "both threads get their own results");
  check(operatorStatistics().plans - before.plans == 4, "each thread plans for itself");
}

}  // namespace

int main() {
  whatATaskThrowsIsTheStepsStatus();
  everyAllocationMayFail();
  aRefusalOfTheThreadPoolIsTheStepsStatus();
  messagesNameWhatIsWrong();
  aStepIsPlannedOnceWhateverItsLayers();
  aChangedTableIsNeverServedTheOldPlan();
  threadsDoNotShareAPlan();
  std::printf("%d operator checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
