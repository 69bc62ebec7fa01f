// The attention kernels for one instruction set: portable.
#include <algorithm>
#include <type_traits>

#include "vec_portable.h"

#include "attend_tile.h"

namespace blockstitch {

const KernelTable& portableKernels() {
  static constexpr KernelTable table{&TileKernel<PortableVec>::attend, &TileKernel<PortableVec>::rotateHalves};
  return table;
}

}  // namespace blockstitch
