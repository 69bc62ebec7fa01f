// The kernels for one instruction set: portable.
#include <algorithm>
#include <type_traits>

#include "vec_portable.h"

#include "attend_tile.h"
#include "store_row.h"
#include "weigh_chunk.h"

namespace blockstitch {

const KernelTable& portableKernels() {
  static constexpr KernelTable table{&TileKernel<PortableVec>::attend, nullptr,
                                     &TileKernel<PortableVec>::join, &TileKernel<PortableVec>::rotateHalves,
                                     &RowStore<PortableVec>::round, &RowStore<PortableVec>::quantize,
                                     &ChunkKernel<PortableVec>::weigh, &ChunkKernel<PortableVec>::greatest};
  return table;
}

}  // namespace blockstitch
