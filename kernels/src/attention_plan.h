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

/// A segment or the tail, or a part of a long one. It is attended on its own, from an empty softmax on, so the result of a
/// row depends on the piece alone, not on what stands before it: sequences that share a block may share the work on it.
struct Piece {
  const int32_t* pages;
  size_t firstToken;  ///< within the segment, multiple of kTileTokens
  size_t endToken;
  size_t start;       ///< global position of the segment's first token
  int32_t delta;
  size_t span;        ///< pieces of one span are joined first, then the spans
};

/// Where the softmax of some query vectors lies in the state memory: from vector `first` on, in a state of `vectors`.
struct StateSlot {
  size_t at;       ///< floats from the start of the state memory, a whole number of cache lines
  size_t vectors;
  size_t first;
};

/// What an item leaves behind for its rows.
enum class ItemStates {
  kNone,     ///< it attends to all pieces and writes the output rows itself
  kOne,      ///< one state: its pieces lie in one span
  kByPiece,  ///< a state for each of its pieces, one after another in memory
};

/// Rows of one sequence at one kv head against consecutive pieces.
struct WorkItem {
  const SequenceView* sequence;
  const std::vector<Piece>* pieces;  ///< of the sequence
  size_t firstPiece;
  size_t endPiece;
  size_t head;
  size_t firstRow;  ///< within the sequence
  size_t rows;
  size_t work;      ///< pairs of a row and a token, about
  ItemStates states;
  StateSlot state;  ///< the first one
};

/// All rows of a sequence against a piece that other sequences of the step have too.
struct SharedRows {
  const SequenceView* sequence;
  const Piece* piece;
};

/// One kv head of a piece and the rows of several sequences: its keys and values are read once
/// (Hydragen, arXiv 2402.05099, section 3, does so for one shared prefix). The pieces are equal but for start, delta and span.
struct SharedItem {
  const SharedRows* members;
  size_t count;
  size_t head;
  StateSlot state;
};

/// States of the same rows and head that are joined, in order.
struct JoinedPart {
  StateSlot state;
  size_t span;
};

struct Join {
  const SequenceView* sequence;
  size_t head;
  size_t firstRow;  ///< within the sequence
  size_t rows;
  std::vector<JoinedPart> parts;
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
  AttentionPlan(StepView step, const HeadShape& shape, size_t pageTokens);
  AttentionPlan(const AttentionPlan&) = delete;
  AttentionPlan& operator=(const AttentionPlan&) = delete;

  const HeadShape& shape() const { return shape_; }
  const StepView& step() const { return step_; }
  const std::vector<AppendChunk>& chunks() const { return chunks_; }
  /// The longest items first.
  const std::vector<WorkItem>& items() const { return items_; }
  const std::vector<SharedItem>& sharedItems() const { return sharedItems_; }
  const std::vector<Join>& joins() const { return joins_; }
  /// Floats of state memory that all items need.
  size_t stateFloats() const { return stateFloats_; }
  /// Pairs of a token and a query vector over all items.
  size_t pairs() const { return pairs_; }
  /// Query vectors over all states that are joined.
  size_t states() const { return states_; }

 private:
  /// A piece of a sequence, by their indices.
  struct Holder {
    size_t sequence;
    size_t piece;
  };

  void shareSegments(size_t pageTokens);
  void share(const std::vector<Holder>& holders, size_t vectors);
  void planSequence(size_t index, size_t work);
  StateSlot slotFor(size_t vectors);

  const HeadShape shape_;
  const StepView step_;
  const size_t group_;
  std::vector<std::vector<Piece>> pieces_;              ///< by sequence
  std::vector<std::vector<StateSlot>> sharedSlots_;     ///< by sequence, [pieces * kvHeads]; vectors = 0: not shared
  std::vector<std::vector<SharedRows>> sharedRows_;     ///< what the shared items point at
  std::vector<AppendChunk> chunks_;
  std::vector<WorkItem> items_;
  std::vector<SharedItem> sharedItems_;
  std::vector<Join> joins_;
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
