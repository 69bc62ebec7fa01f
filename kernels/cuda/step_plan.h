// Turns one step (kernels/src/step_metadata.h) into the work lists of the CUDA kernels, once per step, on the host.
// Everything goes to the device in one copy and serves all layers. Pure C++: tested without a GPU.
// Knows page numbers and positions; it never sees a tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "step_metadata.h"

namespace blockstitch::cuda {

constexpr int kMaxTilePages = 4;
constexpr int kDecodeRows = 16;  // packed rows (row x query head of one group) of one decode work item

// Where a new token's key and value go.
struct RowPlace {
  int32_t position;  // local RoPE position
  int32_t page;
  int32_t slot;
};

// Up to 64 cached tokens of one segment or of the tail; the first of them is the first of its page.
struct KvTile {
  int32_t pages[kMaxTilePages];
  int32_t tokens;    // 1..64
  int32_t delta;     // subtracted from the query's local position before it is rotated
  int32_t position;  // place in the prompt of the tile's first token: all earlier segments' lengths, then the tail
  int32_t unused;
};

// One block's share: packed rows [firstPacked, firstPacked + rows of the kernel) of a sequence against tiles
// [tileBegin, tileEnd). Packed row m is new row m / G of the sequence and query head kvHead * G + m % G.
struct WorkItem {
  int32_t firstRow;       // the sequence's first row in the query tensor
  int32_t rows;           // new rows of the sequence
  int32_t localPosition;  // local RoPE position of the sequence's first new row
  int32_t promptPosition; // place in the prompt of the first new row; a row sees what stands at or before its own place
  int32_t firstPacked;
  int32_t tileBegin;
  int32_t tileEnd;
  int32_t partial;        // -1: writes the output itself; else its first row of partial results
};

// Partial results of the same packed rows, to be merged: `partials` runs of `packedRows` rows from `firstPartial` on.
struct CombineItem {
  int32_t firstRow;
  int32_t firstPacked;
  int32_t packedRows;
  int32_t firstPartial;
  int32_t partials;
};

struct PlanShape {
  int heads;
  int kvHeads;
  int pageTokens;   // 16 or 32
  int window;       // 0: none
  int tileTokens;   // tokens per KvTile: 64, or 32
  int prefillRows;  // packed rows of one prefill work item
  int processors;   // streaming multiprocessors to keep busy
};

struct StepPlan {
  std::vector<RowPlace> places;
  std::vector<KvTile> tiles;
  std::vector<WorkItem> decode;
  std::vector<WorkItem> prefill;  // those with most tiles first
  std::vector<CombineItem> combine;
  int64_t partialRows = 0;  // each takes kvHeads * (headDim + 2) floats
  int maxCombineRows = 0;   // largest packedRows of `combine`

  // One buffer in the order places, tiles, decode, prefill, combine; offsets in int32 units.
  std::vector<int32_t> packed;
  int64_t tilesOffset = 0;
  int64_t decodeOffset = 0;
  int64_t prefillOffset = 0;
  int64_t combineOffset = 0;
};

// Each sequence is cut without regard to the others, so a row's result never depends on the rest of the batch
// (docs/decisions/020).
void buildStepPlan(const StepView& step, const PlanShape& shape, StepPlan& plan);

}  // namespace blockstitch::cuda
