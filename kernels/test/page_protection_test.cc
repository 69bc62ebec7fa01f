// Writing to protected memory: every page gets back the protection that it had, also where the write fails.
#include "page_protection.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "checks.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

/// "r--", "rw-" .. of the page, read on its own; empty where nothing is mapped.
std::string flagsOf(const void* page) {
  FILE* maps = std::fopen("/proc/self/maps", "r");
  char line[4096];
  std::string found;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    uintptr_t first = 0, last = 0;
    char flags[5] = "";
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &first, &last, flags) != 3) continue;
    if (reinterpret_cast<uintptr_t>(page) >= first && reinterpret_cast<uintptr_t>(page) < last) found = std::string(flags, 3);
  }
  std::fclose(maps);
  return found;
}

/// Pages one after another, with the protections given.
class Pages {
 public:
  explicit Pages(const std::vector<int>& protections) : count_(protections.size()) {
    memory_ = static_cast<char*>(mmap(nullptr, count_ * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < count_; i++) mprotect(at(i), kPage, protections[i]);
  }
  ~Pages() { munmap(memory_, count_ * kPage); }
  char* at(size_t page) const { return memory_ + page * kPage; }
  std::string flags() const {
    std::string all;
    for (size_t i = 0; i < count_; i++) all += (i > 0 ? " " : "") + flagsOf(at(i));
    return all;
  }

 private:
  size_t count_;
  char* memory_;
};

void eachPageGetsItsOwnProtectionBack() {
  const int r = PROT_READ, rw = PROT_READ | PROT_WRITE, rx = PROT_READ | PROT_EXEC;
  const struct {
    std::vector<int> protections;
    const char* flags;
  } cases[] = {{{r, r}, "r-- r--"}, {{rw, rw}, "rw- rw-"}, {{r, rw}, "r-- rw-"}, {{rw, r}, "rw- r--"}, {{rx, r}, "r-x r--"}};
  for (const auto& each : cases) {
    Pages pages(each.protections);
    void** across = reinterpret_cast<void**>(pages.at(1) - sizeof(void*));  // two pointers, one on each page
    const std::string wrong = writeProtected(across, 2 * sizeof(void*), [&] { across[0] = across[1] = &pages; });
    check(wrong.empty(), std::string(each.flags) + ": " + wrong);
    check(across[0] == &pages && across[1] == &pages, std::string(each.flags) + ": both are written");
    check(pages.flags() == each.flags, std::string(each.flags) + " became " + pages.flags());
  }
}

void oneClosedPageAloneIsOpened() {
  Pages pages({PROT_READ, PROT_READ, PROT_READ});
  std::string during;
  check(writeProtected(pages.at(1) + 8, 8, [&] { during = pages.flags(); }).empty(), "a write inside one page");
  check(during == "r-- rw- r--", "only the page itself is opened: " + during);
  check(pages.flags() == "r-- r-- r--", "it is closed again");
}

void aFailureLeavesEverythingAsItWas() {
  bool written = false;
  {
    Pages pages({PROT_READ, PROT_READ});
    munmap(pages.at(1), kPage);
    const std::string wrong = writeProtected(pages.at(1) - 8, 16, [&] { written = true; });
    check(wrong == "the memory is not mapped" && !written, "a hole: " + wrong);
    check(flagsOf(pages.at(0)) == "r--", "the page before the hole is as it was");
  }
  // A shared mapping of a file that is open for reading only cannot be made writable.
  char path[] = "/tmp/page_protection_XXXXXX";
  const int made = mkstemp(path);
  check(made >= 0 && ftruncate(made, static_cast<off_t>(kPage)) == 0, "a file");
  close(made);
  const int file = open(path, O_RDONLY);
  Pages pages({PROT_READ, PROT_READ});
  check(mmap(pages.at(1), kPage, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) == pages.at(1), "the file is mapped");
  const std::string wrong = writeProtected(pages.at(1) - 8, 16, [&] { written = true; });
  check(wrong.find("cannot be made writable") != std::string::npos && !written, "a file that may not be written: " + wrong);
  check(pages.flags() == "r-- r--", "the page that was opened first is closed again: " + pages.flags());
  close(file);
  unlink(path);
}

}  // namespace

int main() {
  eachPageGetsItsOwnProtectionBack();
  oneClosedPageAloneIsOpened();
  aFailureLeavesEverythingAsItWas();
  std::printf("%d page protection checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
