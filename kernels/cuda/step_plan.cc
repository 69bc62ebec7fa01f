// Builds the work lists of one step; see step_plan.h.
#include "step_plan.h"

#include <algorithm>
#include <cstring>

namespace blockstitch::cuda {
namespace {

constexpr int32_t kMetadataVersion = 1;
constexpr int kHeaderInts = 4;
constexpr int kRecordInts = 6;
// A split shorter than this costs more in the merge than it gains in parallelism.
constexpr int kMinSplitTiles = 4;
// Blocks in flight per processor that the splits aim at.
constexpr int kBlocksPerProcessor = 3;

struct Sequence {
  int32_t firstRow, rows, position, past;
  int32_t tileBegin = 0, tailTileBegin = 0, tileEnd = 0;
  int32_t tailStartTokens = 0;
};

int divideUp(int64_t value, int64_t by) { return static_cast<int>((value + by - 1) / by); }

class Builder {
 public:
  Builder(const int32_t* metadata, int64_t length, const PlanShape& shape, StepPlan& plan)
      : data_(metadata), length_(length), shape_(shape), plan_(plan) {}

  std::string build() {
    if (length_ < kHeaderInts) return "step_metadata has " + std::to_string(length_) + " values, the header has 4";
    if (data_[0] != kMetadataVersion) return "step_metadata has version " + std::to_string(data_[0]) + ", expected 1";
    const int64_t count = data_[2];
    if (count < 1 || kHeaderInts + count > length_) return "step_metadata names " + std::to_string(count) + " sequences";
    int32_t nextRow = 0;
    for (int64_t i = 0; i < count; ++i) {
      Sequence sequence{};
      std::string problem = readSequence(data_[kHeaderInts + i], nextRow, sequence);
      if (!problem.empty()) return "sequence " + std::to_string(i) + ": " + problem;
      nextRow += sequence.rows;
      sequences_.push_back(sequence);
    }
    if (nextRow != data_[3]) return "rows of the sequences do not add up to " + std::to_string(data_[3]);
    plan_.rows = nextRow;
    planWork();
    pack();
    return "";
  }

 private:
  std::string checkPage(int32_t page) const {
    if (page >= 0 && page < shape_.poolPages) return "";
    return "page " + std::to_string(page) + " is not in the pool of " + std::to_string(shape_.poolPages);
  }

  std::string readSequence(int64_t at, int32_t expectedRow, Sequence& sequence) {
    if (at < kHeaderInts || at + kRecordInts > length_) return "its record lies outside step_metadata";
    const int32_t* record = data_ + at;
    sequence.firstRow = record[0];
    sequence.rows = record[1];
    sequence.position = record[2];
    sequence.past = record[3];
    const int64_t tailPages = record[4];
    const int64_t segments = record[5];
    if (sequence.firstRow != expectedRow) return "its first row is " + std::to_string(sequence.firstRow);
    if (sequence.rows < 1 || sequence.position < 0 || sequence.past < 0 || tailPages < 0 || segments < 0)
      return "negative or empty counts";
    const int64_t tailTokens = static_cast<int64_t>(sequence.past) + sequence.rows;
    if (sequence.position + tailTokens > shape_.maxPositions)
      return "position " + std::to_string(sequence.position + tailTokens - 1) + " is beyond the rotary tables";
    if (tailPages * shape_.pageTokens < tailTokens) return "its tail pages do not hold its tail";
    int64_t cursor = at + kRecordInts;
    if (cursor + tailPages > length_) return "its tail pages lie outside step_metadata";
    const int32_t* tail = data_ + cursor;
    for (int64_t p = 0; p < tailPages; ++p) {
      if (std::string problem = checkPage(tail[p]); !problem.empty()) return problem;
    }
    cursor += tailPages;

    sequence.tileBegin = static_cast<int32_t>(plan_.tiles.size());
    int64_t promptPosition = 0;
    for (int64_t s = 0; s < segments; ++s) {
      if (cursor + 3 > length_) return "segment " + std::to_string(s) + " lies outside step_metadata";
      const int32_t tokens = data_[cursor];
      const int32_t delta = data_[cursor + 1];
      const int64_t pages = data_[cursor + 2];
      cursor += 3;
      if (tokens < 1 || pages < 1 || cursor + pages > length_ || pages * shape_.pageTokens < tokens)
        return "segment " + std::to_string(s) + " has " + std::to_string(tokens) + " tokens in " +
               std::to_string(pages) + " pages";
      if (delta < 0 || delta > sequence.position + sequence.past)
        return "segment " + std::to_string(s) + " has delta " + std::to_string(delta);
      for (int64_t p = 0; p < pages; ++p) {
        if (std::string problem = checkPage(data_[cursor + p]); !problem.empty()) return problem;
      }
      addTiles(data_ + cursor, tokens, delta, static_cast<int32_t>(promptPosition), false);
      promptPosition += tokens;
      cursor += pages;
    }
    sequence.tailTileBegin = static_cast<int32_t>(plan_.tiles.size());
    addTiles(tail, static_cast<int32_t>(tailTokens), 0, sequence.position, true);
    sequence.tileEnd = static_cast<int32_t>(plan_.tiles.size());
    for (int32_t j = 0; j < sequence.rows; ++j) {
      const int32_t index = sequence.past + j;
      plan_.places.push_back(
          {sequence.position + index, tail[index / shape_.pageTokens], index % shape_.pageTokens});
    }
    return "";
  }

  void addTiles(const int32_t* pages, int32_t tokens, int32_t delta, int32_t position, bool isTail) {
    for (int32_t start = 0; start < tokens; start += shape_.tileTokens) {
      KvTile tile{};
      tile.tokens = std::min(shape_.tileTokens, tokens - start);
      tile.delta = delta;
      tile.position = position + start;
      tile.causalStart = isTail ? start : -1;
      const int firstPage = start / shape_.pageTokens;
      const int count = divideUp(tile.tokens, shape_.pageTokens);
      for (int p = 0; p < kMaxTilePages; ++p) tile.pages[p] = pages[firstPage + std::min(p, count - 1)];
      plan_.tiles.push_back(tile);
    }
  }

  // First tile that the rows from `lastRow` on cannot see any more.
  int32_t visibleEnd(const Sequence& sequence, int32_t lastRow) const {
    const int32_t visibleTail = sequence.past + lastRow + 1;
    return sequence.tailTileBegin + divideUp(visibleTail, shape_.tileTokens);
  }

  void planWork() {
    const int group = shape_.heads / shape_.kvHeads;
    int64_t tileWork = 0;
    for (const Sequence& sequence : sequences_) {
      const int packed = sequence.rows * group;
      const int capacity = packed <= kDecodeRows ? kDecodeRows : shape_.prefillRows;
      tileWork += static_cast<int64_t>(divideUp(packed, capacity)) * (sequence.tileEnd - sequence.tileBegin);
    }
    const int64_t blocks = static_cast<int64_t>(shape_.processors) * kBlocksPerProcessor;
    const int splitTiles = std::max(kMinSplitTiles, divideUp(tileWork * shape_.kvHeads, std::max<int64_t>(1, blocks)));
    int32_t nextPartial = 0;
    for (const Sequence& sequence : sequences_) {
      const int packed = sequence.rows * group;
      const bool isDecode = packed <= kDecodeRows;
      const int capacity = isDecode ? kDecodeRows : shape_.prefillRows;
      for (int first = 0; first < packed; first += capacity) {
        const int last = std::min(packed, first + capacity) - 1;
        const int32_t end = visibleEnd(sequence, last / group);
        const int splits = std::max(1, divideUp(end - sequence.tileBegin, splitTiles));
        const int perSplit = divideUp(end - sequence.tileBegin, splits);
        const int used = divideUp(end - sequence.tileBegin, perSplit);
        // Partials of decode items and prefill items lie in one buffer, counted in packed rows.
        const int32_t firstPartial = nextPartial;
        for (int s = 0; s < used; ++s) {
          WorkItem item{sequence.firstRow, sequence.rows, sequence.past, sequence.position, first, 0, 0, -1};
          item.tileBegin = sequence.tileBegin + s * perSplit;
          item.tileEnd = std::min(end, item.tileBegin + perSplit);
          if (used > 1) {
            item.partial = nextPartial;
            nextPartial += capacity;
          }
          (isDecode ? plan_.decode : plan_.prefill).push_back(item);
        }
        if (used > 1) plan_.combine.push_back({sequence.firstRow, sequence.rows, first, capacity, firstPartial, used});
      }
    }
    plan_.partialRows = nextPartial;
  }

  template <class T>
  int64_t append(const std::vector<T>& list) {
    static_assert(sizeof(T) % 4 == 0, "the packed buffer holds whole int32 values");
    // 32-byte starts: tiles and items are read as two 16-byte words.
    plan_.packed.resize((plan_.packed.size() + 7) / 8 * 8);
    const int64_t offset = static_cast<int64_t>(plan_.packed.size());
    plan_.packed.resize(plan_.packed.size() + list.size() * (sizeof(T) / 4));
    if (!list.empty()) std::memcpy(plan_.packed.data() + offset, list.data(), list.size() * sizeof(T));
    return offset;
  }

  void pack() {
    append(plan_.places);
    plan_.tilesOffset = append(plan_.tiles);
    plan_.decodeOffset = append(plan_.decode);
    plan_.prefillOffset = append(plan_.prefill);
    plan_.combineOffset = append(plan_.combine);
  }

  const int32_t* data_;
  int64_t length_;
  const PlanShape& shape_;
  StepPlan& plan_;
  std::vector<Sequence> sequences_;
};

}  // namespace

std::string buildStepPlan(const int32_t* metadata, int64_t length, const PlanShape& shape, StepPlan& plan) {
  plan = StepPlan{};
  return Builder(metadata, length, shape, plan).build();
}

}  // namespace blockstitch::cuda
