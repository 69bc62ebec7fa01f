// The CPU op's random cases for the CUDA kernels: which of them, how a kernel gets them, and how large an error may be.
// The host build's test and the harness on a GPU use them; each has its own memory and runs the kernels its own way.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "attention_cases.h"
#include "kernel_shapes.h"
#include "step_plan.h"

namespace blockstitch::cases {

constexpr int kCudaHeadDims[] = {64, 80, 96, 128, 256};

/// A case as the CPU op draws it; a float32 pool becomes a float16 one, and inputs are rounded to a 16-bit type.
inline Case cudaCase(std::mt19937& random, size_t headDim, size_t group, size_t budget) {
  Case c = randomCase(random, headDim, group, budget);
  if (c.dtype == KvDtype::kFloat32) c.dtype = KvDtype::kFloat16;
  c.inputs = random() % 2 == 0 ? KvDtype::kFloat16 : KvDtype::kBfloat16;
  return c;
}

inline std::string describe(const Case& c) {
  static const char* const names[] = {"float32", "float16", "bfloat16", "int8"};
  size_t rows = 0, segments = 0;
  for (const Sequence& s : c.sequences) rows += s.rows, segments += s.segments.size();
  return "head_dim " + std::to_string(c.headDim) + " group " + std::to_string(c.group) + " kv " +
         names[static_cast<int>(c.dtype)] + " query " + names[static_cast<int>(c.inputs)] + " page " +
         std::to_string(c.pageTokens) + " window " + std::to_string(c.window) + " rows " + std::to_string(rows) +
         " segments " + std::to_string(segments);
}

/// Products and outputs in bfloat16 keep 8 bits whatever the pool holds; int8 with them adds its own error.
inline double cudaTolerance(const Case& c) {
  if (c.inputs == KvDtype::kFloat16) return tolerance(c.dtype);
  return c.dtype == KvDtype::kInt8 ? 1.2e-2 : 1e-2;
}

inline std::vector<uint16_t> to16(const std::vector<float>& values, KvDtype type) {
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    if (type == KvDtype::kFloat16) store(values[i], reinterpret_cast<Half*>(&bits[i]));
    else store(values[i], reinterpret_cast<Bfloat16*>(&bits[i]));
  }
  return bits;
}

inline std::vector<float> from16(const std::vector<uint16_t>& bits, KvDtype type) {
  std::vector<float> values(bits.size());
  for (size_t i = 0; i < bits.size(); i++) {
    values[i] = type == KvDtype::kFloat16 ? toFloat(Half{bits[i]}) : toFloat(Bfloat16{bits[i]});
  }
  return values;
}

inline cuda::PoolLayout cudaLayout(const Case& c, int layers) {
  const cuda::KvType type = c.dtype == KvDtype::kInt8       ? cuda::KvType::kInt8
                            : c.dtype == KvDtype::kBfloat16 ? cuda::KvType::kBFloat16
                                                            : cuda::KvType::kFloat16;
  return {layers, static_cast<int>(c.kvHeads), static_cast<int>(c.headDim), static_cast<int>(c.pageTokens), type};
}

inline cuda::PlanShape cudaPlanShape(const Case& c, int processors) {
  const int headDim = static_cast<int>(c.headDim);
  return {static_cast<int>(c.kvHeads * c.group), static_cast<int>(c.kvHeads), static_cast<int>(c.pageTokens),
          static_cast<int>(c.window), cuda::tileTokensFor(headDim), cuda::prefillRowsFor(headDim), processors};
}

/// Parameters without the pointers.
inline cuda::AttentionParams cudaParams(const Case& c, int layers, int layer) {
  cuda::AttentionParams p{};
  p.layout = cudaLayout(c, layers);
  p.queryType = c.inputs == KvDtype::kFloat16 ? cuda::QueryType::kFloat16 : cuda::QueryType::kBFloat16;
  p.layer = layer;
  p.heads = static_cast<int>(c.kvHeads * c.group);
  p.rotaryDim = static_cast<int>(c.headDim);
  p.interleaved = c.interleaved;
  p.scale = 1.0f / std::sqrt(static_cast<float>(c.headDim));
  p.softcap = c.softcap;
  p.window = static_cast<int>(c.window);
  return p;
}

}  // namespace blockstitch::cases
