// Reads and checks the step metadata; see step_metadata.h.
#include "step_metadata.h"

#include <utility>

namespace blockstitch {

namespace {

constexpr int32_t kLayoutVersion = 1;
constexpr size_t kHeader = 4;
constexpr size_t kRecord = 6;
constexpr size_t kSegmentRecord = 3;

/// What is wrong, on its way to readStepMetadata.
struct Wrong {
  std::string text;
};

void require(bool holds, const char* what) {
  if (!holds) throw Wrong{what};
}

/// One sequence's record, read from front to back.
class RecordReader {
 public:
  RecordReader(const int32_t* data, size_t size, const StepBounds& bounds) : data_(data), size_(size), bounds_(bounds) {}

  /// @param offset where the record begins  @param firstRow rows of the sequences before this one
  SequenceView read(int32_t offset, size_t firstRow) {
    require(offset >= 0 && static_cast<size_t>(offset) <= size_, "its record begins outside the tensor");
    at_ = static_cast<size_t>(offset);
    const int32_t* record = take(kRecord, "its record runs past the end");
    for (size_t field = 0; field < kRecord; field++) require(record[field] >= 0, "its record has a negative field");
    SequenceView view;
    view.firstRow = static_cast<size_t>(record[0]);
    view.rows = static_cast<size_t>(record[1]);
    view.tailPosition = record[2];
    view.tailPast = static_cast<size_t>(record[3]);
    const auto tailPages = static_cast<size_t>(record[4]);
    const auto segments = static_cast<size_t>(record[5]);
    require(view.rows > 0, "it has no rows");
    require(view.firstRow == firstRow, "its rows do not follow those of the sequence before");
    require(view.rows <= bounds_.rows - firstRow, "its rows run past those of the query");
    view.tailPages = pages(tailPages, "tail");
    if (tailPages * bounds_.pageTokens < view.tailPast + view.rows) {
      throw Wrong{"too few tail pages: " + std::to_string(tailPages) + " for " + std::to_string(view.tailPast + view.rows) + " tokens"};
    }
    const size_t lastPosition = static_cast<size_t>(view.tailPosition) + view.tailPast + view.rows - 1;
    if (lastPosition >= bounds_.positions) {
      throw Wrong{"position " + std::to_string(lastPosition) + " lies past the rotary table of " + std::to_string(bounds_.positions)};
    }
    view.cachedTokens = 0;
    require(segments <= (size_ - at_) / kSegmentRecord, "its segments run past the end");
    view.segments.reserve(segments);
    const int32_t firstQuery = view.tailPosition + static_cast<int32_t>(view.tailPast);
    for (size_t g = 0; g < segments; g++) {
      view.segments.push_back(segment(g, firstQuery, view.cachedTokens));
      view.cachedTokens += view.segments.back().length;
    }
    return view;
  }

 private:
  SegmentView segment(size_t index, int32_t firstQuery, size_t start) {
    const std::string name = "segment " + std::to_string(index);
    const int32_t* record = take(kSegmentRecord, "a segment runs past the end");
    const int32_t length = record[0], delta = record[1], count = record[2];
    if (length < 1 || count < 1) throw Wrong{name + " has no tokens or no pages"};
    const int32_t* list = pages(static_cast<size_t>(count), name.c_str());
    if (static_cast<size_t>(count) * bounds_.pageTokens < static_cast<size_t>(length)) {
      throw Wrong{name + " has too few pages: " + std::to_string(count) + " for " + std::to_string(length) + " tokens"};
    }
    if (delta < 0 || delta > firstQuery) {
      throw Wrong{name + " has delta " + std::to_string(delta) + ", outside 0 .. " + std::to_string(firstQuery) +
                  ", the position of the first new token"};
    }
    return {list, static_cast<size_t>(length), delta, start};
  }

  const int32_t* take(size_t count, const char* wrong) {
    require(count <= size_ - at_, wrong);
    const int32_t* taken = data_ + at_;
    at_ += count;
    return taken;
  }

  /// A page list; every page lies in the pool.
  const int32_t* pages(size_t count, const char* owner) {
    if (count > size_ - at_) throw Wrong{std::string("the pages of its ") + owner + " run past the end"};
    const int32_t* list = take(count, "");
    for (size_t i = 0; i < count; i++) {
      if (list[i] >= 0 && static_cast<size_t>(list[i]) < bounds_.pages) continue;
      throw Wrong{std::string(owner) + " page " + std::to_string(list[i]) + " lies outside the pool of " + std::to_string(bounds_.pages) +
                  " pages"};
    }
    return list;
  }

  const int32_t* data_;
  size_t size_;
  const StepBounds& bounds_;
  size_t at_ = 0;
};

}  // namespace

int32_t metadataPoolId(const int32_t* data, size_t size) { return size < kHeader ? -1 : data[1]; }

std::string readStepMetadata(const int32_t* data, size_t size, const StepBounds& bounds, StepView* step) {
  if (size < kHeader) return "step metadata is shorter than its header";
  if (data[0] != kLayoutVersion) {
    return "step metadata has layout version " + std::to_string(data[0]) + ", " + std::to_string(kLayoutVersion) + " is needed";
  }
  if (data[2] < 0 || static_cast<size_t>(data[2]) > size - kHeader) return "step metadata counts more sequences than fit";
  const auto count = static_cast<size_t>(data[2]);
  if (data[3] < 0 || static_cast<size_t>(data[3]) != bounds.rows) {
    return "step metadata has " + std::to_string(data[3]) + " rows, the query has " + std::to_string(bounds.rows);
  }
  step->poolId = data[1];
  step->rows = bounds.rows;
  step->sequences.clear();
  step->sequences.reserve(count);
  RecordReader reader(data, size, bounds);
  size_t row = 0;
  for (size_t s = 0; s < count; s++) {
    try {
      step->sequences.push_back(reader.read(data[kHeader + s], row));
    } catch (const Wrong& wrong) {
      return "step metadata, sequence " + std::to_string(s) + ": " + wrong.text;
    }
    row += step->sequences.back().rows;
  }
  if (row != bounds.rows) return "step metadata covers " + std::to_string(row) + " of " + std::to_string(bounds.rows) + " rows";
  return {};
}

}  // namespace blockstitch
