// Append: rotates each new key at its local position and writes key and value to the tail's page, one warp per new token
// and kv head. int8: one float32 scale per vector, largest magnitude / 127, rounded to nearest.
#pragma once

#include "query_rotation.cuh"

namespace blockstitch::cuda {

template <int kDim>
struct AppendBlock {
  static constexpr int kWarps = 4;
  static constexpr int kPairsPerLane = (kDim / 2 + kWarpLanes - 1) / kWarpLanes;

  // Elements of one lane: dims of its pairs.
  struct Share {
    float first[kPairsPerLane];
    float second[kPairsPerLane];
  };

  // Block `index` takes vectors 4 index .. 4 index + 3, vector = new row * kvHeads + kv head.
  BS_DEVICE static void run(const AttentionParams& p, int index) {
    forWarps<kWarps>([&](int warp) {
      const int vector = index * kWarps + warp;
      if (vector >= p.rows * p.layout.kvHeads) return;
      const int row = vector / p.layout.kvHeads;
      const int kvHead = vector % p.layout.kvHeads;
      const RowPlace place = p.places[row];
      appendVector(p, p.key, vector, kvHead, place, 0);
      appendVector(p, p.value, vector, kvHead, place, 1);
    });
  }

 private:
  BS_DEVICE static void appendVector(const AttentionParams& p, const void* tensor, int vector, int kvHead,
                                     const RowPlace& place, int isValue) {
    PerLane<Share> share;
    PerLane<float> largest;
    forLanes([&](int lane) {
      largest[lane] = 0;
BS_UNROLL
      for (int i = 0; i < kPairsPerLane; ++i) {
        const int pair = lane + i * kWarpLanes;
        if (pair >= kDim / 2) break;
        const DimPair dims = dimPair(pair, p.rotaryDim, p.interleaved);
        const int64_t at = static_cast<int64_t>(vector) * kDim;
        Turned turned{readInput(p, tensor, at + dims.first), readInput(p, tensor, at + dims.second)};
        if (dims.rotated && isValue == 0) turned = turn(p, place.position, pair, turned.first, turned.second);
        share[lane].first[i] = turned.first;
        share[lane].second[i] = turned.second;
        largest[lane] = fmaxf(largest[lane], fmaxf(fabsf(turned.first), fabsf(turned.second)));
      }
    });
    unsigned char* target = p.pool + p.layout.elementOffset(place.page, p.layer, isValue, kvHead, place.slot);
    if (p.layout.type == KvType::kInt8) warpMax(largest);
    forLanes([&](int lane) {
      const float inverse = largest[lane] > 0 ? 127.0f / largest[lane] : 0.0f;
BS_UNROLL
      for (int i = 0; i < kPairsPerLane; ++i) {
        const int pair = lane + i * kWarpLanes;
        if (pair >= kDim / 2) break;
        const DimPair dims = dimPair(pair, p.rotaryDim, p.interleaved);
        writeElement(p.layout.type, target, dims.first, share[lane].first[i], inverse);
        writeElement(p.layout.type, target, dims.second, share[lane].second[i], inverse);
      }
      if (lane == 0 && p.layout.type == KvType::kInt8) {
        const int64_t at = p.layout.scaleOffset(place.page, p.layer, isValue, kvHead, place.slot);
        *reinterpret_cast<float*>(p.pool + at) = largest[lane] / 127.0f;
      }
    });
  }

  BS_DEVICE static void writeElement(KvType type, unsigned char* row, int dim, float value, float inverse) {
    switch (type) {
      case KvType::kFloat16: reinterpret_cast<Half*>(row)[dim] = Half::fromFloat(value); break;
      case KvType::kBFloat16: reinterpret_cast<BFloat16*>(row)[dim] = BFloat16::fromFloat(value); break;
      case KvType::kInt8: reinterpret_cast<int8_t*>(row)[dim] = static_cast<int8_t>(lrintf(value * inverse)); break;
    }
  }
};

}  // namespace blockstitch::cuda
