// Cuts steps into work items and keeps each thread's last plan; see attention_plan.h.
#include "attention_plan.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "attention_kernels.h"

namespace blockstitch {

namespace {

/// Tokens of a piece at most, counted from the segment's first token: a multiple of kTileTokens.
constexpr size_t kPieceTokens = 2048;
/// A span ends when its pieces have this many tokens. Pieces and spans depend on the sequence's own segments only, so a row's
/// arithmetic depends neither on the number of threads nor on the rest of the batch.
constexpr size_t kSpanTokens = 2048;
/// Query vectors of an item at most (rows * group, at least one row). An item converts its keys and values once, so more of
/// them cost less, but their sums have to stay in the L2 cache.
constexpr size_t kItemVectors = 192;
/// An item of at most this part of the step's work attends to all spans. Larger ones are cut into spans, for the threads. Long
/// items read memory faster, because it takes each some time until its prefetches are far enough in front.
constexpr size_t kWholeShare = 8;
/// A sequence of more query vectors per kv head than this does not share: it reads its keys seldom for its work.
constexpr size_t kSharingVectors = 56;
/// A piece of fewer tokens than this (sinks) is shared only among sequences that share another one: to read it costs less than
/// to keep the states of all pieces apart.
constexpr size_t kSharedTokens = 32;
/// Rows that one thread appends at a time.
constexpr size_t kAppendRows = 16;

std::atomic<uint64_t> plansMade{0};

/// Cuts a sequence's segments and tail into pieces. Those in the tail depend on its start only, so a chunked prefill has the
/// same pieces as decode.
std::vector<Piece> piecesOf(const SequenceView& sequence) {
  std::vector<Piece> pieces;
  size_t filled = 0, span = 0;
  const auto add = [&](const int32_t* pages, size_t length, size_t start, int32_t delta) {
    for (size_t first = 0; first < length; first += kPieceTokens) {
      if (filled >= kSpanTokens) {
        span++;
        filled = 0;
      }
      const size_t end = std::min(length, first + kPieceTokens);
      pieces.push_back({pages, first, end, start, delta, span});
      filled += end - first;
    }
  };
  for (const SegmentView& segment : sequence.segments) add(segment.pages, segment.length, segment.start, segment.delta);
  add(sequence.tailPages, sequence.tailPast + sequence.rows, sequence.cachedTokens, 0);
  return pieces;
}

/// Tokens that the last row of a sequence sees.
size_t tokensOf(const SequenceView& sequence) { return sequence.cachedTokens + sequence.tailPast + sequence.rows; }

/// What makes two pieces of segments the same: their tokens and the pages that hold them.
struct PieceContent {
  const int32_t* pages;
  size_t firstToken;
  size_t endToken;
  size_t pageCount;

  bool operator==(const PieceContent& other) const {
    return firstToken == other.firstToken && endToken == other.endToken &&
           std::memcmp(pages, other.pages, pageCount * sizeof(int32_t)) == 0;
  }
};

struct PieceHash {
  size_t operator()(const PieceContent& content) const {
    size_t hash = content.firstToken * 31 + content.endToken;
    for (size_t i = 0; i < content.pageCount; i++) hash = hash * 1099511628211u ^ static_cast<size_t>(content.pages[i]);
    return hash;
  }
};

}  // namespace

AttentionPlan::AttentionPlan(StepView step, const HeadShape& shape, size_t pageTokens)
    : shape_(shape), step_(std::move(step)), group_(shape.heads / shape.kvHeads) {
  for (const SequenceView& sequence : step_.sequences) {
    for (size_t row = 0; row < sequence.rows; row += kAppendRows) {
      chunks_.push_back({&sequence, row, std::min(sequence.rows, row + kAppendRows)});
    }
    pieces_.push_back(piecesOf(sequence));
    sharedSlots_.emplace_back();
  }
  shareSegments(pageTokens);
  size_t work = 0;
  for (const SequenceView& sequence : step_.sequences) work += sequence.rows * tokensOf(sequence) * shape_.kvHeads;
  for (size_t index = 0; index < step_.sequences.size(); index++) planSequence(index, work);
  std::sort(items_.begin(), items_.end(), [](const WorkItem& a, const WorkItem& b) { return a.work > b.work; });
}

StateSlot AttentionPlan::slotFor(size_t vectors) {
  const StateSlot slot{stateFloats_, vectors, 0};
  stateFloats_ += wholeLines(2 * vectors) + wholeLines(vectors * shape_.headDim);
  return slot;
}

/// Finds the segments that several sequences hold, and plans their work together.
void AttentionPlan::shareSegments(size_t pageTokens) {
  if (step_.sequences.size() < 2) return;
  std::unordered_map<PieceContent, std::vector<Holder>, PieceHash> holders;
  std::vector<const std::vector<Holder>*> inOrder;  // of their first appearance, so that a plan is always the same
  for (size_t s = 0; s < step_.sequences.size(); s++) {
    const SequenceView& sequence = step_.sequences[s];
    if (sequence.rows * group_ > kSharingVectors) continue;
    const std::vector<Piece>& pieces = pieces_[s];
    for (size_t p = 0; p < pieces.size() && pieces[p].pages != sequence.tailPages; p++) {
      const size_t pages = (pieces[p].endToken + pageTokens - 1) / pageTokens;
      std::vector<Holder>& found = holders[{pieces[p].pages, pieces[p].firstToken, pieces[p].endToken, pages}];
      if (found.empty()) inOrder.push_back(&found);
      found.push_back({s, p});
    }
  }
  for (const bool isShort : {false, true}) {
    for (const std::vector<Holder>* found : inOrder) {
      const Piece& piece = pieces_[found->front().sequence][found->front().piece];
      if ((piece.endToken - piece.firstToken < kSharedTokens) != isShort) continue;
      std::vector<Holder> sharing;
      for (const Holder& holder : *found) {
        if (!isShort || !sharedSlots_[holder.sequence].empty()) sharing.push_back(holder);
      }
      for (size_t first = 0, end = 0; sharing.size() > 1 && first < sharing.size(); first = end) {
        size_t vectors = 0;
        for (end = first; end < sharing.size(); end++) {
          const size_t more = step_.sequences[sharing[end].sequence].rows * group_;
          if (end > first && vectors + more > kItemVectors) break;
          vectors += more;
        }
        share({sharing.begin() + static_cast<ptrdiff_t>(first), sharing.begin() + static_cast<ptrdiff_t>(end)}, vectors);
      }
    }
  }
}

/// Plans the work of `holders`, `vectors` query vectors by kv head, on the piece that they all have.
void AttentionPlan::share(const std::vector<Holder>& holders, size_t vectors) {
  std::vector<SharedRows>& members = sharedRows_.emplace_back();
  for (const Holder& holder : holders) {
    members.push_back({&step_.sequences[holder.sequence], &pieces_[holder.sequence][holder.piece]});
  }
  for (size_t head = 0; head < shape_.kvHeads; head++) {
    const StateSlot state = slotFor(vectors);
    sharedItems_.push_back({members.data(), members.size(), head, state});
    const Piece& piece = *members[0].piece;
    pairs_ += (piece.endToken - piece.firstToken) * vectors;
    size_t at = 0;
    for (const Holder& holder : holders) {
      std::vector<StateSlot>& slots = sharedSlots_[holder.sequence];
      slots.resize(pieces_[holder.sequence].size() * shape_.kvHeads);
      slots[holder.piece * shape_.kvHeads + head] = {state.at, vectors, at};
      at += step_.sequences[holder.sequence].rows * group_;
    }
  }
}

/// Plans what the sequence does not share. `work` is that of the step: pairs of a row and a token, for each kv head. Its rows have one item for all spans, or an item for each span. Where pieces are
/// shared, every other piece keeps a state of its own too, because states are joined in the order of the pieces.
void AttentionPlan::planSequence(size_t index, size_t work) {
  const SequenceView& sequence = step_.sequences[index];
  const std::vector<Piece>& pieces = pieces_[index];
  const std::vector<StateSlot>& shared = sharedSlots_[index];
  const bool byPiece = !shared.empty();
  const size_t rowsPerItem = byPiece ? sequence.rows : std::max<size_t>(1, kItemVectors / group_);
  const size_t itemWork = std::min(rowsPerItem, sequence.rows) * tokensOf(sequence);
  const bool crossesSpans = itemWork * kWholeShare <= work || pieces.back().span == 0;
  const auto isShared = [&](size_t piece) { return byPiece && shared[piece * shape_.kvHeads].vectors > 0; };
  for (size_t head = 0; head < shape_.kvHeads; head++) {
    for (size_t row = 0; row < sequence.rows; row += rowsPerItem) {
      const size_t rows = std::min(rowsPerItem, sequence.rows - row);
      Join join{&sequence, head, row, rows, {}};
      for (size_t first = 0, end = 0; first < pieces.size(); first = end) {
        end = first + 1;
        if (isShared(first)) {
          join.parts.push_back({shared[first * shape_.kvHeads + head], pieces[first].span});
          continue;
        }
        while (end < pieces.size() && !isShared(end) && (crossesSpans || pieces[end].span == pieces[first].span)) end++;
        const ItemStates states = byPiece ? ItemStates::kByPiece : crossesSpans ? ItemStates::kNone : ItemStates::kOne;
        WorkItem item{&sequence, &pieces, first, end, head, row, rows, 0, states, {}};
        size_t tokens = 0;
        for (size_t p = first; p < end; p++) {
          tokens += pieces[p].endToken - pieces[p].firstToken;
          if (states == ItemStates::kNone || (states == ItemStates::kOne && p > first)) continue;
          const StateSlot state = slotFor(rows * group_);
          if (p == first) item.state = state;
          join.parts.push_back({state, pieces[p].span});
        }
        pairs_ += tokens * rows * group_;
        // Of the tail, later rows see more.
        if (end == pieces.size()) tokens -= std::min(tokens, sequence.rows - row - rows);
        item.work = rows * tokens;
        items_.push_back(item);
      }
      states_ += join.parts.size() * rows * group_;
      if (!join.parts.empty()) joins_.push_back(std::move(join));
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
  plan_ = std::make_unique<const AttentionPlan>(std::move(step), shape, bounds.pageTokens);
  plansMade.fetch_add(1, std::memory_order_relaxed);
  return plan_.get();
}

uint64_t attentionPlansMade() { return plansMade.load(std::memory_order_relaxed); }

}  // namespace blockstitch
