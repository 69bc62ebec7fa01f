// The plan of one step: which work items attend to which tiles, and which items are joined afterwards.
// It is the same for every layer of the step. Knows sequences and tokens; attention.cc knows tensors and pool memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "step_metadata.h"

namespace blockstitch {

/// Heads that the plan is made for.
struct HeadShape {
  size_t heads;    ///< multiple of kvHeads
  size_t kvHeads;
  size_t headDim;

  bool operator==(const HeadShape& other) const {
    return heads == other.heads && kvHeads == other.kvHeads && headDim == other.headDim;
  }
};

/// A run of tiles of one segment or of the tail, within one split.
struct TileRun {
  const int32_t* pages;
  size_t firstToken;  ///< within the segment, multiple of kTileTokens
  size_t endToken;
  size_t start;       ///< global position of the segment's first token
  int32_t delta;
};

/// What one thread does at a time: some rows of a sequence at one kv head, against the tiles of one split.
struct WorkItem {
  const SequenceView* sequence;
  const std::vector<TileRun>* runs;
  size_t head;
  size_t firstRow;  ///< within the sequence
  size_t rows;
  size_t stateAt;   ///< floats from the start of the state memory, a whole number of cache lines
};

/// Items of the same rows and head, one per split, one after another: their states are joined.
struct ItemGroup {
  size_t firstItem;
  size_t splits;
};

/// Rows that one thread appends.
struct AppendChunk {
  const SequenceView* sequence;
  size_t firstRow;  ///< within the sequence
  size_t endRow;
};

/// Floats in a cache line. States begin at one, so that no vector is read or written across two.
constexpr size_t kLineFloats = 64 / sizeof(float);

constexpr size_t wholeLines(size_t floats) { return (floats + kLineFloats - 1) / kLineFloats * kLineFloats; }

/// Depends on the step and the shape alone. It points at the page lists in the step's metadata, which must outlive it.
class AttentionPlan {
 public:
  AttentionPlan(StepView step, const HeadShape& shape);
  AttentionPlan(const AttentionPlan&) = delete;
  AttentionPlan& operator=(const AttentionPlan&) = delete;

  const HeadShape& shape() const { return shape_; }
  const StepView& step() const { return step_; }
  const std::vector<AppendChunk>& chunks() const { return chunks_; }
  const std::vector<WorkItem>& items() const { return items_; }
  const std::vector<ItemGroup>& groups() const { return groups_; }
  /// Floats of state memory that all items need.
  size_t stateFloats() const { return stateFloats_; }
  /// Pairs of a token and a query vector over all items.
  size_t pairs() const { return pairs_; }
  /// Query vectors over all items.
  size_t states() const { return states_; }

 private:
  const HeadShape shape_;
  const StepView step_;
  std::vector<std::vector<std::vector<TileRun>>> splits_;  ///< by sequence
  std::vector<AppendChunk> chunks_;
  std::vector<WorkItem> items_;
  std::vector<ItemGroup> groups_;
  size_t stateFloats_ = 0;
  size_t pairs_ = 0;
  size_t states_ = 0;
};

/// The plan of a thread's last step. A session runs all layers of a step on one thread, one after another, so its first
/// layer reads, checks and plans, and the others find the plan. Each thread has its own (`ofThread`): nothing is shared.
///
/// A plan is found by the whole content of its metadata and by the bounds and the shape it was checked against. It depends
/// on nothing else, so an equal step may take it, and a step that differs in one page number never does.
class PlanCache {
 public:
  static PlanCache& ofThread();

  /// @returns the plan, valid until the next call; or null, and `wrong` says why
  /// @throws std::bad_alloc; the cache is empty then
  const AttentionPlan* find(const int32_t* metadata, size_t size, const StepBounds& bounds, const HeadShape& shape,
                            std::string* wrong);

 private:
  std::vector<int32_t> metadata_;  ///< our copy: the plan points into it
  StepBounds bounds_{};
  std::unique_ptr<const AttentionPlan> plan_;
};

/// Plans made by all caches since process start.
uint64_t attentionPlansMade();

}  // namespace blockstitch
