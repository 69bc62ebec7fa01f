// The plan of a step: what it covers, and when the thread's last plan may serve again.
#include "attention_plan.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "attention_cases.h"
#include "attention_kernels.h"
#include "checks.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

const Case kCase{32, 2, 2, 16, KvDtype::kFloat32, 0, 0, false, {{{{40, 0}, {100, 40}}, 144, 3, 40}, {{}, 0, 0, 1}}};
const HeadShape kHeads{4, 2, 32};

std::vector<int32_t> metadataOf(const Case& c, size_t* pages, size_t* rows) {
  CaseData data(c, 1);
  data.fill(7, [](const std::vector<int32_t>&, size_t, int32_t, const std::vector<float>&, const std::vector<float>&) {});
  *pages = data.pages();
  *rows = data.rows();
  return data.metadata();
}

/// Gives the second half of the sequences the segments of the first half, in another order.
std::vector<int32_t> withSharedSegments(const StepView& step) {
  const size_t count = step.sequences.size();
  std::vector<int32_t> metadata = {1, 7, static_cast<int32_t>(count), static_cast<int32_t>(step.rows)};
  metadata.resize(4 + count);
  for (size_t s = 0; s < count; s++) {
    metadata[4 + s] = static_cast<int32_t>(metadata.size());
    const SequenceView& own = step.sequences[s];
    std::vector<SegmentView> segments = step.sequences[s % ((count + 1) / 2)].segments;
    if (s % 2 == 1) std::reverse(segments.begin(), segments.end());
    const size_t tailPages = (own.tailPast + own.rows + 15) / 16;
    for (const size_t field : {own.firstRow, own.rows, static_cast<size_t>(own.tailPosition), own.tailPast, tailPages, segments.size()}) {
      metadata.push_back(static_cast<int32_t>(field));
    }
    metadata.insert(metadata.end(), own.tailPages, own.tailPages + tailPages);
    for (const SegmentView& segment : segments) {
      const size_t pages = (segment.length + 15) / 16;
      metadata.insert(metadata.end(), {static_cast<int32_t>(segment.length), 0, static_cast<int32_t>(pages)});
      metadata.insert(metadata.end(), segment.pages, segment.pages + pages);
    }
  }
  return metadata;
}

/// Which tokens each row and head attends to, counted over everything that is planned for it.
class Coverage {
 public:
  void add(const SequenceView& sequence, size_t firstRow, size_t rows, size_t head, const Piece& piece) {
    check(piece.firstToken % kTileTokens == 0 && piece.endToken > piece.firstToken, "pieces begin at tiles");
    for (size_t row = firstRow; row < firstRow + rows; row++) {
      std::vector<int>& seen = seen_[{sequence.firstRow + row, head}];
      seen.resize(std::max(seen.size(), piece.start + piece.endToken));
      for (size_t t = piece.firstToken; t < piece.endToken; t++) seen[piece.start + t]++;
    }
  }

  void expect(const StepView& step, size_t heads) const {
    size_t covered = 0;
    for (const SequenceView& sequence : step.sequences) {
      const size_t tokens = sequence.cachedTokens + sequence.tailPast + sequence.rows;
      for (size_t row = 0; row < sequence.rows; row++) {
        for (size_t head = 0; head < heads; head++, covered++) {
          const auto found = seen_.find({sequence.firstRow + row, head});
          check(found != seen_.end() && found->second == std::vector<int>(tokens, 1), "every row sees every token once");
        }
      }
    }
    check(seen_.size() == covered, "there are no other rows");
  }

 private:
  std::map<std::pair<size_t, size_t>, std::vector<int>> seen_;
};

/// Every row is written once: by its item, or by the join of its states.
class Written {
 public:
  void add(const SequenceView& sequence, size_t firstRow, size_t rows, size_t head) {
    for (size_t row = firstRow; row < firstRow + rows; row++) count_ += rows_.emplace(sequence.firstRow + row, head).second ? 1 : 1000;
  }
  size_t count() const { return count_; }

 private:
  std::set<std::pair<size_t, size_t>> rows_;
  size_t count_ = 0;
};

/// @param kinds counts items by what they leave behind
void checkPlan(const StepView& step, const AttentionPlan& plan, const HeadShape& heads, size_t (&kinds)[3]) {
  const size_t group = heads.heads / heads.kvHeads;
  Coverage coverage;
  Written written;
  std::map<size_t, size_t> vectorsAt;  // states in memory: where, and how many vectors
  const auto place = [&](const StateSlot& state) {
    check(state.at % kLineFloats == 0, "states begin at cache lines");
    check(state.at + 2 * state.vectors + state.vectors * heads.headDim <= plan.stateFloats(), "states lie in the state memory");
    vectorsAt.emplace(state.at, state.vectors);
  };
  for (const WorkItem& item : plan.items()) {
    for (size_t p = item.firstPiece; p < item.endPiece; p++) {
      coverage.add(*item.sequence, item.firstRow, item.rows, item.head, (*item.pieces)[p]);
      if (item.states == ItemStates::kOne) {
        check((*item.pieces)[p].span == (*item.pieces)[item.firstPiece].span, "a state belongs to one span");
      }
      if (item.states != ItemStates::kByPiece) continue;
      const size_t vectors = item.rows * group;
      const size_t floats = wholeLines(2 * vectors) + wholeLines(vectors * heads.headDim);
      place({item.state.at + (p - item.firstPiece) * floats, vectors, 0});
    }
    kinds[static_cast<size_t>(item.states)]++;
    if (item.states == ItemStates::kNone) {
      check(item.firstPiece == 0 && item.endPiece == item.pieces->size(), "an item without a state attends to all");
      written.add(*item.sequence, item.firstRow, item.rows, item.head);
    }
    if (item.states == ItemStates::kOne) place(item.state);
  }
  for (const SharedItem& item : plan.sharedItems()) {
    check(item.count >= 1, "a shared piece has rows");
    place(item.state);
    size_t vectors = 0;
    for (size_t m = 0; m < item.count; m++) {
      const SharedRows& member = item.members[m];
      coverage.add(*member.sequence, 0, member.sequence->rows, item.head, *member.piece);
      check(member.piece->pages[0] == item.members[0].piece->pages[0] && member.piece->endToken == item.members[0].piece->endToken,
            "shared pieces are the same pages");
      vectors += member.sequence->rows * group;
    }
    check(vectors == item.state.vectors, "each row of a shared piece has its state");
  }
  size_t joined = 0;
  for (const Join& join : plan.joins()) {
    written.add(*join.sequence, join.firstRow, join.rows, join.head);
    size_t span = 0;
    for (const JoinedPart& part : join.parts) {
      check(part.span >= span, "states are joined in order");
      span = part.span;
      check(part.state.first + join.rows * group <= part.state.vectors && vectorsAt[part.state.at] == part.state.vectors,
            "what is joined is a state of an item");
      joined += join.rows * group;
    }
  }
  check(joined == plan.states(), "states are counted");
  coverage.expect(step, heads.kvHeads);
  check(written.count() == step.rows * heads.kvHeads, "every row is written once");
  size_t appended = 0;
  for (const AppendChunk& chunk : plan.chunks()) appended += chunk.endRow - chunk.firstRow;
  check(appended == step.rows, "every row is appended once");
}

void everyRowSeesEveryTokenOnce() {
  std::mt19937 random(5);
  size_t sharedItems = 0, kinds[3] = {};
  for (int round = 0; round < 30; round++) {
    Case c = randomCase(random, 32, 1 + static_cast<size_t>(round) % 8, 4000);
    if (round % 3 == 0) c.sequences[0].rows = 400;
    if (round % 3 == 1) c.sequences = {{{{3000, 0}, {3000, 3000}}, 6004, 0, 1}};
    c.pageTokens = 16;
    size_t pages = 0, rows = 0;
    const std::vector<int32_t> metadata = metadataOf(c, &pages, &rows);
    const StepBounds bounds{rows, pages, c.pageTokens, kPositions};
    const HeadShape heads{c.kvHeads * c.group, c.kvHeads, 32};
    StepView step;
    check(readStepMetadata(metadata.data(), metadata.size(), bounds, &step).empty(), "metadata");
    checkPlan(step, AttentionPlan(step, heads, c.pageTokens), heads, kinds);
    const std::vector<int32_t> again = withSharedSegments(step);
    StepView shared;
    const std::string wrong = readStepMetadata(again.data(), again.size(), bounds, &shared);
    check(wrong.empty(), wrong);
    const AttentionPlan plan(shared, heads, c.pageTokens);
    checkPlan(shared, plan, heads, kinds);
    sharedItems += plan.sharedItems().size();
  }
  check(sharedItems > 0 && kinds[0] > 0 && kinds[1] > 0 && kinds[2] > 0, "every kind of item was planned");
}

void thePlanIsFoundByContent() {
  size_t pages = 0, rows = 0;
  const std::vector<int32_t> metadata = metadataOf(kCase, &pages, &rows);
  const StepBounds bounds{rows, pages, 16, kPositions};
  PlanCache cache;
  std::string wrong;
  const auto find = [&](const std::vector<int32_t>& data, const StepBounds& within, const HeadShape& heads) {
    const uint64_t before = attentionPlansMade();
    const AttentionPlan* plan = cache.find(data.data(), data.size(), within, heads, &wrong);
    return std::make_pair(plan, attentionPlansMade() - before);
  };
  const AttentionPlan* first = find(metadata, bounds, kHeads).first;
  check(first != nullptr, wrong);
  const std::vector<int32_t> copy = metadata;
  check(find(copy, bounds, kHeads) == std::make_pair(first, uint64_t{0}), "equal content elsewhere is the same step");
  // A change in anything else that the plan depends on makes another plan.
  check(find(metadata, {rows, pages + 1, 16, kPositions}, kHeads).second == 1, "a pool of other pages");
  check(find(metadata, {rows, pages, 16, kPositions - 1}, kHeads).second == 1, "another rotary table");
  check(find(metadata, {rows, pages, 32, kPositions}, kHeads).second == 1, "larger pages");
  check(find(metadata, bounds, {8, 2, 32}).second == 1, "more heads");
  check(find(metadata, bounds, {4, 2, 64}).second == 1, "wider heads");
  check(find(metadata, {rows + 1, pages, 16, kPositions}, kHeads).first == nullptr && !wrong.empty(), "other rows are refused");
  check(find(metadata, bounds, kHeads).second == 1, "a refusal leaves no plan behind");
}

/// The test changes the tensor in place, one value at a time. The plan must be that of the new values.
void aChangedValueIsNeverServedTheOldPlan() {
  size_t pages = 0, rows = 0;
  std::vector<int32_t> metadata = metadataOf(kCase, &pages, &rows);
  const StepBounds bounds{rows, pages, 16, kPositions};
  PlanCache cache;
  std::string wrong;
  size_t planned = 0;
  for (size_t at = 0; at < metadata.size(); at++) {
    check(cache.find(metadata.data(), metadata.size(), bounds, kHeads, &wrong) != nullptr, wrong);
    for (const int change : {1, -1}) {
      metadata[at] += change;
      StepView expected;
      const std::string refusal = readStepMetadata(metadata.data(), metadata.size(), bounds, &expected);
      const uint64_t before = attentionPlansMade();
      const AttentionPlan* plan = cache.find(metadata.data(), metadata.size(), bounds, kHeads, &wrong);
      check((plan == nullptr) == !refusal.empty() && wrong == refusal, "value " + std::to_string(at) + " is read anew: " + wrong);
      if (plan != nullptr) {
        planned++;
        check(attentionPlansMade() == before + 1, "value " + std::to_string(at) + " makes a new plan");
      }
      metadata[at] -= change;
    }
  }
  check(planned > 10, "many changes are good steps: " + std::to_string(planned));
}

/// The caller's tensor may be gone by the next layer's call; the plan points into the cache's own copy.
void thePlanOutlivesTheTensor() {
  size_t pages = 0, rows = 0;
  auto metadata = std::make_unique<std::vector<int32_t>>(metadataOf(kCase, &pages, &rows));
  PlanCache cache;
  std::string wrong;
  const AttentionPlan* plan = cache.find(metadata->data(), metadata->size(), {rows, pages, 16, kPositions}, kHeads, &wrong);
  const int32_t page = (*metadata)[static_cast<size_t>((*metadata)[4]) + 6];
  metadata.reset();
  check(plan->step().sequences[0].tailPages[0] == page, "pages are the cache's own");  // sanitizers watch
}

}  // namespace

int main() {
  everyRowSeesEveryTokenOnce();
  thePlanIsFoundByContent();
  aChangedValueIsNeverServedTheOldPlan();
  thePlanOutlivesTheTensor();
  std::printf("%d plan checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
