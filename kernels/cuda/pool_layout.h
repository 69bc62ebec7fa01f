// Where a token's key, value and scales lie in the device pool. A page is contiguous over all layers, so one copy moves
// it: [layer][k|v][kv head][slot][dim] elements, then for int8 [layer][k|v][kv head][slot] float32 scales, padded to
// 256 bytes. Token-major rows: a warp reads 16 bytes a lane along the dims, of keys and of values alike.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define BS_LAYOUT_FN __host__ __device__ __forceinline__
#else
#define BS_LAYOUT_FN inline
#endif

namespace blockstitch::cuda {

enum class KvType : int { kFloat16 = 1, kBFloat16 = 2, kInt8 = 3 };

struct PoolLayout {
  int layers;
  int kvHeads;
  int headDim;
  int pageTokens;
  KvType type;

  BS_LAYOUT_FN int elementBytes() const { return type == KvType::kInt8 ? 1 : 2; }
  BS_LAYOUT_FN int64_t rowBytes() const { return static_cast<int64_t>(headDim) * elementBytes(); }
  BS_LAYOUT_FN int64_t rowsPerPage() const { return static_cast<int64_t>(layers) * 2 * kvHeads * pageTokens; }
  BS_LAYOUT_FN int64_t scalesOffset() const { return rowsPerPage() * rowBytes(); }
  BS_LAYOUT_FN int64_t pageBytes() const {
    const int64_t bytes = scalesOffset() + (type == KvType::kInt8 ? rowsPerPage() * 4 : 0);
    return (bytes + 255) / 256 * 256;
  }
  // Row number of a slot inside its page; isValue is 0 for keys, 1 for values.
  BS_LAYOUT_FN int64_t row(int layer, int isValue, int kvHead, int slot) const {
    return ((static_cast<int64_t>(layer) * 2 + isValue) * kvHeads + kvHead) * pageTokens + slot;
  }
  BS_LAYOUT_FN int64_t elementOffset(int page, int layer, int isValue, int kvHead, int slot) const {
    return page * pageBytes() + row(layer, isValue, kvHead, slot) * rowBytes();
  }
  BS_LAYOUT_FN int64_t scaleOffset(int page, int layer, int isValue, int kvHead, int slot) const {
    return page * pageBytes() + scalesOffset() + row(layer, isValue, kvHead, slot) * 4;
  }
  // Bytes of the portable payload of `tokens` tokens: [layer][k|v][kv head][token][dim], then the scales for int8.
  BS_LAYOUT_FN int64_t payloadBytes(int tokens) const {
    const int64_t rows = static_cast<int64_t>(layers) * 2 * kvHeads * tokens;
    return rows * rowBytes() + (type == KvType::kInt8 ? rows * 4 : 0);
  }
};

}  // namespace blockstitch::cuda
