// Plans one layer of one step: what is appended, which work items attend to which tiles, how splits are combined.
// Knows sequences and pages; the arithmetic of a tile is attend_tile.h.
#include "attention.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <vector>

#include "attention_kernels.h"

namespace blockstitch {

namespace {

/// Tokens between split boundaries, counted in whole tiles from the sequence's first token. Fixed, so that a row's
/// arithmetic never depends on the number of threads or on the rest of the batch.
constexpr size_t kSplitTokens = 2048;
/// Pairs of a token and a query vector, or states to be joined, that one thread does in the time another takes to wake.
constexpr size_t kSerialWork = 512;
/// Query vectors of one work item at most (rows * group, at least one row).
constexpr size_t kItemVectors = 56;

std::atomic<int>& levelStore() {
  static std::atomic<int> level{static_cast<int>(detectKernelLevel())};
  return level;
}

/// Sixteen lanes need heads of whole sixteens; others take the path of eight.
const KernelTable& kernels(size_t headDim) {
#if defined(__x86_64__)
  switch (kernelLevel()) {
    case KernelLevel::kAvx512: return headDim % 16 == 0 ? avx512Kernels() : avx2Kernels();
    case KernelLevel::kAvx2: return avx2Kernels();
    case KernelLevel::kPortable: break;
  }
#else
  static_cast<void>(headDim);
#endif
  return portableKernels();
}

/// RoPE of `heads` heads, one after another (arXiv 2104.09864): each pair turned by the angle of `position`, times `scale`.
/// @param to rows kQueryStride apart
void rotate(const KernelTable& kernels, const AttentionShape& shape, const AttentionInputs& inputs, size_t position,
            const float* from, size_t heads, float scale, float* to) {
  const size_t half = shape.rotaryDim / 2;
  const float* cos = inputs.cos + position * half;
  const float* sin = inputs.sin + position * half;
  if (!shape.interleaved) kernels.rotateHalves(from, shape.headDim, cos, sin, half, heads, scale, to, kQueryStride);
  for (size_t head = 0; head < heads; head++, from += shape.headDim, to += kQueryStride) {
    for (size_t i = 0; shape.interleaved && i < half; i++) {
      const float x = from[2 * i] * scale;
      const float y = from[2 * i + 1] * scale;
      to[2 * i] = x * cos[i] - y * sin[i];
      to[2 * i + 1] = y * cos[i] + x * sin[i];
    }
    for (size_t d = shape.rotaryDim; d < shape.headDim; d++) to[d] = from[d] * scale;
  }
}

/// Stores a vector as int8 with one scale: amax / 127.
float quantize(const float* from, size_t count, int8_t* to, size_t stride) {
  float amax = 0;
  for (size_t d = 0; d < count; d++) amax = std::max(amax, std::fabs(from[d]));
  const float scale = amax / 127.0f;
  const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
  for (size_t d = 0; d < count; d++) to[d * stride] = static_cast<int8_t>(std::lrint(from[d] * inverse));
  return scale;
}

template <typename Element>
void storeRow(const float* from, size_t count, Element* to, size_t stride) {
  for (size_t d = 0; d < count; d++) store(from[d], to + d * stride);
}

template <typename Element>
void appendAs(const AttentionShape& shape, KvPool& pool, size_t page, size_t head, size_t slot, const float* key,
              const float* value) {
  const size_t dim = shape.headDim;
  Element* keyLane = reinterpret_cast<Element*>(pool.keys(shape.layer, page, head)) +
                     (slot / kCellTokens) * dim * kCellTokens + slot % kCellTokens;
  Element* valueRow = reinterpret_cast<Element*>(pool.values(shape.layer, page, head)) + slot * dim;
  storeRow(key, dim, keyLane, kCellTokens);
  storeRow(value, dim, valueRow, 1);
}

void appendToken(const KernelTable& kernels, const AttentionShape& shape, const AttentionInputs& inputs,
                 const SequenceView& sequence, size_t row, KvPool& pool) {
  const size_t dim = shape.headDim;
  const size_t place = sequence.tailPast + row;
  const size_t page = static_cast<size_t>(sequence.tailPages[place / pool.shape().pageTokens]);
  const size_t slot = place % pool.shape().pageTokens;
  float rotated[kMaxHeadDim];
  for (size_t head = 0; head < shape.kvHeads; head++) {
    const size_t at = ((sequence.firstRow + row) * shape.kvHeads + head) * dim;
    rotate(kernels, shape, inputs, static_cast<size_t>(sequence.tailPosition) + place, inputs.key + at, 1, 1.0f, rotated);
    const float* value = inputs.value + at;
    switch (pool.shape().dtype) {
      case KvDtype::kFloat32: appendAs<float>(shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kFloat16: appendAs<Half>(shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kBfloat16: appendAs<Bfloat16>(shape, pool, page, head, slot, rotated, value); break;
      case KvDtype::kInt8: {
        int8_t* lane = reinterpret_cast<int8_t*>(pool.keys(shape.layer, page, head)) +
                       (slot / kCellTokens) * dim * kCellTokens + slot % kCellTokens;
        int8_t* valueRow = reinterpret_cast<int8_t*>(pool.values(shape.layer, page, head)) + slot * dim;
        pool.keyScales(shape.layer, page, head)[slot] = quantize(rotated, dim, lane, kCellTokens);
        pool.valueScales(shape.layer, page, head)[slot] = quantize(value, dim, valueRow, 1);
        break;
      }
    }
  }
}

/// A run of tiles of one segment or of the tail, within one split.
struct TileRun {
  const int32_t* pages;
  size_t firstToken;  ///< within the segment, multiple of kTileTokens
  size_t endToken;
  size_t start;       ///< global position of the segment's first token
  int32_t delta;
};

/// Cuts a sequence's segments and tail into splits of about kSplitTokens. The tail's own boundaries depend on its start
/// only, so a chunked prefill meets the same splits as decode.
std::vector<std::vector<TileRun>> planSplits(const SequenceView& sequence) {
  std::vector<std::vector<TileRun>> splits(1);
  size_t filled = 0;
  const auto add = [&](const int32_t* pages, size_t length, size_t start, int32_t delta) {
    for (size_t first = 0; first < length;) {
      if (filled >= kSplitTokens) {
        splits.emplace_back();
        filled = 0;
      }
      const size_t room = (kSplitTokens - filled + kTileTokens - 1) / kTileTokens * kTileTokens;
      const size_t end = std::min(length, first + room);
      splits.back().push_back({pages, first, end, start, delta});
      filled += end - first;
      first = end;
    }
  };
  for (const SegmentView& segment : sequence.segments) add(segment.pages, segment.length, segment.start, segment.delta);
  add(sequence.tailPages, sequence.tailPast + sequence.rows, sequence.cachedTokens, 0);
  return splits;
}

constexpr size_t kLineFloats = ReadAhead::kLine / sizeof(float);

/// Floats that begin at a cache line, so that vectors are not read and written across two. Contents are not kept.
class LineBuffer {
 public:
  float* reserve(size_t floats) {
    if (floats + kLineFloats > memory_.size()) memory_.resize(floats + kLineFloats);
    const size_t past = reinterpret_cast<uintptr_t>(memory_.data()) / sizeof(float) % kLineFloats;
    return memory_.data() + (kLineFloats - past) % kLineFloats;
  }

 private:
  std::vector<float> memory_;
};

struct WorkItem {
  const SequenceView* sequence;
  const std::vector<TileRun>* runs;
  size_t head;
  size_t firstRow;  ///< within the sequence
  size_t rows;
  float* state;     ///< [vectors] maximum, [vectors] sum, then, from a cache line on, [vectors, headDim]
};

class LayerStep {
 public:
  LayerStep(const AttentionShape& shape, const AttentionInputs& inputs, const StepView& step, KvPool& pool)
      : shape_(shape), inputs_(inputs), step_(step), pool_(pool), kernels_(kernels(shape.headDim)),
        group_(shape.heads / shape.kvHeads) {}

  void append(const ParallelFor& parallelFor) {
    const size_t chunk = 16;
    std::vector<std::pair<const SequenceView*, size_t>> chunks;
    for (const SequenceView& sequence : step_.sequences) {
      for (size_t row = 0; row < sequence.rows; row += chunk) chunks.emplace_back(&sequence, row);
    }
    const std::function<void(size_t)> task = [&](size_t index) {
      const SequenceView& sequence = *chunks[index].first;
      const size_t end = std::min(sequence.rows, chunks[index].second + chunk);
      for (size_t row = chunks[index].second; row < end; row++) appendToken(kernels_, shape_, inputs_, sequence, row, pool_);
    };
    if (step_.rows <= 2 * chunk) {
      for (size_t index = 0; index < chunks.size(); index++) task(index);
    } else {
      parallelFor(chunks.size(), task);
    }
  }

  void attend(float* output, const ParallelFor& parallelFor) {
    const size_t rowsPerItem = std::max<size_t>(1, kItemVectors / group_);
    std::vector<std::vector<std::vector<TileRun>>> splits;
    splits.reserve(step_.sequences.size());
    std::vector<WorkItem> items;
    size_t floats = 0;
    struct Place {
      size_t offset;
      size_t firstItem;
      size_t splits;
    };
    std::vector<Place> places;
    std::vector<size_t> offsets;
    for (const SequenceView& sequence : step_.sequences) {
      splits.push_back(planSplits(sequence));
      for (size_t head = 0; head < shape_.kvHeads; head++) {
        for (size_t row = 0; row < sequence.rows; row += rowsPerItem) {
          const size_t rows = std::min(rowsPerItem, sequence.rows - row);
          places.push_back({floats, items.size(), splits.back().size()});
          for (const auto& runs : splits.back()) {
            items.push_back({&sequence, &runs, head, row, rows, nullptr});
            offsets.push_back(floats);
            floats += stateFloats(rows * group_);
          }
        }
      }
    }
    float* memory = states_.reserve(floats);
    size_t pairs = 0, states = 0;
    for (size_t i = 0; i < items.size(); i++) {
      items[i].state = memory + offsets[i];
      states += items[i].rows * group_;
      for (const TileRun& each : *items[i].runs) pairs += (each.endToken - each.firstToken) * items[i].rows * group_;
    }
    // Waking threads costs some microseconds: small work is done here, with the same result.
    const auto spread = [&](size_t count, size_t work, const std::function<void(size_t)>& task) {
      if (work > kSerialWork) return parallelFor(count, task);
      for (size_t index = 0; index < count; index++) task(index);
    };
    spread(items.size(), pairs, [&](size_t index) { run(items[index]); });
    spread(places.size(), states, [&](size_t index) {
      combine(&items[places[index].firstItem], places[index].splits, output);
    });
  }

 private:
  static SoftmaxState stateOf(const WorkItem& item, size_t group) {
    const size_t vectors = item.rows * group;
    float* accumulator = item.state + (2 * vectors + kLineFloats - 1) / kLineFloats * kLineFloats;
    return {item.state, item.state + vectors, accumulator};
  }

  /// Room for the state of `vectors` vectors, a whole number of cache lines.
  size_t stateFloats(size_t vectors) const {
    const auto lines = [](size_t floats) { return (floats + kLineFloats - 1) / kLineFloats * kLineFloats; };
    return lines(2 * vectors) + lines(vectors * shape_.headDim);
  }

  void run(const WorkItem& item) const {
    const size_t vectors = item.rows * group_;
    const SoftmaxState state = stateOf(item, group_);
    std::fill(state.maximum, state.maximum + vectors, -FLT_MAX);
    std::fill(state.sum, state.sum + vectors, 0.0f);
    std::fill(state.accumulator, state.accumulator + vectors * shape_.headDim, 0.0f);
    const size_t firstPosition = item.sequence->cachedTokens + item.sequence->tailPast + item.firstRow;
    const size_t lastPosition = firstPosition + item.rows - 1;
    static thread_local LineBuffer buffer;
    float* rotated = buffer.reserve(vectors * kQueryStride);
    const TileRules rules{shape_.headDim, shape_.slidingWindow, shape_.softcap};
    const QueryView query{rotated, vectors, group_, firstPosition};
    static thread_local std::vector<const char*> cells;
    listCells(item, firstPosition, lastPosition, &cells);
    const PoolShape& pool = pool_.shape();
    ReadAhead ahead(cells.data(), cells.size(), kCellTokens * pool.headDim * elementBytes(pool.dtype),
                    pool.pageTokens * pool.headDim * elementBytes(pool.dtype));
    bool turned = false;
    int32_t delta = 0;
    size_t nextCell = 0;
    for (const TileRun& run : *item.runs) {
      for (size_t first = run.firstToken; first < run.endToken; first += kTileTokens) {
        const size_t tokens = std::min(kTileTokens, run.endToken - first);
        const size_t start = run.start + first;
        if (!sees(start, tokens, firstPosition, lastPosition)) continue;
        if (!turned || delta != run.delta) {
          turn(item, run.delta, rotated);
          turned = true;
          delta = run.delta;
          if (&run != &item.runs->back()) askAngles(item, (&run + 1)->delta);
        }
        Tile tile;
        fill(cells.data() + nextCell, run.pages, first, tokens, start, item.head, &tile);
        nextCell += (tokens + kCellTokens - 1) / kCellTokens;
        kernels_.attendTile(pool.dtype, tile, ahead, query, rules, state);
      }
    }
  }

  /// Whether rows at firstPosition .. lastPosition see any of `tokens` tokens from position `start` on.
  bool sees(size_t start, size_t tokens, size_t firstPosition, size_t lastPosition) const {
    if (start > lastPosition) return false;
    return shape_.slidingWindow == 0 || start + tokens + shape_.slidingWindow > firstPosition + 1;
  }

  /// Keys of the cells that `run` will read, in that order.
  void listCells(const WorkItem& item, size_t firstPosition, size_t lastPosition, std::vector<const char*>* cells) const {
    const PoolShape& shape = pool_.shape();
    const size_t pageCells = shape.pageTokens / kCellTokens;
    const size_t cellBytes = kCellTokens * shape.headDim * elementBytes(shape.dtype);
    cells->clear();
    for (const TileRun& run : *item.runs) {
      for (size_t first = run.firstToken; first < run.endToken; first += kTileTokens) {
        const size_t tokens = std::min(kTileTokens, run.endToken - first);
        if (!sees(run.start + first, tokens, firstPosition, lastPosition)) continue;
        size_t page = first / shape.pageTokens;
        size_t cell = first % shape.pageTokens / kCellTokens;
        for (size_t token = 0; token < tokens; token += kCellTokens) {
          const uint8_t* keys = pool_.keys(shape_.layer, static_cast<size_t>(run.pages[page]), item.head);
          cells->push_back(reinterpret_cast<const char*>(keys + cell * cellBytes));
          if (++cell < pageCells) continue;
          cell = 0;
          page++;
        }
      }
    }
  }

  /// Asks for the angles by which the next segment's query is turned: a row of a large table, seldom in the cache.
  /// Inlined by force: GCC takes a function of nothing but prefetches for one without effect and drops the call.
  [[gnu::always_inline]] inline void askAngles(const WorkItem& item, int32_t delta) const {
    const size_t half = shape_.rotaryDim / 2;
    const SequenceView& sequence = *item.sequence;
    const size_t row = static_cast<size_t>(sequence.tailPosition) + sequence.tailPast + item.firstRow - static_cast<size_t>(delta);
    for (size_t i = 0; i < item.rows * half; i += ReadAhead::kLine / sizeof(float)) {
      __builtin_prefetch(inputs_.cos + row * half + i);
      __builtin_prefetch(inputs_.sin + row * half + i);
    }
  }

  /// Rotates the item's query vectors at (local position - delta), times scale.
  void turn(const WorkItem& item, int32_t delta, float* rotated) const {
    const SequenceView& sequence = *item.sequence;
    for (size_t row = 0; row < item.rows; row++) {
      const size_t local = static_cast<size_t>(sequence.tailPosition) + sequence.tailPast + item.firstRow + row;
      const float* from = inputs_.query + ((sequence.firstRow + item.firstRow + row) * shape_.heads + item.head * group_) *
                                              shape_.headDim;
      rotate(kernels_, shape_, inputs_, local - static_cast<size_t>(delta), from, group_, shape_.scale,
             rotated + row * group_ * kQueryStride);
    }
  }

  /// @param cells keys of the tile's cells; a page's values stand behind all of its keys
  void fill(const char* const* cells, const int32_t* pages, size_t first, size_t tokens, size_t start, size_t head,
            Tile* tile) const {
    const PoolShape& shape = pool_.shape();
    tile->tokens = tokens;
    tile->start = start;
    const size_t count = (tokens + kCellTokens - 1) / kCellTokens;
    const size_t valuesAt = shape.pageTokens * shape.headDim * elementBytes(shape.dtype);
    for (size_t c = 0; c < count; c++) {
      tile->keys[c] = cells[c];
      tile->values[c] = cells[c] + valuesAt;
      tile->keyScales[c] = tile->valueScales[c] = nullptr;
    }
    if (shape.dtype != KvDtype::kInt8) return;
    for (size_t c = 0; c < count; c++) {
      const size_t token = first + c * kCellTokens;
      const size_t page = static_cast<size_t>(pages[token / shape.pageTokens]);
      tile->keyScales[c] = pool_.keyScales(shape_.layer, page, head) + token % shape.pageTokens;
      tile->valueScales[c] = pool_.valueScales(shape_.layer, page, head) + token % shape.pageTokens;
    }
  }

  /// Joins the splits of one group of vectors (arXiv 2311.01282, section 3) and writes the output rows.
  void combine(const WorkItem* items, size_t count, float* output) const {
    const WorkItem& first = items[0];
    const size_t dim = shape_.headDim;
    for (size_t vector = 0; vector < first.rows * group_; vector++) {
      float maximum = -FLT_MAX;
      for (size_t s = 0; s < count; s++) maximum = std::max(maximum, stateOf(items[s], group_).maximum[vector]);
      const size_t row = first.sequence->firstRow + first.firstRow + vector / group_;
      float* to = output + (row * shape_.heads + first.head * group_ + vector % group_) * dim;
      std::fill(to, to + dim, 0.0f);
      float sum = 0;
      for (size_t s = 0; s < count; s++) {
        const SoftmaxState state = stateOf(items[s], group_);
        if (state.maximum[vector] == -FLT_MAX) continue;
        const float weight = std::exp(state.maximum[vector] - maximum);
        sum += weight * state.sum[vector];
        for (size_t d = 0; d < dim; d++) to[d] += weight * state.accumulator[vector * dim + d];
      }
      const float inverse = 1.0f / sum;
      for (size_t d = 0; d < dim; d++) to[d] *= inverse;
    }
  }

  const AttentionShape& shape_;
  const AttentionInputs& inputs_;
  const StepView& step_;
  KvPool& pool_;
  const KernelTable& kernels_;
  const size_t group_;
  LineBuffer states_;
};

}  // namespace

KernelLevel detectKernelLevel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return KernelLevel::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    return KernelLevel::kAvx2;
  }
#endif
  return KernelLevel::kPortable;
}

KernelLevel kernelLevel() { return static_cast<KernelLevel>(levelStore().load(std::memory_order_relaxed)); }

bool setKernelLevel(KernelLevel level) {
  if (static_cast<int>(level) > static_cast<int>(detectKernelLevel())) return false;
  levelStore().store(static_cast<int>(level), std::memory_order_relaxed);
  return true;
}

void blockAttention(const AttentionShape& shape, const AttentionInputs& inputs, const StepView& step, KvPool& pool,
                    float* output, const ParallelFor& parallelFor) {
  LayerStep layer(shape, inputs, step, pool);
  layer.append(parallelFor);
  layer.attend(output, parallelFor);
}

}  // namespace blockstitch
