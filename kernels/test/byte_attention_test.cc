// ByteBlockAttention against the three operators that it stands for, bit for bit: its rows, and what it leaves in the pool.
// Shapes that do not fit become the status of the step.
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "attention_cases.h"
#include "block_attention_op.h"
#include "byte_attention_op.h"
#include "checks.h"
#include "fake_runtime.h"
#include "int8_rows_op.h"
#include "kv_pool.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

/// One operator, made and run once.
struct Call {
  const ort::CustomOp* op;
  ort::KernelInfo info;
  ort::KernelContext context;

  void give(const std::vector<size_t>& shape, const void* data) {
    context.inputs.push_back({std::vector<int64_t>(shape.begin(), shape.end()), const_cast<void*>(data)});
  }
  void expect(size_t bytes) { context.memory.emplace_back(bytes); }
  const std::vector<char>& output(size_t index) const { return context.memory[index]; }

  /// @returns what was wrong; empty: nothing
  std::string run() {
    void* kernel = nullptr;
    const std::string wrong = FakeRuntime::textOf(op->createKernelV2(op, FakeRuntime::api(), &info, &kernel));
    if (!wrong.empty()) return wrong;
    const std::string failed = FakeRuntime::textOf(op->kernelComputeV2(kernel, &context));
    op->kernelDestroy(kernel);
    return failed;
  }
};

const ort::CustomOp* rowOp(const std::string& name) {
  for (const ort::CustomOp* op : int8RowOps()) {
    if (op->getName(op) == name) return op;
  }
  return nullptr;
}

/// A case with sums in place of queries, keys and values, and a pool of its own.
class Step {
 public:
  explicit Step(const Case& c)
      : c_(c), data_(c, 7), pool_(std::make_shared<KvPool>(PoolShape{data_.pages(), c.pageTokens, 1, c.kvHeads, c.headDim, c.dtype})),
        poolId_(registerPool(pool_)) {
    data_.fill(poolId_, [](const std::vector<int32_t>&, size_t, int32_t, const std::vector<float>&, const std::vector<float>&) {});
    metadata_ = data_.metadata();
    std::mt19937 random(3);
    std::uniform_int_distribution<int32_t> whole(-4000000, 4000000);
    std::uniform_real_distribution<float> real(1e-4f, 1e-3f), bias(-1, 1);
    for (size_t i = 0; i < rows() * width(); i++) sums.push_back(whole(random));
    for (size_t i = 0; i < rows(); i++) scales.push_back(real(random));
    for (size_t i = 0; i < width(); i++) columnScales.push_back(real(random)), biases.push_back(bias(random));
  }
  ~Step() { unregisterPool(poolId_); }

  size_t rows() const { return data_.rows(); }
  size_t heads() const { return c_.kvHeads * c_.group; }
  size_t queryWidth() const { return heads() * c_.headDim; }
  size_t keyWidth() const { return c_.kvHeads * c_.headDim; }
  size_t width() const { return queryWidth() + 2 * keyWidth(); }

  std::map<std::string, int64_t> attributes(size_t rotation) const {
    const auto number = [](size_t value) { return static_cast<int64_t>(value); };
    return {{"layer", 0},                         {"num_heads", number(heads())},      {"num_kv_heads", number(c_.kvHeads)},
            {"head_dim", number(c_.headDim)},     {"rotary_dim", number(c_.headDim)},  {"rotary_interleaved", 0},
            {"sliding_window", number(c_.window)}, {"rotation", number(rotation)}};
  }
  std::map<std::string, float> floatAttributes() const { return {{"scale", 1 / std::sqrt(static_cast<float>(c_.headDim))}, {"softcap", c_.softcap}}; }

  void giveSums(Call* call) const {
    call->give({rows(), width()}, sums.data());
    call->give({rows()}, scales.data());
    call->give({width()}, columnScales.data());
    call->give({width()}, biases.data());
  }
  void giveStep(Call* call) const {
    call->give({kPositions, c_.headDim / 2}, data_.tables().cos.data());
    call->give({kPositions, c_.headDim / 2}, data_.tables().sin.data());
    call->give({metadata_.size()}, metadata_.data());
  }

  Call fused(size_t rotation) const {
    Call call{byteAttentionOp(), {attributes(rotation), floatAttributes()}, {}};
    giveSums(&call);
    giveStep(&call);
    call.expect(rows() * queryWidth());
    call.expect(rows() * sizeof(float));
    return call;
  }

  std::vector<uint8_t> pages() const {
    std::vector<int32_t> all(data_.pages());
    for (size_t i = 0; i < all.size(); i++) all[i] = static_cast<int32_t>(i);
    std::vector<uint8_t> bytes(pool_->payloadBytes(all.size() * c_.pageTokens));
    pool_->readPages(all.data(), all.size() * c_.pageTokens, bytes.data());
    return bytes;
  }

  std::vector<int32_t> sums;
  std::vector<float> scales, columnScales, biases;

 private:
  const Case& c_;
  CaseData data_;
  std::shared_ptr<KvPool> pool_;
  int32_t poolId_;
  std::vector<int32_t> metadata_;
};

void theOperatorIsItsThreeSteps(const Case& c, size_t rotation, const std::string& name) {
  const Step apart(c), together(c);
  const size_t rows = apart.rows(), queries = apart.queryWidth(), keys = apart.keyWidth();
  Call split{rowOp("DequantizeQkv"), {{{"query_width", static_cast<int64_t>(queries)}, {"key_width", static_cast<int64_t>(keys)}}, {}}, {}};
  apart.giveSums(&split);
  for (const size_t width : {queries, keys, keys}) split.expect(rows * width * sizeof(float));
  check(split.run().empty(), name + ": DequantizeQkv runs");
  Call attention{blockAttentionOp(), {apart.attributes(rotation), apart.floatAttributes()}, {}};
  attention.give({rows, queries}, split.output(0).data());
  attention.give({rows, keys}, split.output(1).data());
  attention.give({rows, keys}, split.output(2).data());
  apart.giveStep(&attention);
  attention.expect(rows * queries * sizeof(float));
  check(attention.run().empty(), name + ": BlockAttention runs");
  Call quantize{rowOp("QuantizeRows"), {{{"rotation", static_cast<int64_t>(rotation)}}, {}}, {}};
  quantize.give({rows, queries}, attention.output(0).data());
  quantize.expect(rows * queries);
  quantize.expect(rows * sizeof(float));
  check(quantize.run().empty(), name + ": QuantizeRows runs");

  Call fused = together.fused(rotation);
  const OperatorStatistics before = operatorStatistics();
  check(fused.run().empty(), name + ": ByteBlockAttention runs");
  check(operatorStatistics().calls - before.calls == 1, name + ": one call is counted");
  check(fused.output(0) == quantize.output(0), name + ": the same bytes");
  check(fused.output(1) == quantize.output(1), name + ": the same scales");
  check(together.pages() == apart.pages(), name + ": the same keys and values in the pool");
}

const Case kSmall{32, 2, 2, 16, KvDtype::kFloat32, 0, 0, false, {{{}, 0, 0, 9}}};

std::string failureOf(const std::function<void(Call*)>& spoil, size_t rotation = 32) {
  const Step step(kSmall);
  Call call = step.fused(rotation);
  spoil(&call);
  return call.run();
}

void whatDoesNotFitIsTheStepsStatus() {
  const std::string shapes = "ByteBlockAttention: sums must be [n, (heads + 2 kv_heads) * head_dim] with scales to fit";
  check(failureOf([](Call*) {}).empty(), "a good step");
  check(failureOf([](Call* call) { call->context.inputs[0].shape[1] -= 1; }) == shapes, "sums too narrow");
  check(failureOf([](Call* call) { call->context.inputs[1].shape[0] += 1; }) == shapes, "scales of other rows");
  check(failureOf([](Call* call) { call->context.inputs[3].shape[0] -= 1; }) == shapes, "a bias too short");
  check(failureOf([](Call* call) { call->context.inputs[4].shape[1] -= 1; }).find("cos and sin") != std::string::npos, "tables of another width");
  check(failureOf([](Call* call) { static_cast<int32_t*>(call->context.inputs[6].data)[1] = 9999; }).find("no KV pool 9999") != std::string::npos,
        "an unknown pool");
  check(failureOf([](Call*) {}, 48) == "ByteBlockAttention: rotation must be a power of two", "a rotation of 48");
  check(failureOf([](Call*) {}, 256) == "ByteBlockAttention: rotation must divide num_heads * head_dim", "a rotation of 256");
  FakeRuntime& runtime = FakeRuntime::instance();
  const Case many{32, 2, 2, 16, KvDtype::kFloat32, 0, 0, false, {{{}, 0, 0, 200}}};
  const Step step(many);
  Call call = step.fused(32);
  runtime.refusesParallelFor = true;
  check(call.run() == "the thread pool is gone", "ONNX Runtime's own status is passed on");
  runtime.refusesParallelFor = false;
  check(call.run().empty() && runtime.statuses == 0, "the next step runs, and nothing of the runtime's is kept");
}

}  // namespace

int main() {
  theOperatorIsItsThreeSteps({32, 2, 2, 16, KvDtype::kFloat32, 0, 0, false, {{{}, 0, 0, 1}}}, 128, "one row");
  theOperatorIsItsThreeSteps({64, 3, 3, 16, KvDtype::kFloat16, 0, 0, false, {{{{40, 0}}, 44, 3, 40}, {{}, 0, 0, 300}, {{{20, 0}}, 24, 0, 1}}}, 64,
                             "three sequences");
  theOperatorIsItsThreeSteps({16, 1, 7, 32, KvDtype::kInt8, 20, 0, true, {{{{40, 0}}, 44, 3, 70}}}, 1, "a window, int8, no rotation");
  theOperatorIsItsThreeSteps({64, 2, 4, 16, KvDtype::kBfloat16, 0, 20, false, {{{}, 0, 5, 2}, {{{16, 3}, {17, 9}}, 40, 0, 65}}}, 512, "bfloat16");
  whatDoesNotFitIsTheStepsStatus();
  if (failures == 0) std::printf("ByteBlockAttention is its three steps\n");
  return failures == 0 ? 0 : 1;
}
