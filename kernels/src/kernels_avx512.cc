// The kernels for one instruction set: avx512.
#include <algorithm>
#include <type_traits>

#include "vec_avx512.h"

#include "attend_tile.h"
#include "store_row.h"
#include "weigh_chunk.h"

namespace blockstitch {

const KernelTable& avx512Kernels() {
  static constexpr KernelTable table{&TileKernel<Avx512Vec>::attend, nullptr,
                                     &TileKernel<Avx512Vec>::join, &TileKernel<Avx512Vec>::rotateHalves,
                                     &RowStore<Avx512Vec>::round, &RowStore<Avx512Vec>::quantize,
                                     &ChunkKernel<Avx512Vec>::weigh, &ChunkKernel<Avx512Vec>::greatest};
  return table;
}

}  // namespace blockstitch
