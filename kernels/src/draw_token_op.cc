// Reads the op's tensors, checks them, and draws each row's token on ONNX Runtime's own threads. See draw_token_op.h.
#include "draw_token_op.h"

#include <memory>

#include "draw_token.h"
#include "op_status.h"
#include "op_tensors.h"
#include "op_threads.h"

namespace blockstitch {

namespace {

using ort::Api;

enum Input : size_t { kLogits, kBest, kRules, kFrom, kAdjusted, kInputs };
constexpr size_t kOutputs = 2;
constexpr ort::ElementType kInputTypes[kInputs] = {ort::kFloat, ort::kFloat, ort::kDouble, ort::kInt32, ort::kInt32};
constexpr size_t kRuleFields = sizeof(DrawRules) / sizeof(double);
constexpr size_t kAdjustmentFields = sizeof(Adjustment) / sizeof(int32_t);
constexpr const char* kName = "DrawToken";

struct Kernel {
  Api api;
};

/// @returns null, or what is wrong
const char* wrongShape(const TensorView (&tensors)[kInputs]) {
  const TensorView& logits = tensors[kLogits];
  if (logits.rank != 2 || logits.shape[1] < 1) return "logits must be [L, vocab]";
  const size_t rows = static_cast<size_t>(logits.shape[0]);
  const TensorView& best = tensors[kBest];
  if (best.rank != 2 || best.shape[0] != logits.shape[0] || best.shape[1] < 1) return "best must be [L, k]";
  if (!tensors[kRules].isMatrix(rows, kRuleFields)) return "draw_rules must be [L, 5]";
  if (tensors[kFrom].rank != 1 || static_cast<size_t>(tensors[kFrom].shape[0]) != rows + 1) return "adjusted_from must be [L + 1]";
  const TensorView& adjusted = tensors[kAdjusted];
  if (adjusted.rank != 2 || static_cast<size_t>(adjusted.shape[1]) != kAdjustmentFields) return "adjusted must be [N, 3]";
  const int32_t* from = static_cast<const int32_t*>(tensors[kFrom].data);
  for (size_t row = 0; row < rows; row++) {
    if (from[row] < 0 || from[row + 1] < from[row]) return "adjusted_from must not descend";
  }
  return from[rows] > adjusted.shape[0] ? "adjusted_from goes beyond adjusted" : nullptr;
}

ort::Status* compute(Api api, ort::KernelContext* context) {
  TensorView tensors[kInputs];
  for (size_t i = 0; i < kInputs; i++) {
    if (ort::Status* status = viewInput(api, context, i, &tensors[i])) return status;
  }
  if (const char* wrong = wrongShape(tensors)) return opFailure(api, ort::kInvalidArgument, wrong, kName);
  const int64_t shape[1] = {tensors[kLogits].shape[0]};
  void* outputs[kOutputs] = {};
  for (size_t i = 0; i < kOutputs; i++) {
    if (ort::Status* status = allocateOutput(api, context, i, shape, 1, &outputs[i])) return status;
  }
  const auto* logits = static_cast<const float*>(tensors[kLogits].data);
  const auto* best = static_cast<const float*>(tensors[kBest].data);
  const auto* rules = static_cast<const DrawRules*>(tensors[kRules].data);
  const auto* from = static_cast<const int32_t*>(tensors[kFrom].data);
  const auto* adjusted = static_cast<const Adjustment*>(tensors[kAdjusted].data);
  auto* ids = static_cast<int32_t*>(outputs[0]);
  auto* drawnLogits = static_cast<float*>(outputs[1]);
  const size_t vocab = static_cast<size_t>(tensors[kLogits].shape[1]);
  const size_t k = static_cast<size_t>(tensors[kBest].shape[1]);
  const size_t rows = static_cast<size_t>(shape[0]);
  bool any = false;
  for (size_t row = 0; row < rows; row++) any |= rules[row].temperature > 0;
  const auto draw = [&](size_t row) {
    DrawnToken drawn{0, 0};
    if (rules[row].temperature > 0) {
      drawn = drawToken(logits + row * vocab, vocab, best[row * k], rules[row], adjusted + from[row],
                        static_cast<size_t>(from[row + 1] - from[row]));
    }
    ids[row] = drawn.id;
    drawnLogits[row] = drawn.logit;
  };
  // Greedy steps need no thread.
  if (any) onOpThreads(api, context, rows, draw);
  else for (size_t row = 0; row < rows; row++) draw(row);
  return nullptr;
}

ort::CustomOp makeOp() {
  ort::CustomOp op = opTemplate();
  op.getName = [](const ort::CustomOp*) { return kName; };
  op.getExecutionProviderType = [](const ort::CustomOp*) -> const char* { return "CPUExecutionProvider"; };
  op.getInputTypeCount = [](const ort::CustomOp*) { return static_cast<size_t>(kInputs); };
  op.getOutputTypeCount = [](const ort::CustomOp*) { return kOutputs; };
  op.getInputType = [](const ort::CustomOp*, size_t index) { return kInputTypes[index]; };
  op.getOutputType = [](const ort::CustomOp*, size_t index) { return index == 0 ? ort::kInt32 : ort::kFloat; };
  op.kernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.createKernelV2 = [](const ort::CustomOp*, Api api, const ort::KernelInfo*, void** kernel) {
    return guardedStatus(api, [&]() -> ort::Status* {
      *kernel = new Kernel{api};
      return nullptr;
    }, kName);
  };
  op.kernelComputeV2 = [](void* data, ort::KernelContext* context) {
    const Api api = static_cast<const Kernel*>(data)->api;
    return guardedStatus(api, [&] { return compute(api, context); }, kName);
  };
  return op;
}

}  // namespace

const ort::CustomOp* drawTokenOp() {
  static const ort::CustomOp op = makeOp();
  return &op;
}

}  // namespace blockstitch
