// Puts a new token's key and value into the tail's page. The key is rotated at its local position.
// Knows RoPE and the pool's element types. attention.cc decides which thread appends which tokens.
#pragma once

#include <cstddef>

#include "attention.h"
#include "attention_kernels.h"

namespace blockstitch {

/// Rotates `heads` heads, one after another, by the angles of `position`, times `scale` (RoPE, arXiv 2104.09864).
/// @param to rows kQueryStride apart
void rotate(const KernelTable& kernels, const AttentionShape& shape, const AttentionInputs& inputs, size_t position,
            const float* from, size_t heads, float scale, float* to);

/// @param row row within the sequence
void appendToken(const KernelTable& kernels, const AttentionShape& shape, const AttentionInputs& inputs,
                 const SequenceView& sequence, size_t row, KvPool& pool);

}  // namespace blockstitch
