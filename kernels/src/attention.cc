// Runs one layer of one step: appends new tokens, attends item by item, joins the splits.
// Knows tensors and pool memory. attention_plan.h makes the items; attend_tile.h has the arithmetic of a tile.
#include "attention.h"

#include <algorithm>
#include <cassert>
#include <cfloat>
#include <cmath>
#include <vector>

#include "append_token.h"
#include "attention_kernels.h"
#include "line_buffer.h"

namespace blockstitch {

namespace {

/// One thread does this many pairs of a token and a query vector, or joins this many states, while another wakes.
constexpr size_t kSerialWork = 512;
/// One thread appends this many rows while another wakes.
constexpr size_t kSerialRows = 32;
/// State memory that a thread keeps from layer to layer (16 MiB). A larger step gives its memory back after each layer.
constexpr size_t kKeptFloats = 4 << 20;

class LayerStep {
 public:
  LayerStep(const AttentionShape& shape, const AttentionInputs& inputs, const AttentionPlan& plan, KvPool& pool)
      : shape_(shape), inputs_(inputs), plan_(plan), pool_(pool), kernels_(kernelsFor(shape.headDim)),
        group_(shape.heads / shape.kvHeads) {}

  void append(const ParallelFor& parallelFor) const {
    const std::vector<AppendChunk>& chunks = plan_.chunks();
    const bool isSerial = plan_.step().rows <= kSerialRows;
    spread(chunks.size(), isSerial, parallelFor, [&](size_t index) {
      const AppendChunk& chunk = chunks[index];
      for (size_t row = chunk.firstRow; row < chunk.endRow; row++) {
        appendToken(kernels_, shape_, inputs_, *chunk.sequence, row, pool_);
      }
    });
  }

  void attend(float* output, const ParallelFor& parallelFor) {
    static thread_local LineBuffer buffer;
    states_ = buffer.reserve(plan_.stateFloats());
    const std::vector<WorkItem>& items = plan_.items();
    const std::vector<ItemGroup>& groups = plan_.groups();
    spread(items.size(), plan_.pairs() <= kSerialWork, parallelFor, [&](size_t index) { run(items[index]); });
    spread(groups.size(), plan_.states() <= kSerialWork, parallelFor, [&](size_t index) {
      combine(&items[groups[index].firstItem], groups[index].splits, output);
    });
    buffer.trim(kKeptFloats);
  }

 private:
  /// Waking threads costs some microseconds, so small work is done here. The result is the same.
  static void spread(size_t count, bool isSerial, const ParallelFor& parallelFor, const std::function<void(size_t)>& task) {
    if (!isSerial) return parallelFor(count, task);
    for (size_t index = 0; index < count; index++) task(index);
  }

  /// [vectors] maximum, [vectors] sum, then, from a cache line on, [vectors, headDim]
  SoftmaxState stateOf(const WorkItem& item) const {
    const size_t vectors = item.rows * group_;
    float* state = states_ + item.stateAt;
    return {state, state + vectors, state + wholeLines(2 * vectors)};
  }

  void run(const WorkItem& item) const {
    const size_t vectors = item.rows * group_;
    const SoftmaxState state = stateOf(item);
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

  /// Prefetches the angles of the next segment's query: a row of a large table, seldom in the cache.
  /// Inlined by force: GCC thinks that a function of prefetches alone has no effect, and drops the call.
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

  /// @param cells keys of the tile's cells. A page holds all its keys first, then its values.
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
      for (size_t s = 0; s < count; s++) maximum = std::max(maximum, stateOf(items[s]).maximum[vector]);
      const size_t row = first.sequence->firstRow + first.firstRow + vector / group_;
      float* to = output + (row * shape_.heads + first.head * group_ + vector % group_) * dim;
      std::fill(to, to + dim, 0.0f);
      float sum = 0;
      for (size_t s = 0; s < count; s++) {
        const SoftmaxState state = stateOf(items[s]);
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
  const AttentionPlan& plan_;
  KvPool& pool_;
  const KernelTable& kernels_;
  const size_t group_;
  float* states_ = nullptr;
};

}  // namespace

void blockAttention(const AttentionShape& shape, const AttentionInputs& inputs, const AttentionPlan& plan, KvPool& pool,
                    float* output, const ParallelFor& parallelFor) {
  assert((plan.shape() == HeadShape{shape.heads, shape.kvHeads, shape.headDim}));
  LayerStep layer(shape, inputs, plan, pool);
  layer.append(parallelFor);
  layer.attend(output, parallelFor);
}

}  // namespace blockstitch
