// The inner kernels of CPU attention, written once over a vector type: rotate, append, and attend to one run of tiles.
// Knows floats and cells; what is attended to by whom is planned in attention.cc.
#pragma once

#include <cfloat>
#include <cstddef>

#include "attention.h"

namespace blockstitch {

constexpr size_t kTileCells = 4;
/// Tokens scored together before one softmax update.
constexpr size_t kTileTokens = kTileCells * kCellTokens;
constexpr size_t kMaxHeadDim = 256;

/// Up to 64 tokens of one segment or tail, at one kv head.
struct Tile {
  const void* keys[kTileCells];    ///< per cell: [headDim][16]
  const void* values[kTileCells];  ///< per cell: [16][headDim]
  const float* keyScales[kTileCells];
  const float* valueScales[kTileCells];
  size_t tokens;
  size_t start;  ///< global position of the first token
};

/// Running softmax of a group of query vectors over a part of the tokens.
struct SoftmaxState {
  float* maximum;      ///< [vectors], -FLT_MAX before anything was seen
  float* sum;          ///< [vectors]
  float* accumulator;  ///< [vectors, headDim]
};

/// The query vectors of a work item: `vectors` = rows * group, row-major.
struct QueryView {
  const float* rotated;  ///< [vectors, headDim], scaled
  size_t vectors;
  size_t group;          ///< query heads per kv head
  size_t firstPosition;  ///< global position of row 0; row r stands at firstPosition + r
};

struct TileRules {
  size_t headDim;
  size_t slidingWindow;
  float softcap;
};

/// Entry points of one instruction set.
struct KernelTable {
  /// Attends all vectors to one tile. Masks by causality (a row sees positions <= its own) and window.
  /// @param next the tile that comes after it, whose memory is asked for meanwhile; `tile` itself where none does
  void (*attendTile)(KvDtype dtype, const Tile& tile, const Tile& next, const QueryView& query, const TileRules& rules,
                     const SoftmaxState& state);
};

const KernelTable& portableKernels();
const KernelTable& avx2Kernels();
const KernelTable& avx512Kernels();

}  // namespace blockstitch
