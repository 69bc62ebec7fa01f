// Changes page protections and restores them; see page_protection.h.
#include "page_protection.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

namespace blockstitch {

namespace {

/// Pages of one protection.
struct Range {
  uintptr_t begin;
  uintptr_t end;
  int protection;
};

/// The pages of [begin, end) with their protections, in order. @returns an empty string, or what is wrong
std::string protectionsOf(uintptr_t begin, uintptr_t end, std::vector<Range>* ranges) {
  const std::unique_ptr<FILE, int (*)(FILE*)> maps(std::fopen("/proc/self/maps", "re"), &std::fclose);
  if (maps == nullptr) return std::string("/proc/self/maps cannot be read: ") + std::strerror(errno);
  uintptr_t known = begin;  // everything below it is covered
  char* line = nullptr;
  size_t capacity = 0;
  while (known < end && getline(&line, &capacity, maps.get()) > 0) {
    uintptr_t first = 0, last = 0;
    char flags[5] = "";
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &first, &last, flags) != 3) continue;
    if (last <= known) continue;
    if (first > known) break;  // a hole
    const int protection = (flags[0] == 'r' ? PROT_READ : 0) | (flags[1] == 'w' ? PROT_WRITE : 0) | (flags[2] == 'x' ? PROT_EXEC : 0);
    ranges->push_back({known, std::min(last, end), protection});
    known = ranges->back().end;
  }
  std::free(line);
  return known < end ? "the memory is not mapped" : "";
}

bool protect(const Range& range, int protection) {
  return mprotect(reinterpret_cast<void*>(range.begin), range.end - range.begin, protection) == 0;
}

}  // namespace

std::string writeProtected(void* memory, size_t bytes, const std::function<void()>& write) {
  const auto pageBytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(memory) & ~(pageBytes - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(memory) + bytes + pageBytes - 1) & ~(pageBytes - 1);
  std::vector<Range> ranges;
  const std::string unknown = protectionsOf(begin, end, &ranges);
  if (!unknown.empty()) return unknown;
  const auto isClosed = [](const Range& range) { return (range.protection & PROT_WRITE) == 0; };
  std::string wrong;
  size_t opened = 0;  // ranges before it are writable
  for (; opened < ranges.size() && wrong.empty(); opened++) {
    const Range& range = ranges[opened];
    if (isClosed(range) && !protect(range, range.protection | PROT_WRITE)) {
      wrong = std::string("the memory cannot be made writable: ") + std::strerror(errno);
      break;
    }
  }
  if (wrong.empty()) write();
  for (size_t i = 0; i < opened; i++) {
    if (isClosed(ranges[i]) && !protect(ranges[i], ranges[i].protection)) {
      wrong += std::string(wrong.empty() ? "" : "; ") + "its protection cannot be given back: " + std::strerror(errno);
    }
  }
  return wrong;
}

}  // namespace blockstitch
