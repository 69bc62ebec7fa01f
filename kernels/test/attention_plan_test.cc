// The plan of a step: what it covers, and when the thread's last plan may serve again.
#include "attention_plan.h"

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

void everyRowSeesEveryTokenOnce() {
  std::mt19937 random(5);
  for (int round = 0; round < 30; round++) {
    const Case c = randomCase(random, 32, 1 + static_cast<size_t>(round) % 8, 4000);
    size_t pages = 0, rows = 0;
    const std::vector<int32_t> metadata = metadataOf(c, &pages, &rows);
    StepView step;
    check(readStepMetadata(metadata.data(), metadata.size(), {rows, pages, c.pageTokens, kPositions}, &step).empty(), "metadata");
    const AttentionPlan plan(step, {c.kvHeads * c.group, c.kvHeads, 32});
    size_t covered = 0, groupItems = 0;
    std::set<std::pair<size_t, size_t>> rowHeads;
    for (const ItemGroup& group : plan.groups()) {
      const WorkItem& first = plan.items()[group.firstItem];
      size_t tokens = 0;
      for (size_t s = 0; s < group.splits; s++) {
        const WorkItem& item = plan.items()[group.firstItem + s];
        check(item.firstRow == first.firstRow && item.rows == first.rows && item.head == first.head, "items of a group agree");
        check(item.stateAt % kLineFloats == 0 && item.stateAt < plan.stateFloats(), "states begin at cache lines");
        for (const TileRun& run : *item.runs) {
          check(run.firstToken % kTileTokens == 0 && run.endToken > run.firstToken, "runs begin at tiles");
          tokens += run.endToken - run.firstToken;
        }
      }
      check(tokens == first.sequence->cachedTokens + first.sequence->tailPast + first.sequence->rows, "every token once");
      for (size_t row = 0; row < first.rows; row++) rowHeads.emplace(first.sequence->firstRow + first.firstRow + row, first.head);
      groupItems += group.splits;
      covered += first.rows;
    }
    check(groupItems == plan.items().size(), "every item is in one group");
    check(covered == rows * c.kvHeads && rowHeads.size() == covered, "every row and head once");
    size_t appended = 0;
    for (const AppendChunk& chunk : plan.chunks()) appended += chunk.endRow - chunk.firstRow;
    check(appended == rows, "every row is appended once");
  }
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
