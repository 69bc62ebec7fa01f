// Turns one step's metadata (src/kernels/step-metadata.ts) into the work lists that the CUDA kernels run from, once per
// step, on the host. Everything goes to the device in one copy and serves all layers. Pure C++: tested without a GPU.
// Knows page numbers and positions; it never sees a tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace blockstitch::cuda {

constexpr int kMaxTilePages = 4;
constexpr int kDecodeRows = 16;  // packed rows (row x query head of one group) of one decode work item

// Where a new token's key and value go.
struct RowPlace {
  int32_t position;  // local RoPE position
  int32_t page;
  int32_t slot;
};

// Up to 64 cached tokens of one segment or of the tail. Slots are contiguous from the first page's first slot.
struct KvTile {
  int32_t pages[kMaxTilePages];
  int32_t tokens;       // 1..64
  int32_t delta;        // subtracted from the query's position before it is rotated
  int32_t position;     // position in the prompt of the tile's first token (for sliding windows)
  int32_t causalStart;  // index in the tail of the tile's first token; -1 for a cached segment: all of it is visible
};

// One block's share: packed rows [firstPacked, firstPacked + rows of the kernel) of a sequence against tiles
// [tileBegin, tileEnd). Packed row m is new row m / G of the sequence and query head kvHead * G + m % G.
struct WorkItem {
  int32_t firstRow;     // the sequence's first row in the query tensor
  int32_t rows;         // new rows of the sequence
  int32_t past;         // tokens in the tail before this step
  int32_t position;     // local position of the tail's first token
  int32_t firstPacked;
  int32_t tileBegin;
  int32_t tileEnd;
  int32_t partial;      // -1: writes the output itself; else the slot of its partial result
};

// Partial results [firstPartial, firstPartial + partials) of the same packed rows, to be merged.
struct CombineItem {
  int32_t firstRow;
  int32_t rows;
  int32_t firstPacked;
  int32_t packedRows;  // capacity of the kernel that wrote them: rows per partial slot
  int32_t firstPartial;
  int32_t partials;
};

struct PlanShape {
  int heads;
  int kvHeads;
  int pageTokens;    // 16, 32 or 64
  int tileTokens;    // tokens per KvTile: 64, or 32 for head_dim 256
  int prefillRows;   // packed rows of one prefill work item
  int processors;    // streaming multiprocessors to keep busy
  int poolPages;
  int maxPositions;  // rows of the cos and sin tables
};

struct StepPlan {
  std::vector<RowPlace> places;
  std::vector<KvTile> tiles;
  std::vector<WorkItem> decode;
  std::vector<WorkItem> prefill;
  std::vector<CombineItem> combine;
  int64_t partialRows = 0;  // packed rows over all partial slots; each takes kvHeads * (head_dim + 2) floats
  int rows = 0;

  // One buffer in the order places, tiles, decode, prefill, combine; offsets in int32 units.
  std::vector<int32_t> packed;
  int64_t tilesOffset = 0;
  int64_t decodeOffset = 0;
  int64_t prefillOffset = 0;
  int64_t combineOffset = 0;
};

// Builds the plan. Returns an empty string, or what is wrong with the metadata (nothing may be launched then).
std::string buildStepPlan(const int32_t* metadata, int64_t length, const PlanShape& shape, StepPlan& plan);

}  // namespace blockstitch::cuda
