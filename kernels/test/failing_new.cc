// operator new over malloc, with failures on demand; see failing_new.h. It is a file of its own: a compiler that sees into
// these functions takes free() for a mistake.
#include "failing_new.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace blockstitch::cases {

thread_local long allocationsLeft = -1;
thread_local bool failsOnce = true;

static bool mayAllocate() noexcept {
  if (allocationsLeft < 0) return true;
  if (allocationsLeft-- > 0) return true;
  allocationsLeft = failsOnce ? -1 : 0;
  return false;
}

}  // namespace blockstitch::cases

void* operator new(std::size_t bytes) {
  void* memory = blockstitch::cases::mayAllocate() ? std::malloc(bytes == 0 ? 1 : bytes) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
