// BlockAttention on the CPU: appends new keys and values to the pool, then attends over segments and tail.
// Knows one layer of one step. attention_plan.h plans the step; block_attention_op.cc is the ONNX Runtime op.
#pragma once

#include <cstddef>
#include <functional>

#include "attention_plan.h"
#include "kernel_level.h"
#include "kv_pool.h"

namespace blockstitch {

/// One layer's shape and the op's attributes.
struct AttentionShape {
  size_t layer;
  size_t heads;     ///< multiple of kvHeads
  size_t kvHeads;
  size_t headDim;   ///< multiple of 8, <= 256
  size_t rotaryDim; ///< even, <= headDim; the rest of a head is not rotated
  bool interleaved; ///< pairs (2i, 2i+1) rather than (i, i + rotaryDim / 2)
  float scale;
  size_t slidingWindow;  ///< 0 = none, else keys at distance < slidingWindow are seen
  float softcap;         ///< 0 = none, else scores become softcap * tanh(score / softcap)
};

struct AttentionInputs {
  const float* query;  ///< [rows, heads * headDim], before RoPE
  const float* key;    ///< [rows, kvHeads * headDim], before RoPE
  const float* value;  ///< [rows, kvHeads * headDim]
  const float* cos;    ///< [positions, rotaryDim / 2]
  const float* sin;    ///< [positions, rotaryDim / 2]
};

/// Runs `task(i)` for i in 0 .. count-1, in any order, on any threads; returns when no task runs any more.
/// Where a task throws, tasks that have not begun may be left out, and the first exception is thrown again here.
using ParallelFor = std::function<void(size_t count, const std::function<void(size_t)>& task)>;

/// Writes the new rows' rotated keys and their values to the tails' pages, then attends.
///
/// Softmax is online over tiles of 256 tokens (kTileTokens) in float32 (arXiv 2205.14135). Tiles, pieces and spans depend only
/// on the sequence's own segments and tail: a row's result is the same to the last bit whatever else is in the step, and
/// however many of its sequence's rows are. At level avx512-bf16, products are of bfloat16 unless the pool is float32.
/// @param plan   made for this step and these heads
/// @param output [rows, heads * headDim]
/// @throws what a task threw, e.g. std::bad_alloc; the output and the new rows' places in the tails are undefined then
void blockAttention(const AttentionShape& shape, const AttentionInputs& inputs, const AttentionPlan& plan, KvPool& pool,
                    float* output, const ParallelFor& parallelFor);

}  // namespace blockstitch
