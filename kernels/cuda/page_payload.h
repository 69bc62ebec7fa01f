// Copies between page images (pool_layout.h) and the portable payload `[layer][k|v][kv head][token][dim]`, for int8 then
// float32 scales `[layer][k|v][kv head][token]`. The stores keep payloads; the CPU pool has the same. Host memory only.
#pragma once

#include <cstring>

#include "pool_layout.h"

namespace blockstitch::cuda {

// Tokens first .. first + count - 1 of a payload of `tokens` tokens, which are slots 0 .. count - 1 of one page.
// kToPage: payload to page image, else page image to payload.
template <bool kToPage>
void copyPagePayload(const PoolLayout& layout, unsigned char* page, unsigned char* payload, int64_t tokens, int64_t first,
                     int64_t count) {
  const int64_t rowBytes = layout.rowBytes();
  const auto move = [](unsigned char* inPage, unsigned char* inPayload, int64_t bytes) {
    if (kToPage) std::memcpy(inPage, inPayload, static_cast<size_t>(bytes));
    else std::memcpy(inPayload, inPage, static_cast<size_t>(bytes));
  };
  const int64_t matrices = static_cast<int64_t>(layout.layers) * 2 * layout.kvHeads;
  unsigned char* scales = payload + matrices * tokens * rowBytes;
  for (int64_t matrix = 0; matrix < matrices; ++matrix) {
    move(page + matrix * layout.pageTokens * rowBytes, payload + (matrix * tokens + first) * rowBytes, count * rowBytes);
    if (layout.type == KvType::kInt8)
      move(page + layout.scalesOffset() + matrix * layout.pageTokens * 4, scales + (matrix * tokens + first) * 4, count * 4);
  }
}

}  // namespace blockstitch::cuda
