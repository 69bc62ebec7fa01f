// One step's ragged batch, read from the int32 tensor that src/kernels/step-metadata.ts lays out.
// Knows the layout and checks every bound. The plan and attention trust what they get.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace blockstitch {

/// Pages that hold a run of tokens.
struct SegmentView {
  const int32_t* pages;
  size_t length;
  int32_t delta;  ///< the query is rotated at (its local position - delta)
  size_t start;   ///< global position of the first token: sum of the earlier lengths
};

struct SequenceView {
  size_t firstRow;
  size_t rows;
  int32_t tailPosition;
  size_t tailPast;
  const int32_t* tailPages;
  std::vector<SegmentView> segments;
  size_t cachedTokens;  ///< sum of the segments' lengths
};

struct StepView {
  int32_t poolId = 0;
  size_t rows = 0;
  std::vector<SequenceView> sequences;
};

/// Pool id of the tensor, or -1 where it is too short to hold one.
int32_t metadataPoolId(const int32_t* data, size_t size);

/// Limits that the metadata must keep.
struct StepBounds {
  size_t rows;        ///< rows of the query tensor
  size_t pages;       ///< pages of the pool
  size_t pageTokens;
  size_t positions;   ///< rows of the cos and sin tables

  bool operator==(const StepBounds& other) const {
    return rows == other.rows && pages == other.pages && pageTokens == other.pageTokens && positions == other.positions;
  }
};

/// Page lists in `step` point into `data`.
/// @returns an empty string, or what is wrong, where, and what was found there
std::string readStepMetadata(const int32_t* data, size_t size, const StepBounds& bounds, StepView* step);

}  // namespace blockstitch
