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
constexpr size_t kPieceTokens = 1024;
/// A span ends when its pieces have this many tokens. Pieces and spans depend on the sequence's own segments only, so a row's
/// arithmetic depends neither on the number of threads nor on the rest of the batch.
constexpr size_t kSpanTokens = 1024;
/// Query vectors of an item at most (rows * group, at least one row). An item converts its keys and values once, so more of
/// them cost less, but their sums have to stay in the L2 cache.
constexpr size_t kItemVectors = 128;
/// A sequence with this many items of rows needs no others for its threads: each attends to all spans.
constexpr size_t kWholeItems = 8;
/// A sequence of more query vectors per kv head than this does not share: it reads its keys seldom for its work.
constexpr size_t kSharingVectors = 56;
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
  for (size_t index = 0; index < step_.sequences.size(); index++) planSequence(index);
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
  struct Holder {
    size_t sequence;
    size_t piece;
  };
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
  for (const std::vector<Holder>* found : inOrder) {
    for (size_t first = 0; first < found->size() && found->size() > 1;) {
      size_t end = first, vectors = 0;
      for (; end < found->size(); end++) {
        const size_t more = step_.sequences[(*found)[end].sequence].rows * group_;
        if (end > first && vectors + more > kItemVectors) break;
        vectors += more;
      }
      std::vector<SharedRows>& members = sharedRows_.emplace_back();
      for (size_t i = first; i < end; i++) {
        const Holder& holder = (*found)[i];
        members.push_back({&step_.sequences[holder.sequence], &pieces_[holder.sequence][holder.piece]});
      }
      for (size_t head = 0; head < shape_.kvHeads; head++) {
        const StateSlot state = slotFor(vectors);
        sharedItems_.push_back({members.data(), members.size(), head, state});
        const Piece& piece = *members[0].piece;
        pairs_ += (piece.endToken - piece.firstToken) * vectors;
        size_t at = 0;
        for (size_t i = first; i < end; i++) {
          const Holder& holder = (*found)[i];
          std::vector<StateSlot>& slots = sharedSlots_[holder.sequence];
          slots.resize(pieces_[holder.sequence].size() * shape_.kvHeads);
          slots[holder.piece * shape_.kvHeads + head] = {state.at, vectors, at};
          at += step_.sequences[holder.sequence].rows * group_;
        }
      }
      first = end;
    }
  }
}

/// Plans what the sequence does not share. Its rows have one item for all spans, or an item for each span. Where pieces are
/// shared, every other piece has a state of its own too, because states are joined in the order of the pieces.
void AttentionPlan::planSequence(size_t index) {
  const SequenceView& sequence = step_.sequences[index];
  const std::vector<Piece>& pieces = pieces_[index];
  const std::vector<StateSlot>& shared = sharedSlots_[index];
  const size_t rowsPerItem = shared.empty() ? std::max<size_t>(1, kItemVectors / group_) : sequence.rows;
  const size_t rowItems = (sequence.rows + rowsPerItem - 1) / rowsPerItem * shape_.kvHeads;
  const bool isWhole = shared.empty() && (rowItems >= kWholeItems || pieces.back().span == 0);
  for (size_t head = 0; head < shape_.kvHeads; head++) {
    for (size_t row = 0; row < sequence.rows; row += rowsPerItem) {
      const size_t rows = std::min(rowsPerItem, sequence.rows - row);
      Join join{&sequence, head, row, rows, {}};
      for (size_t first = 0, end = 0; first < pieces.size(); first = end) {
        if (!shared.empty() && shared[first * shape_.kvHeads + head].vectors > 0) {
          end = first + 1;
          join.parts.push_back({shared[first * shape_.kvHeads + head], pieces[first].span});
          continue;
        }
        size_t tokens = 0;
        for (end = first; end < pieces.size(); end++) {
          if (!isWhole && (pieces[end].span != pieces[first].span || (!shared.empty() && end > first))) break;
          tokens += pieces[end].endToken - pieces[end].firstToken;
        }
        pairs_ += tokens * rows * group_;
        // Of the tail, later rows see more.
        if (end == pieces.size()) tokens -= std::min(tokens, sequence.rows - row - rows);
        const StateSlot state = isWhole ? StateSlot{} : slotFor(rows * group_);
        items_.push_back({&sequence, &pieces, first, end, head, row, rows, rows * tokens, isWhole, state});
        if (!isWhole) join.parts.push_back({state, pieces[first].span});
      }
      states_ += join.parts.size() * rows * group_;
      if (!isWhole) joins_.push_back(std::move(join));
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
