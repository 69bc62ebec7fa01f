// Which kernels there are: head dims, and the element type of the products by the types of pool and queries.
#pragma once

#include "attention_params.h"
#include "element_types.cuh"

namespace blockstitch::cuda {

// Calls `use(Dim<headDim>{})` for a head dim that the kernels know. Returns false for any other.
// BS_FEW_HEAD_DIMS keeps only the two oddest, for builds (sanitizers) that would compile for minutes.
template <int kDim>
struct Dim {
  static constexpr int value = kDim;
};

template <class F>
bool withHeadDim(int headDim, F&& use) {
  switch (headDim) {
#if !defined(BS_FEW_HEAD_DIMS)
    case 64: use(Dim<64>{}); return true;
    case 96: use(Dim<96>{}); return true;
    case 128: use(Dim<128>{}); return true;
#endif
    case 80: use(Dim<80>{}); return true;
    case 256: use(Dim<256>{}); return true;
    default: return false;
  }
}

// Type of products, and whether cached elements are int8. Products have the pool's own 16-bit type; for an int8 pool they
// have the queries' type.
template <class C, bool kInt8>
struct Products {
  using Type = C;
  static constexpr bool isInt8 = kInt8;
};

template <class F>
void withProducts(const AttentionParams& p, F&& use) {
  switch (p.layout.type) {
    case KvType::kFloat16: use(Products<Half, false>{}); return;
    case KvType::kBFloat16: use(Products<BFloat16, false>{}); return;
    case KvType::kInt8:
      if (p.queryType == QueryType::kFloat16) use(Products<Half, true>{});
      else use(Products<BFloat16, true>{});
      return;
  }
}

// Tokens of a tile and packed rows of a prefill item. The plan must be made with them.
constexpr int tileTokensFor(int headDim) { return headDim > 128 ? 32 : 64; }
constexpr int prefillRowsFor(int headDim) { return headDim > 128 ? 64 : 128; }

}  // namespace blockstitch::cuda
