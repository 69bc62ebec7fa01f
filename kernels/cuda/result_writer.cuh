// Writes a work item's result to the output tensor, or to rows of partial results that the combine kernel merges.
#pragma once

#include "attention_params.h"
#include "element_types.cuh"

namespace blockstitch::cuda {

constexpr float kMinusInfinity = -INFINITY;

// Writes one element of the output; packed row m is new row m / G and query head kvHead * G + m % G.
BS_BOTH void writeOutput(const AttentionParams& p, int firstRow, int kvHead, int packed, int dim, float value) {
  const int group = p.group();
  const int64_t row = firstRow + packed / group;
  const int64_t at = (row * p.heads + kvHead * group + packed % group) * p.layout.headDim + dim;
  static_cast<uint16_t*>(p.output)[at] =
      p.queryType == QueryType::kFloat16 ? Half::fromFloat(value).bits : BFloat16::fromFloat(value).bits;
}

// Writes one accumulator value of packed row item.firstPacked + row, which exists. `top` is in base 2.
BS_BOTH void writeResult(const AttentionParams& p, const WorkItem& item, int kvHead, int row, int dim, float value,
                         float top, float sum) {
  if (item.partial < 0) {
    writeOutput(p, item.firstRow, kvHead, item.firstPacked + row, dim, sum > 0 ? value / sum : 0.0f);
    return;
  }
  float* partial = p.partial(item.partial + row, kvHead);
  partial[dim] = value;
  if (dim == 0) {
    partial[p.layout.headDim] = top;
    partial[p.layout.headDim + 1] = sum;
  }
}

// Merges the splits of packed rows, one warp a row (flash decoding's reduction; arXiv 2311.01282, section 3).
struct CombineBlock {
  static constexpr int kWarps = 4;

  // Block (kvHead, item, rowGroup): packed rows 4 rowGroup .. 4 rowGroup + 3 of the item.
  BS_DEVICE static void run(const AttentionParams& p, int kvHead, int index, int rowGroup) {
    const CombineItem item = p.combine[index];
    forWarps<kWarps>([&](int warp) {
      const int row = rowGroup * kWarps + warp;
      if (row < item.packedRows) combineRow(p, item, kvHead, row);
    });
  }

 private:
  BS_DEVICE static void combineRow(const AttentionParams& p, const CombineItem& item, int kvHead, int row) {
    const int dims = p.layout.headDim;
    PerLane<float> lead;
    forLanes([&](int lane) {
      lead[lane] = kMinusInfinity;
      for (int s = lane; s < item.partials; s += kWarpLanes)
        lead[lane] = fmaxf(lead[lane], p.partial(item.firstPartial + s * item.packedRows + row, kvHead)[dims]);
    });
    warpMax(lead);
    forLanes([&](int lane) {
      for (int dim = lane; dim < dims; dim += kWarpLanes) {
        float value = 0;
        float sum = 0;
        for (int s = 0; s < item.partials; ++s) {
          const float* partial = p.partial(item.firstPartial + s * item.packedRows + row, kvHead);
          if (partial[dims] == kMinusInfinity) continue;
          const float weight = exp2Fast(partial[dims] - lead[lane]);
          value += weight * partial[dim];
          sum += weight * partial[dims + 1];
        }
        writeOutput(p, item.firstRow, kvHead, item.firstPacked + row, dim, sum > 0 ? value / sum : 0.0f);
      }
    });
  }
};

}  // namespace blockstitch::cuda
