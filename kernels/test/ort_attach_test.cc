// Patching ONNX Runtime's API table: sessions get our domain, the table keeps its protection, and a refusal is told in
// ONNX Runtime's own words. The checks depend on one another, because a process has one attachment.
#include "ort_attach.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "checks.h"
#include "fake_runtime.h"

using namespace blockstitch;
using namespace blockstitch::cases;

extern "C" const ort::ApiBase* OrtGetApiBase() noexcept;

namespace blockstitch::ort {
struct SessionOptions {
  int domains;
};
struct CustomOpDomain {
  int operators;
};
}  // namespace blockstitch::ort

namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

int clones = 0, domains = 0, sessions = 0, domainsSeen = 0;
bool refusesOperators = false, refusesDomains = false;
ort::Api table = nullptr;

ort::Status* newSession(const ort::SessionOptions* options) {
  sessions++;
  domainsSeen = options->domains;
  return nullptr;
}

/// The table as a library has it: the constructors' two entries lie on two pages, the first of which is read-only.
ort::Api makeTable() {
  char* memory = static_cast<char*>(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  void** entries = reinterpret_cast<void**>(memory + kPage) - ort::kCreateSessionFromArray;
  std::memcpy(entries, FakeRuntime::table().data(), ort::kEntriesUsed * sizeof(void*));
  const auto set = [&](ort::Entry entry, auto function) { entries[entry] = reinterpret_cast<void*>(+function); };
  set(ort::kCreateSession, [](const ort::Env*, const char*, const ort::SessionOptions* options, ort::Session**) { return newSession(options); });
  set(ort::kCreateSessionFromArray,
      [](const ort::Env*, const void*, size_t, const ort::SessionOptions* options, ort::Session**) { return newSession(options); });
  set(ort::kCloneSessionOptions, [](const ort::SessionOptions* options, ort::SessionOptions** clone) -> ort::Status* {
    *clone = new ort::SessionOptions(*options);
    clones++;
    return nullptr;
  });
  set(ort::kReleaseSessionOptions, [](ort::SessionOptions* options) {
    delete options;
    clones--;
  });
  set(ort::kCreateCustomOpDomain, [](const char*, ort::CustomOpDomain** domain) -> ort::Status* {
    *domain = new ort::CustomOpDomain{0};
    domains++;
    return nullptr;
  });
  set(ort::kReleaseCustomOpDomain, [](ort::CustomOpDomain* domain) {
    delete domain;
    domains--;
  });
  set(ort::kCustomOpDomainAdd, [](ort::CustomOpDomain* domain, const ort::CustomOp*) -> ort::Status* {
    if (refusesOperators) return FakeRuntime::failure(ort::kFail, "operators are not welcome");
    domain->operators++;
    return nullptr;
  });
  set(ort::kAddCustomOpDomain, [](ort::SessionOptions* options, ort::CustomOpDomain*) -> ort::Status* {
    if (refusesDomains) return FakeRuntime::failure(ort::kFail, "domains are not welcome");
    options->domains++;
    return nullptr;
  });
  mprotect(memory, kPage, PROT_READ);
  return entries;
}

std::string flagsOf(const void* address) {
  FILE* maps = std::fopen("/proc/self/maps", "r");
  char line[4096];
  std::string found;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long first = 0, last = 0;
    char flags[5] = "";
    if (std::sscanf(line, "%lx-%lx %4s", &first, &last, flags) != 3) continue;
    if (reinterpret_cast<unsigned long>(address) >= first && reinterpret_cast<unsigned long>(address) < last) found = std::string(flags, 3);
  }
  std::fclose(maps);
  return found;
}

ort::Status* createSession(int ownDomains) {
  const ort::SessionOptions options{ownDomains};
  return ort::call<ort::Status*>(table, ort::kCreateSession, static_cast<const ort::Env*>(nullptr), static_cast<const char*>("m"),
                                 &options, static_cast<ort::Session**>(nullptr));
}

ort::Status* createSessionFromArray() {
  const ort::SessionOptions options{0};
  return ort::call<ort::Status*>(table, ort::kCreateSessionFromArray, static_cast<const ort::Env*>(nullptr),
                                 static_cast<const void*>(nullptr), size_t{0}, &options, static_cast<ort::Session**>(nullptr));
}

}  // namespace

int main() {
  table = makeTable();
  const ort::ApiBase base{[](uint32_t version) noexcept { return version == ort::kApiVersion ? table : nullptr; }, []() noexcept { return "1.99.0"; }};
  const ort::ApiBase old{[](uint32_t) noexcept -> ort::Api { return nullptr; }, []() noexcept { return "1.2.0"; }};

  check(OrtGetApiBase() == nullptr && !isOnnxRuntimeAttached(), "before, nobody gets a table");
  check(addDeviceOperators().find("not attached yet") != std::string::npos, "device operators need the attachment");
  check(attachOnnxRuntime(&old) == "ONNX Runtime 1.2.0 is too old: 1.24 or newer is needed", "an old library");
  refusesOperators = true;
  const std::string refused = attachOnnxRuntime(&base);
  check(refused == "ONNX Runtime refused an operator: operators are not welcome", refused);
  check(domains == 0 && FakeRuntime::instance().statuses == 0, "a refusal leaves nothing behind");
  check(createSession(0) == nullptr && domainsSeen == 0, "and the table is as it was");
  std::string version;
  check(attachOnnxRuntime("/nowhere.so", &version).find("cannot be opened") != std::string::npos, "a library that is not there");
  check(attachOnnxRuntime("libm.so.6", &version).find("has no OrtGetApiBase") != std::string::npos, "a library of something else");

  refusesOperators = false;
  const std::string wrong = attachOnnxRuntime(&base);
  check(wrong.empty(), wrong);
  check(flagsOf(table + ort::kCreateSession) == "r--", "the first page is read-only again");
  check(flagsOf(table + ort::kCreateSessionFromArray) == "rw-", "the second page is as writable as it was");
  check(createSession(3) == nullptr && domainsSeen == 4 && clones == 0, "a session from a file gets our domain");
  check(createSessionFromArray() == nullptr && domainsSeen == 1 && clones == 0, "a session from memory gets our domain");
  refusesDomains = true;
  const int before = sessions;
  check(FakeRuntime::textOf(createSession(0)) == "domains are not welcome", "a refused domain is the session's failure");
  check(sessions == before && clones == 0, "the clone is given back and no session is made");
  refusesDomains = false;

  check(attachOnnxRuntime(&base).empty() && createSession(0) == nullptr && domainsSeen == 1, "attaching again adds no second domain");
  check(attachOnnxRuntime("/nowhere.so", &version).empty() && version == "1.99.0", "later calls tell the version");
  check(OrtGetApiBase() != nullptr && !isOnnxRuntimeAttached(), "our base is handed out");
  check(OrtGetApiBase()->getApi(99) == nullptr && !isOnnxRuntimeAttached(), "a version that is not there is no attachment");
  check(OrtGetApiBase()->getApi(ort::kApiVersion) == table && isOnnxRuntimeAttached(), "who asks for the table gets the real one");

  refusesOperators = true;
  check(addDeviceOperators() == "ONNX Runtime refused an operator: operators are not welcome", "a refused device operator");
  refusesOperators = false;
  check(addDeviceOperators().empty() && addDeviceOperators().empty(), "device operators are added once");
  check(FakeRuntime::instance().statuses == 0, "every status is given back");
  std::printf("%d attachment checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
