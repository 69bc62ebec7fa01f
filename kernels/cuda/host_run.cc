// Every kernel instance, built for the CPU; see host_run.h.
#include "host_run.h"

#include <vector>

#include "append_block.cuh"
#include "decode_block.cuh"
#include "kernel_shapes.h"
#include "prefill_block.cuh"

namespace blockstitch::cuda {

bool runLayerOnHost(const AttentionParams& p, const LaunchCounts& counts, const HostLoop& loop) {
  return withHeadDim(p.layout.headDim, [&](auto dim) {
    constexpr int kDim = decltype(dim)::value;
    const size_t heads = static_cast<size_t>(p.layout.kvHeads);
    const int vectors = p.rows * p.layout.kvHeads;
    loop(static_cast<size_t>((vectors + AppendBlock<kDim>::kWarps - 1) / AppendBlock<kDim>::kWarps),
         [&](size_t block) { AppendBlock<kDim>::run(p, static_cast<int>(block)); });
    withProducts(p, [&](auto products) {
      using C = typename decltype(products)::Type;
      using Decode = DecodeBlock<C, kDim, decltype(products)::isInt8>;
      using Prefill = PrefillBlock<C, kDim, decltype(products)::isInt8>;
      static_assert(Prefill::kTileTokens == tileTokensFor(kDim) && Prefill::kRows == prefillRowsFor(kDim), "plan and kernel agree");
      // Vectors of 16 bytes keep the shared memory aligned as the device has it; garbage as in a fresh block.
      struct alignas(16) Chunk { unsigned char bytes[16]; };
      const auto shared = [](size_t bytes) {
        std::vector<Chunk> memory(bytes / 16 + 1);
        for (Chunk& chunk : memory) for (unsigned char& byte : chunk.bytes) byte = 0xff;
        return memory;
      };
      loop(static_cast<size_t>(counts.decode) * heads, [&](size_t block) {
        auto memory = shared(Decode::kSharedBytes);
        Decode::run(p, static_cast<int>(block / heads), static_cast<int>(block % heads), memory[0].bytes);
      });
      loop(static_cast<size_t>(counts.prefill) * heads, [&](size_t block) {
        auto memory = shared(Prefill::kSharedBytes);
        Prefill::run(p, static_cast<int>(block / heads), static_cast<int>(block % heads), memory[0].bytes);
      });
    });
    const int groups = (counts.maxCombineRows + CombineBlock::kWarps - 1) / CombineBlock::kWarps;
    loop(static_cast<size_t>(counts.combine) * heads, [&](size_t block) {
      for (int group = 0; group < groups; ++group)
        CombineBlock::run(p, static_cast<int>(block % heads), static_cast<int>(block / heads), group);
    });
  });
}

}  // namespace blockstitch::cuda
