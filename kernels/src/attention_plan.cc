// Cuts steps into work items and keeps each thread's last plan; see attention_plan.h.
#include "attention_plan.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "attention_kernels.h"

namespace blockstitch {

namespace {

/// Tokens between split boundaries, counted in whole tiles from the sequence's first token. The number is fixed, so a
/// row's arithmetic never depends on the number of threads or on the rest of the batch.
constexpr size_t kSplitTokens = 2048;
/// Query vectors of one work item at most (rows * group, at least one row).
constexpr size_t kItemVectors = 56;
/// Rows that one thread appends at a time.
constexpr size_t kAppendRows = 16;

std::atomic<uint64_t> plansMade{0};

/// Cuts a sequence's segments and tail into splits of about kSplitTokens. The boundaries in the tail depend on its start
/// only, so a chunked prefill has the same splits as decode.
std::vector<std::vector<TileRun>> splitsOf(const SequenceView& sequence) {
  std::vector<std::vector<TileRun>> splits(1);
  size_t filled = 0;
  const auto add = [&](const int32_t* pages, size_t length, size_t start, int32_t delta) {
    for (size_t first = 0; first < length;) {
      if (filled >= kSplitTokens) {
        splits.emplace_back();
        filled = 0;
      }
      const size_t room = (kSplitTokens - filled + kTileTokens - 1) / kTileTokens * kTileTokens;
      const size_t end = std::min(length, first + room);
      splits.back().push_back({pages, first, end, start, delta});
      filled += end - first;
      first = end;
    }
  };
  for (const SegmentView& segment : sequence.segments) add(segment.pages, segment.length, segment.start, segment.delta);
  add(sequence.tailPages, sequence.tailPast + sequence.rows, sequence.cachedTokens, 0);
  return splits;
}

}  // namespace

AttentionPlan::AttentionPlan(StepView step, const HeadShape& shape) : shape_(shape), step_(std::move(step)) {
  const size_t group = shape_.heads / shape_.kvHeads;
  const size_t rowsPerItem = std::max<size_t>(1, kItemVectors / group);
  splits_.reserve(step_.sequences.size());  // items point at the splits: they must not move
  for (const SequenceView& sequence : step_.sequences) {
    for (size_t row = 0; row < sequence.rows; row += kAppendRows) {
      chunks_.push_back({&sequence, row, std::min(sequence.rows, row + kAppendRows)});
    }
    const auto& splits = splits_.emplace_back(splitsOf(sequence));
    for (size_t head = 0; head < shape_.kvHeads; head++) {
      for (size_t row = 0; row < sequence.rows; row += rowsPerItem) {
        const size_t rows = std::min(rowsPerItem, sequence.rows - row);
        const size_t vectors = rows * group;
        groups_.push_back({items_.size(), splits.size()});
        for (const auto& runs : splits) {
          items_.push_back({&sequence, &runs, head, row, rows, stateFloats_});
          stateFloats_ += wholeLines(2 * vectors) + wholeLines(vectors * shape_.headDim);
          states_ += vectors;
          for (const TileRun& run : runs) pairs_ += (run.endToken - run.firstToken) * vectors;
        }
      }
    }
  }
}

PlanCache& PlanCache::ofThread() {
  static thread_local PlanCache cache;
  return cache;
}

const AttentionPlan* PlanCache::find(const int32_t* metadata, size_t size, const StepBounds& bounds, const HeadShape& shape,
                                     std::string* wrong) {
  if (plan_ != nullptr && metadata_.size() == size && bounds_ == bounds && plan_->shape() == shape &&
      std::memcmp(metadata_.data(), metadata, size * sizeof(int32_t)) == 0) {
    return plan_.get();
  }
  plan_.reset();  // whatever fails below, the old plan is not found again
  metadata_.assign(metadata, metadata + size);
  StepView step;
  *wrong = readStepMetadata(metadata_.data(), size, bounds, &step);
  if (!wrong->empty()) return nullptr;
  bounds_ = bounds;
  plan_ = std::make_unique<const AttentionPlan>(std::move(step), shape);
  plansMade.fetch_add(1, std::memory_order_relaxed);
  return plan_.get();
}

uint64_t attentionPlansMade() { return plansMade.load(std::memory_order_relaxed); }

}  // namespace blockstitch
