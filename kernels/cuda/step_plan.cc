// Builds the work lists of one step; see step_plan.h.
#include "step_plan.h"

#include <algorithm>
#include <cstring>

namespace blockstitch::cuda {
namespace {

// A split shorter than this costs more in the merge than it gains in parallelism.
constexpr int kMinSplitTiles = 4;
// A sequence that is alone on the device is split into about this many blocks per processor.
constexpr int kBlocksPerProcessor = 4;

int divideUp(int64_t value, int64_t by) { return static_cast<int>((value + by - 1) / by); }

class Builder {
 public:
  Builder(const StepView& step, const PlanShape& shape, StepPlan& plan) : step_(step), shape_(shape), plan_(plan) {}

  void build() {
    for (const SequenceView& sequence : step_.sequences) add(sequence);
    plan_.partialRows = partialRows_;
    const auto tiles = [](const WorkItem& item) { return item.tileEnd - item.tileBegin; };
    std::stable_sort(plan_.prefill.begin(), plan_.prefill.end(),
                     [&](const WorkItem& a, const WorkItem& b) { return tiles(a) > tiles(b); });
    pack();
  }

 private:
  void add(const SequenceView& sequence) {
    const int begin = static_cast<int>(plan_.tiles.size());
    for (const SegmentView& segment : sequence.segments) addTiles(segment.pages, segment.length, segment.delta, segment.start);
    addTiles(sequence.tailPages, sequence.tailPast + sequence.rows, 0, sequence.cachedTokens);
    const int end = static_cast<int>(plan_.tiles.size());
    for (size_t row = 0; row < sequence.rows; ++row) {
      const size_t place = sequence.tailPast + row;
      const size_t pageTokens = static_cast<size_t>(shape_.pageTokens);
      plan_.places.push_back({sequence.tailPosition + static_cast<int32_t>(place), sequence.tailPages[place / pageTokens],
                              static_cast<int32_t>(place % pageTokens)});
    }
    addWork(sequence, begin, end);
  }

  void addTiles(const int32_t* pages, size_t tokens, int32_t delta, size_t position) {
    const size_t tileTokens = static_cast<size_t>(shape_.tileTokens);
    const size_t pageTokens = static_cast<size_t>(shape_.pageTokens);
    for (size_t start = 0; start < tokens; start += tileTokens) {
      KvTile tile{};
      tile.tokens = static_cast<int32_t>(std::min(tileTokens, tokens - start));
      tile.delta = delta;
      tile.position = static_cast<int32_t>(position + start);
      const int32_t* first = pages + start / pageTokens;
      const int count = divideUp(tile.tokens, shape_.pageTokens);
      // Unused entries repeat the last page, so that a kernel may compute any slot's address.
      for (int p = 0; p < kMaxTilePages; ++p) tile.pages[p] = first[std::min(p, count - 1)];
      plan_.tiles.push_back(tile);
    }
  }

  // Tiles of a sequence that any of its rows [firstRow, lastRow] sees. Positions grow along the tiles.
  std::pair<int, int> visibleTiles(int begin, int end, int64_t firstPosition, int64_t lastPosition) const {
    while (end - 1 > begin && plan_.tiles[static_cast<size_t>(end - 1)].position > lastPosition) --end;
    if (shape_.window > 0) {
      while (begin < end - 1) {
        const KvTile& tile = plan_.tiles[static_cast<size_t>(begin)];
        if (firstPosition - (tile.position + tile.tokens - 1) < shape_.window) break;
        ++begin;
      }
    }
    return {begin, end};
  }

  void addWork(const SequenceView& sequence, int firstTile, int endTile) {
    const int group = shape_.heads / shape_.kvHeads;
    const int packed = static_cast<int>(sequence.rows) * group;
    const bool isDecode = packed <= kDecodeRows;
    const int capacity = isDecode ? kDecodeRows : shape_.prefillRows;
    const int64_t blocks = static_cast<int64_t>(divideUp(packed, capacity)) * shape_.kvHeads;
    const int wantedSplits = divideUp(static_cast<int64_t>(shape_.processors) * kBlocksPerProcessor, blocks);
    const int32_t promptPosition = static_cast<int32_t>(sequence.cachedTokens + sequence.tailPast);
    for (int first = 0; first < packed; first += capacity) {
      const int rows = std::min(capacity, packed - first);
      const auto [begin, end] = visibleTiles(firstTile, endTile, promptPosition + first / group,
                                             promptPosition + (first + rows - 1) / group);
      const int tiles = end - begin;
      const int perSplit = std::max(std::min(tiles, kMinSplitTiles), divideUp(tiles, wantedSplits));
      const int splits = divideUp(tiles, perSplit);
      const int64_t firstPartial = partialRows_;
      for (int s = 0; s < splits; ++s) {
        WorkItem item{static_cast<int32_t>(sequence.firstRow), static_cast<int32_t>(sequence.rows),
                      sequence.tailPosition + static_cast<int32_t>(sequence.tailPast), promptPosition, first,
                      begin + s * perSplit, std::min(end, begin + (s + 1) * perSplit), -1};
        if (splits > 1) {
          item.partial = static_cast<int32_t>(partialRows_);
          partialRows_ += rows;
        }
        (isDecode ? plan_.decode : plan_.prefill).push_back(item);
      }
      if (splits > 1) {
        plan_.combine.push_back({static_cast<int32_t>(sequence.firstRow), first, rows, static_cast<int32_t>(firstPartial), splits});
        plan_.maxCombineRows = std::max(plan_.maxCombineRows, rows);
      }
    }
  }

  template <class T>
  int64_t append(const std::vector<T>& list) {
    static_assert(sizeof(T) % 4 == 0, "the packed buffer holds whole int32 values");
    // 32-byte starts: tiles and items are read as two 16-byte words.
    plan_.packed.resize((plan_.packed.size() + 7) / 8 * 8);
    const size_t offset = plan_.packed.size();
    plan_.packed.resize(offset + list.size() * (sizeof(T) / 4));
    if (!list.empty()) std::memcpy(plan_.packed.data() + offset, list.data(), list.size() * sizeof(T));
    return static_cast<int64_t>(offset);
  }

  void pack() {
    append(plan_.places);
    plan_.tilesOffset = append(plan_.tiles);
    plan_.decodeOffset = append(plan_.decode);
    plan_.prefillOffset = append(plan_.prefill);
    plan_.combineOffset = append(plan_.combine);
  }

  const StepView& step_;
  const PlanShape& shape_;
  StepPlan& plan_;
  int64_t partialRows_ = 0;
};

}  // namespace

void buildStepPlan(const StepView& step, const PlanShape& shape, StepPlan& plan) {
  plan = StepPlan{};
  Builder(step, shape, plan).build();
}

}  // namespace blockstitch::cuda
