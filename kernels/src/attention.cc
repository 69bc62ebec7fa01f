// Runs one layer of one step: appends new tokens, attends item by item, joins the states.
// Knows tensors and pool memory. attention_plan.h makes the items; attend_tile.h and attend_tile_bf16.h have the arithmetic of
// a tile.
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

/// What a thread needs for an item. It keeps the memory for the next one.
struct Workspace {
  LineBuffer rotated, panels, states;
  std::vector<uint16_t> halves;
  std::vector<size_t> reach;
  std::vector<const char*> cells;

  static Workspace& ofThread() {
    static thread_local Workspace space;
    return space;
  }
};

/// Positions, counted from the first token of a segment, up to which the rows of an item see it.
struct Reach {
  size_t least;
  size_t most;
};

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
    const std::vector<SharedItem>& shared = plan_.sharedItems();
    const std::vector<Join>& joins = plan_.joins();
    spread(shared.size() + items.size(), plan_.pairs() <= kSerialWork, parallelFor, [&](size_t index) {
      if (index < shared.size()) runShared(shared[index]);
      else run(items[index - shared.size()], output);
    });
    spread(joins.size(), plan_.states() <= kSerialWork, parallelFor, [&](size_t index) { join(joins[index], output); });
    buffer.trim(kKeptFloats);
  }

 private:
  /// Waking threads costs some microseconds, so small work is done here. The result is the same.
  static void spread(size_t count, bool isSerial, const ParallelFor& parallelFor, const std::function<void(size_t)>& task) {
    if (!isSerial) return parallelFor(count, task);
    for (size_t index = 0; index < count; index++) task(index);
  }

  /// [vectors] maximum, [vectors] sum, then, from a cache line on, [vectors, headDim]
  SoftmaxState stateIn(float* memory, const StateSlot& slot) const {
    float* state = memory + slot.at;
    return {state + slot.first, state + slot.vectors + slot.first,
            state + wholeLines(2 * slot.vectors) + slot.first * shape_.headDim};
  }

  void clear(const SoftmaxState& state, size_t vectors) const {
    std::fill(state.maximum, state.maximum + vectors, -FLT_MAX);
    std::fill(state.sum, state.sum + vectors, 0.0f);
    std::fill(state.accumulator, state.accumulator + vectors * shape_.headDim, 0.0f);
  }

  void run(const WorkItem& item, float* output) const {
    Workspace& space = Workspace::ofThread();
    const size_t vectors = item.rows * group_;
    const QueryView query = viewFor(vectors, &space);
    const std::vector<Piece>& pieces = *item.pieces;
    const size_t firstPosition = item.sequence->cachedTokens + item.sequence->tailPast + item.firstRow;
    const auto reachOf = [&](const Piece& piece) {
      return Reach{firstPosition - piece.start, firstPosition + item.rows - 1 - piece.start};
    };
    space.cells.clear();
    for (size_t p = item.firstPiece; p < item.endPiece; p++) listCells(pieces[p], item.head, reachOf(pieces[p]), &space.cells);
    ReadAhead ahead = readAhead(space.cells);
    const char* const* cells = space.cells.data();

    // States of a piece, of a span and of all spans, each where the one before it need not be joined.
    const size_t stateFloats = wholeLines(2 * vectors) + wholeLines(vectors * shape_.headDim);
    float* memory = space.states.reserve(3 * stateFloats);
    const bool byPiece = item.states == ItemStates::kByPiece;
    const SoftmaxState whole = item.states == ItemStates::kNone ? stateIn(memory, {0, vectors, 0}) : stateIn(states_, item.state);
    const SoftmaxState laterSpan = stateIn(memory, {stateFloats, vectors, 0});
    const SoftmaxState laterPiece = stateIn(memory, {2 * stateFloats, vectors, 0});
    const Piece* turnedFor = nullptr;
    for (size_t p = item.firstPiece; p < item.endPiece;) {
      const size_t first = p;
      const SoftmaxState& span = first == item.firstPiece ? whole : laterSpan;
      for (; p < item.endPiece && pieces[p].span == pieces[first].span; p++) {
        const SoftmaxState state = byPiece ? stateIn(states_, {item.state.at + (p - item.firstPiece) * stateFloats, vectors, 0})
                                           : p == first ? span : laterPiece;
        const Piece& piece = pieces[p];
        clear(state, vectors);
        const Reach reach = reachOf(piece);
        if (!seesAny(piece, reach)) continue;
        noteReach(*item.sequence, item.firstRow, item.rows, piece, 0, &space);
        if (turnedFor == nullptr || turnedFor->delta != piece.delta) {
          turn(*item.sequence, item.firstRow, item.rows, item.head, piece.delta, 0, &space);
          turnedFor = &piece;
          if (p + 1 < item.endPiece) askAngles(item, pieces[p + 1].delta);
        }
        cells = attendPiece(piece, item.head, reach, cells, ahead, query, state);
        if (p != first && !byPiece) kernels_.join(span, state, vectors, shape_.headDim);
      }
      if (first != item.firstPiece && !byPiece) kernels_.join(whole, span, vectors, shape_.headDim);
    }
    if (item.states == ItemStates::kNone) write(*item.sequence, item.head, item.firstRow, item.rows, whole, output);
  }

  void runShared(const SharedItem& item) const {
    Workspace& space = Workspace::ofThread();
    const QueryView query = viewFor(item.state.vectors, &space);
    Reach reach{SIZE_MAX, 0};
    size_t vector = 0;
    for (size_t m = 0; m < item.count; m++) {
      const SequenceView& sequence = *item.members[m].sequence;
      noteReach(sequence, 0, sequence.rows, *item.members[m].piece, vector, &space);
      turn(sequence, 0, sequence.rows, item.head, item.members[m].piece->delta, vector, &space);
      vector += sequence.rows * group_;
      reach.least = std::min(reach.least, space.reach[vector - sequence.rows * group_]);
      reach.most = std::max(reach.most, space.reach[vector - 1]);
    }
    const SoftmaxState state = stateIn(states_, item.state);
    clear(state, vector);
    const Piece& piece = *item.members[0].piece;
    space.cells.clear();
    listCells(piece, item.head, reach, &space.cells);
    ReadAhead ahead = readAhead(space.cells);
    attendPiece(piece, item.head, reach, space.cells.data(), ahead, query, state);
  }

  /// Attends to the tiles of a piece that any row sees. @returns the cells behind those of the piece
  const char* const* attendPiece(const Piece& piece, size_t head, const Reach& reach, const char* const* cells, ReadAhead& ahead,
                                 const QueryView& query, const SoftmaxState& state) const {
    const TileRules rules{shape_.headDim, shape_.slidingWindow, shape_.softcap};
    for (size_t first = piece.firstToken; first < piece.endToken; first += kTileTokens) {
      const size_t tokens = std::min(kTileTokens, piece.endToken - first);
      if (!sees(first, tokens, reach)) continue;
      Tile tile;
      fill(cells, piece.pages, first, tokens, head, &tile);
      cells += (tokens + kCellTokens - 1) / kCellTokens;
      kernels_.attendTile(pool_.shape().dtype, tile, ahead, query, rules, state);
    }
    return cells;
  }

  /// Whether any row sees any of `tokens` tokens from `first` on.
  bool sees(size_t first, size_t tokens, const Reach& reach) const {
    if (first > reach.most) return false;
    return shape_.slidingWindow == 0 || first + tokens + shape_.slidingWindow > reach.least + 1;
  }

  bool seesAny(const Piece& piece, const Reach& reach) const {
    return sees(piece.firstToken, piece.endToken - piece.firstToken, reach);
  }

  ReadAhead readAhead(const std::vector<const char*>& cells) const {
    const PoolShape& pool = pool_.shape();
    const size_t tokenBytes = pool.headDim * elementBytes(pool.dtype);
    return {cells.data(), cells.size(), kCellTokens * tokenBytes, pool.pageTokens * tokenBytes};
  }

  /// Keys of the cells that a piece's tiles will read, in that order.
  void listCells(const Piece& piece, size_t head, const Reach& reach, std::vector<const char*>* cells) const {
    const PoolShape& shape = pool_.shape();
    const size_t pageCells = shape.pageTokens / kCellTokens;
    const size_t cellBytes = kCellTokens * shape.headDim * elementBytes(shape.dtype);
    for (size_t first = piece.firstToken; first < piece.endToken; first += kTileTokens) {
      const size_t tokens = std::min(kTileTokens, piece.endToken - first);
      if (!sees(first, tokens, reach)) continue;
      size_t page = first / shape.pageTokens;
      size_t cell = first % shape.pageTokens / kCellTokens;
      for (size_t token = 0; token < tokens; token += kCellTokens) {
        const uint8_t* keys = pool_.keys(shape_.layer, static_cast<size_t>(piece.pages[page]), head);
        cells->push_back(reinterpret_cast<const char*>(keys + cell * cellBytes));
        if (++cell < pageCells) continue;
        cell = 0;
        page++;
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

  bool usesHalves() const { return kernels_.packQueries != nullptr && pool_.shape().dtype != KvDtype::kFloat32; }

  QueryView viewFor(size_t vectors, Workspace* space) const {
    if (space->reach.size() < vectors) space->reach.resize(vectors);
    if (!usesHalves()) return {space->rotated.reserve(vectors * kQueryStride), nullptr, nullptr, space->reach.data(), vectors};
    if (space->halves.size() < vectors * kQueryStride) space->halves.resize(vectors * kQueryStride);
    space->rotated.reserve(group_ * kQueryStride);
    auto* panels = reinterpret_cast<uint32_t*>(space->panels.reserve(kPanelWords));
    return {nullptr, space->halves.data(), panels, space->reach.data(), vectors};
  }

  /// Notes how far the vectors of some rows see into the segment of a piece.
  /// @param vector place of the first one in the view
  void noteReach(const SequenceView& sequence, size_t firstRow, size_t rows, const Piece& piece, size_t vector,
                 Workspace* space) const {
    size_t reach = sequence.cachedTokens + sequence.tailPast + firstRow - piece.start;
    for (size_t row = 0; row < rows; row++, reach++, vector += group_) {
      std::fill_n(space->reach.begin() + static_cast<ptrdiff_t>(vector), group_, reach);
    }
  }

  /// Rotates the query vectors of some rows at (local position - delta), times scale.
  /// @param vector place of the first one in the view
  void turn(const SequenceView& sequence, size_t firstRow, size_t rows, size_t head, int32_t delta, size_t vector,
            Workspace* space) const {
    const bool halves = usesHalves();
    float* rotated = space->rotated.reserve(0);
    for (size_t row = firstRow; row < firstRow + rows; row++, vector += group_) {
      const size_t local = static_cast<size_t>(sequence.tailPosition) + sequence.tailPast + row;
      const float* from = inputs_.query + ((sequence.firstRow + row) * shape_.heads + head * group_) * shape_.headDim;
      float* to = halves ? rotated : rotated + vector * kQueryStride;
      rotate(kernels_, shape_, inputs_, local - static_cast<size_t>(delta), from, group_, shape_.scale, to);
      if (halves) kernels_.packQueries(to, group_, shape_.headDim, space->halves.data() + vector * kQueryStride);
    }
  }

  /// @param cells keys of the tile's cells. A page holds all its keys first, then its values.
  void fill(const char* const* cells, const int32_t* pages, size_t first, size_t tokens, size_t head, Tile* tile) const {
    const PoolShape& shape = pool_.shape();
    tile->tokens = tokens;
    tile->first = first;
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

  /// Joins the states of the same rows, those of a span first (arXiv 2311.01282, section 3), and writes the output rows.
  void join(const Join& rows, float* output) const {
    const size_t vectors = rows.rows * group_;
    const SoftmaxState whole = stateIn(states_, rows.parts[0].state);
    for (size_t part = 0; part < rows.parts.size();) {
      const size_t first = part++;
      const SoftmaxState span = stateIn(states_, rows.parts[first].state);
      for (; part < rows.parts.size() && rows.parts[part].span == rows.parts[first].span; part++) {
        kernels_.join(span, stateIn(states_, rows.parts[part].state), vectors, shape_.headDim);
      }
      if (first > 0) kernels_.join(whole, span, vectors, shape_.headDim);
    }
    write(*rows.sequence, rows.head, rows.firstRow, rows.rows, whole, output);
  }

  void write(const SequenceView& sequence, size_t head, size_t firstRow, size_t rows, const SoftmaxState& state,
             float* output) const {
    const size_t dim = shape_.headDim;
    for (size_t row = 0; row < rows; row++) {
      float* to = output + ((sequence.firstRow + firstRow + row) * shape_.heads + head * group_) * dim;
      for (size_t v = row * group_; v < (row + 1) * group_; v++) {
        const float inverse = 1.0f / state.sum[v];
        const float* from = state.accumulator + v * dim;
        for (size_t d = 0; d < dim; d++) *to++ = from[d] * inverse;
      }
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
