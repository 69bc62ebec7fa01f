// Where a work item's result goes: the output tensor, or a slot of partial results that the combine kernel merges.
#pragma once

#include "attention_params.h"
#include "element_types.cuh"

namespace blockstitch::cuda {

// Output element of a packed row; packed row m is new row m / G and query head kvHead * G + m % G.
template <class C>
BS_BOTH C* outputElement(const AttentionParams& p, int firstRow, int kvHead, int packed, int dim) {
  const int group = p.group();
  const int64_t row = firstRow + packed / group;
  return static_cast<C*>(p.output) + (row * p.heads + kvHead * group + packed % group) * p.layout.headDim + dim;
}

// Writes one accumulator value of packed row item.firstPacked + row. `top` is in base 2.
template <class C>
BS_BOTH void writeResult(const AttentionParams& p, const WorkItem& item, int kvHead, int row, int dim, float value,
                         float top, float sum) {
  const int packed = item.firstPacked + row;
  if (packed >= item.rows * p.group()) return;
  if (item.partial < 0) {
    *outputElement<C>(p, item.firstRow, kvHead, packed, dim) = C::fromFloat(sum > 0 ? value / sum : 0.0f);
    return;
  }
  float* partial = p.partial(item.partial + row, kvHead);
  partial[dim] = value;
  if (dim == 0) {
    partial[p.layout.headDim] = top;
    partial[p.layout.headDim + 1] = sum;
  }
}

// Merges the partial results of one packed row, one dim per thread; FlashDecoding's reduction.
template <class C, int kThreads>
BS_DEVICE void combineRow(const AttentionParams& p, const CombineItem& item, int kvHead, int row) {
  const int packed = item.firstPacked + row;
  if (packed >= item.rows * p.group()) return;
  const int dims = p.layout.headDim;
  float top = -INFINITY;
  for (int s = 0; s < item.partials; ++s)
    top = fmaxf(top, p.partial(item.firstPartial + s * item.packedRows + row, kvHead)[dims]);
  forThreads<kThreads>([&](int thread) {
    for (int dim = thread; dim < dims; dim += kThreads) {
      float value = 0;
      float sum = 0;
      for (int s = 0; s < item.partials; ++s) {
        const float* partial = p.partial(item.firstPartial + s * item.packedRows + row, kvHead);
        if (partial[dims] == -INFINITY) continue;
        const float weight = exp2Fast(partial[dims] - top);
        value += weight * partial[dim];
        sum += weight * partial[dims + 1];
      }
      *outputElement<C>(p, item.firstRow, kvHead, packed, dim) = C::fromFloat(sum > 0 ? value / sum : 0.0f);
    }
  });
}

}  // namespace blockstitch::cuda
