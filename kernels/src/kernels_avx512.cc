// The attention kernels for one instruction set: avx512.
#include <algorithm>
#include <type_traits>

#include "vec_avx512.h"

#include "attend_tile.h"

namespace blockstitch {

const KernelTable& avx512Kernels() {
  static constexpr KernelTable table{&TileKernel<Avx512Vec>::attend, &TileKernel<Avx512Vec>::rotateHalves};
  return table;
}

}  // namespace blockstitch
