// The kernels for one instruction set: avx512-bf16. Only attention differs from avx512.
#include <algorithm>
#include <type_traits>

#include "attend_tile_bf16.h"

namespace blockstitch {

namespace {

void attendTile(KvDtype dtype, const Tile& tile, ReadAhead& ahead, const QueryView& query, const TileRules& rules,
                const SoftmaxState& state) {
  const auto attend = dtype == KvDtype::kFloat32 ? avx512Kernels().attendTile : &Bf16Tile::attend;
  attend(dtype, tile, ahead, query, rules, state);
}

}  // namespace

const KernelTable& avx512Bf16Kernels() {
  static const KernelTable table = [] {
    KernelTable made = avx512Kernels();
    made.attendTile = &attendTile;
    made.packQueries = &Bf16Tile::packQueries;
    return made;
  }();
  return table;
}

}  // namespace blockstitch
