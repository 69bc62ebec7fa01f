// The inner kernels of the CPU, written once over a vector type: rotate heads, attend to one tile, weigh logits.
// Knows floats and cells; attention_plan.h says which rows attend to which tiles, draw_token.h what weights are for.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cstddef>
#include <cstdint>

#include "attention.h"
#include "read_ahead.h"

namespace blockstitch {

constexpr size_t kTileCells = 16;
/// Tokens scored together before one softmax update.
constexpr size_t kTileTokens = kTileCells * kCellTokens;
/// Floats from one rotated query vector to the next. It is fixed, so a kernel addresses all of them from one register.
constexpr size_t kQueryStride = kMostHeadDim + 16;

/// Up to kTileTokens tokens of one segment or tail, at one kv head.
struct Tile {
  const void* keys[kTileCells];    ///< per cell: [headDim][16]
  const void* values[kTileCells];  ///< per cell: [16][headDim]
  const float* keyScales[kTileCells];
  const float* valueScales[kTileCells];
  size_t tokens;
  size_t first;  ///< the first token, counted from the segment's first
};

/// Running softmax of a group of query vectors over a part of the tokens.
struct SoftmaxState {
  float* maximum;      ///< [vectors], -FLT_MAX before anything was seen
  float* sum;          ///< [vectors]
  float* accumulator;  ///< [vectors, headDim]
};

/// 32-bit words for a tile's keys and values as pairs of bfloat16, of the widest head.
constexpr size_t kPanelWords = kTileTokens * kMostHeadDim;

/// The query vectors that attend to a piece, rotated for it and scaled.
struct QueryView {
  const float* rotated;    ///< [vectors, kQueryStride], the first headDim of each row in use; null where `halves` are there
  const uint16_t* halves;  ///< the same as bfloat16, for kernels that have `packQueries`; else null
  uint32_t* panels;        ///< [kPanelWords] where `halves` are there, at a cache line
  const size_t* reach;     ///< [vectors] the last token that a vector sees, counted from the segment's first
  size_t vectors;
};

struct TileRules {
  size_t headDim;
  size_t slidingWindow;
  float softcap;
};

/// Tokens of a tile that a vector sees: begin .. end-1. Both are 0 where it sees none.
struct SeenTokens {
  size_t begin;
  size_t end;
};

/// What a vector that reaches to token `reach` of the segment sees of a tile, its window included.
inline SeenTokens seenOf(const Tile& tile, const TileRules& rules, size_t reach) {
  if (reach < tile.first) return {0, 0};
  const size_t end = std::min(reach - tile.first + 1, tile.tokens);
  size_t begin = 0;
  if (rules.slidingWindow > 0 && reach + 1 > rules.slidingWindow + tile.first) begin = reach + 1 - rules.slidingWindow - tile.first;
  return begin < end ? SeenTokens{begin, end} : SeenTokens{0, 0};
}

/// Logits are weighed in multiples of this.
constexpr size_t kWeighMultiple = 64;

/// Entry points of one instruction set.
struct KernelTable {
  /// Attends all vectors to one tile. Masks by reach (tokens up to `reach`) and window.
  /// @param ahead prefetches the tiles after this one meanwhile
  void (*attendTile)(KvDtype dtype, const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                     const SoftmaxState& state);
  /// Rounds `vectors` vectors to bfloat16, for kernels that multiply in it. Rows stand kQueryStride apart on both sides.
  /// Null at other levels. float32 keys and values are never multiplied in bfloat16.
  void (*packQueries)(const float* from, size_t vectors, size_t dim, uint16_t* to);
  /// Joins the states of the same vectors over two sets of tokens into the first one (arXiv 2205.14135, section 3.1).
  /// A state that saw nothing changes no bit of the other.
  void (*join)(const SoftmaxState& into, const SoftmaxState& from, size_t vectors, size_t dim);
  /// Rotates the pairs (i, i + half) of each of `heads` vectors by the angles of `cos` and `sin`, and scales by `scale`.
  /// Vectors stand `fromStride` and `toStride` floats apart.
  void (*rotateHalves)(const float* from, size_t fromStride, const float* cos, const float* sin, size_t half, size_t heads,
                       float scale, float* to, size_t toStride);
  /// Rounds `count` numbers to half, to nearest even.
  void (*roundRow)(const float* from, size_t count, Half* to);
  /// Rounds `count` numbers to multiples of a scale, amax / 127. @returns the scale
  float (*quantizeRow)(const float* from, size_t count, int8_t* to);
  /// The sum of exp((logit - best) * scale), a multiple of kWeighMultiple many. No logit is above `best`.
  /// @param weights receives each summand, unless null
  float (*weigh)(const float* logits, size_t count, float best, float scale, float* weights);
  /// The greatest of so many logits, or -FLT_MAX where all are below. NaN counts for nothing.
  float (*greatest)(const float* logits, size_t count);
};

const KernelTable& portableKernels();
const KernelTable& avx2Kernels();
const KernelTable& avx512Kernels();
/// AVX-512 with products in bfloat16, where keys and values are not float32.
const KernelTable& avx512Bf16Kernels();

}  // namespace blockstitch
