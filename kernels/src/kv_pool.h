// The KV pool in host memory: one allocation cut in pages, and the copies between pages and the portable payload.
// Knows the layout. TypeScript accounts which page belongs to whom (docs/decisions/002).
//
// Layout: by layer, then head, then page. Attention of one head then walks contiguous memory where pages are neighbours.
//   layer l, head h, page p   at ((l * kvHeads + h) * pages + p) * headBytes
//   within    keys   [pageTokens / 16][headDim][16]   (16 tokens side by side: scores need no horizontal sums)
//             values [pageTokens][headDim]
//             int8 only: key scales float32 [pageTokens], value scales float32 [pageTokens]
// Payload: [layer][k|v][kv head][token][dim], for int8 then float32 scales [layer][k|v][kv head][token].
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "element.h"

namespace blockstitch {

/// Tokens whose keys lie side by side.
constexpr size_t kCellTokens = 16;
/// Widest head that the kernels take.
constexpr size_t kMostHeadDim = 256;

struct PoolShape {
  size_t pages;
  size_t pageTokens;  ///< multiple of kCellTokens
  size_t layers;
  size_t kvHeads;
  size_t headDim;
  KvDtype dtype;
};

/// Whether the bytes of such a pool can be counted and addressed.
bool poolBytesFit(const PoolShape& shape);

class KvPool {
 public:
  /// @param shape its bytes fit (poolBytesFit)
  /// @throws std::bad_alloc when the address space cannot be had (pages are touched lazily by the OS)
  explicit KvPool(const PoolShape& shape);
  KvPool(const KvPool&) = delete;
  KvPool& operator=(const KvPool&) = delete;

  const PoolShape& shape() const { return shape_; }
  /// Bytes of one page over all layers.
  size_t pageBytes() const { return shape_.layers * layerPageBytes_; }
  /// Bytes of the portable payload of `tokens` tokens.
  size_t payloadBytes(size_t tokens) const;

  uint8_t* keys(size_t layer, size_t page, size_t head) const {
    return base_ + ((layer * shape_.kvHeads + head) * shape_.pages + page) * headBytes_;
  }
  uint8_t* values(size_t layer, size_t page, size_t head) const { return keys(layer, page, head) + matrixBytes_; }
  float* keyScales(size_t layer, size_t page, size_t head) const {
    return reinterpret_cast<float*>(keys(layer, page, head) + 2 * matrixBytes_);
  }
  float* valueScales(size_t layer, size_t page, size_t head) const {
    return keyScales(layer, page, head) + shape_.pageTokens;
  }

  /// Copies `tokens` tokens out of `pages` into `payload`. The pages lie in the pool and are enough: the caller checks that.
  /// @returns the CRC-32 of the payload, taken while its bytes are in the processor's cache
  uint32_t readPages(const int32_t* pages, size_t tokens, uint8_t* payload) const;
  /// Copies `tokens` tokens of `payload` into `pages`. @returns as readPages
  uint32_t writePages(const int32_t* pages, size_t tokens, const uint8_t* payload);

 private:
  struct Unmap {
    size_t bytes;
    void operator()(uint8_t* memory) const;
  };

  template <typename Element, bool kRead>
  uint32_t copyPages(const int32_t* pages, size_t tokens, uint8_t* payload) const;

  PoolShape shape_;
  size_t matrixBytes_;
  size_t headBytes_;
  size_t layerPageBytes_;
  std::unique_ptr<uint8_t, Unmap> memory_;
  uint8_t* base_;
};

/// Registry of the process's pools. @returns an id, valid in every thread and never used again
int32_t registerPool(std::shared_ptr<KvPool> pool);
/// @returns null where there is no such pool
std::shared_ptr<KvPool> findPool(int32_t id);
/// The memory is freed when the last user lets go. @returns false where there was no such pool
bool unregisterPool(int32_t id);

}  // namespace blockstitch
