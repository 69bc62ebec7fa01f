// Loops of known length that the compiler writes out: `unroll<3>([&](auto i) { ... })` runs the body for i = 0, 1, 2.
// Arrays indexed by `i` then live in registers. Compilers do not manage that for ordinary loops over arrays of vectors.
// Mark functions that use it BLOCKSTITCH_UNROLLED, so that the bodies are not calls. Sanitized builds ignore the mark: it
// would take the compiler minutes there, and their speed does not matter.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define BLOCKSTITCH_UNROLLED
#else
#define BLOCKSTITCH_UNROLLED [[gnu::flatten, gnu::noinline]]
#endif

namespace blockstitch {

template <typename Body, size_t... kIndex>
inline void unrollOver(const Body& body, std::index_sequence<kIndex...>) {
  (body(std::integral_constant<size_t, kIndex>{}), ...);
}

template <size_t kCount, typename Body>
inline void unroll(const Body& body) {
  unrollOver(body, std::make_index_sequence<kCount>{});
}

}  // namespace blockstitch
