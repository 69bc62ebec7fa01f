// The kernels for one instruction set: avx2.
#include <algorithm>
#include <type_traits>

#include "vec_avx2.h"

#include "attend_tile.h"
#include "store_row.h"
#include "weigh_chunk.h"

namespace blockstitch {

const KernelTable& avx2Kernels() {
  static constexpr KernelTable table{&TileKernel<Avx2Vec>::attend, nullptr,
                                     &TileKernel<Avx2Vec>::join, &TileKernel<Avx2Vec>::rotateHalves,
                                     &RowStore<Avx2Vec>::round, &RowStore<Avx2Vec>::quantize,
                                     &ChunkKernel<Avx2Vec>::weigh, &ChunkKernel<Avx2Vec>::greatest};
  return table;
}

}  // namespace blockstitch
