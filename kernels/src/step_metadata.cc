// Reads and checks the step metadata.
#include "step_metadata.h"

namespace blockstitch {

namespace {

constexpr int32_t kLayoutVersion = 1;
constexpr size_t kHeader = 4;
constexpr size_t kRecord = 6;
constexpr size_t kSegmentRecord = 3;

std::string at(size_t sequence, const char* what) {
  return "step metadata, sequence " + std::to_string(sequence) + ": " + what;
}

bool pagesInPool(const int32_t* pages, size_t count, size_t poolPages) {
  for (size_t i = 0; i < count; i++) {
    if (pages[i] < 0 || static_cast<size_t>(pages[i]) >= poolPages) return false;
  }
  return true;
}

}  // namespace

int32_t metadataPoolId(const int32_t* data, size_t size) { return size < kHeader ? -1 : data[1]; }

std::string readStepMetadata(const int32_t* data, size_t size, const StepBounds& bounds, StepView* step) {
  if (size < kHeader) return "step metadata is shorter than its header";
  if (data[0] != kLayoutVersion) return "step metadata has layout version " + std::to_string(data[0]);
  step->poolId = data[1];
  if (data[2] < 0 || static_cast<size_t>(data[2]) > size - kHeader) return "step metadata counts more sequences than fit";
  const size_t count = static_cast<size_t>(data[2]);
  if (data[3] < 0 || static_cast<size_t>(data[3]) != bounds.rows) return "step metadata and query differ in rows";
  step->rows = bounds.rows;
  step->sequences.clear();
  step->sequences.reserve(count);
  size_t row = 0;
  for (size_t s = 0; s < count; s++) {
    if (data[kHeader + s] < 0) return at(s, "negative offset");
    size_t offset = static_cast<size_t>(data[kHeader + s]);
    if (offset > size || size - offset < kRecord) return at(s, "record runs past the end");
    const int32_t* record = data + offset;
    for (size_t field = 0; field < kRecord; field++) {
      if (record[field] < 0) return at(s, "negative field");
    }
    SequenceView view;
    view.firstRow = static_cast<size_t>(record[0]);
    view.rows = static_cast<size_t>(record[1]);
    view.tailPosition = record[2];
    view.tailPast = static_cast<size_t>(record[3]);
    const size_t tailPages = static_cast<size_t>(record[4]);
    const size_t segments = static_cast<size_t>(record[5]);
    if (view.firstRow != row || view.rows == 0 || view.rows > bounds.rows - row) return at(s, "rows out of order");
    row += view.rows;
    offset += kRecord;
    if (size - offset < tailPages) return at(s, "tail pages run past the end");
    view.tailPages = data + offset;
    if (!pagesInPool(view.tailPages, tailPages, bounds.pages)) return at(s, "tail page outside the pool");
    if (tailPages * bounds.pageTokens < view.tailPast + view.rows) return at(s, "too few tail pages");
    const size_t lastPosition = static_cast<size_t>(view.tailPosition) + view.tailPast + view.rows - 1;
    if (lastPosition >= bounds.positions) return at(s, "position past the rotary table");
    offset += tailPages;
    view.cachedTokens = 0;
    if (segments > (size - offset) / kSegmentRecord) return at(s, "segments run past the end");
    view.segments.reserve(segments);
    const int32_t firstQuery = view.tailPosition + static_cast<int32_t>(view.tailPast);
    for (size_t g = 0; g < segments; g++) {
      if (size - offset < kSegmentRecord) return at(s, "segment runs past the end");
      const int32_t length = data[offset];
      const int32_t delta = data[offset + 1];
      const int32_t pages = data[offset + 2];
      offset += kSegmentRecord;
      if (length < 1 || pages < 1 || static_cast<size_t>(pages) > size - offset) return at(s, "bad segment length or pages");
      if (static_cast<size_t>(pages) * bounds.pageTokens < static_cast<size_t>(length)) return at(s, "too few segment pages");
      if (delta < 0 || delta > firstQuery) return at(s, "segment delta outside 0 .. position of the first new token");
      if (!pagesInPool(data + offset, static_cast<size_t>(pages), bounds.pages)) return at(s, "segment page outside the pool");
      view.segments.push_back({data + offset, static_cast<size_t>(length), delta, view.cachedTokens});
      view.cachedTokens += static_cast<size_t>(length);
      offset += static_cast<size_t>(pages);
    }
    step->sequences.push_back(std::move(view));
  }
  if (row != bounds.rows) return "step metadata covers " + std::to_string(row) + " of " + std::to_string(bounds.rows) + " rows";
  return {};
}

}  // namespace blockstitch
