// Patches two entries of ONNX Runtime's API table where it stands: the session constructors clone their options, add the
// op domain, and go on to the real ones. Nothing else of the table is read or written, so its length is of no matter.
#include "ort_attach.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "block_attention_op.h"
#include "device_attention_op.h"
#include "ort_abi.h"

namespace blockstitch {

namespace {

using ort::Api;

using CreateSession = ort::Status* (*)(const ort::Env*, const char*, const ort::SessionOptions*, ort::Session**);
using CreateSessionFromArray = ort::Status* (*)(const ort::Env*, const void*, size_t, const ort::SessionOptions*,
                                                ort::Session**);

struct Attachment {
  std::mutex mutex;
  const ort::ApiBase* realBase = nullptr;
  Api real = nullptr;
  CreateSession createSession = nullptr;
  CreateSessionFromArray createSessionFromArray = nullptr;
  ort::ApiBase base{};
  ort::CustomOpDomain* domain = nullptr;
  bool hasDeviceOperators = false;
};

Attachment& attachment() {
  static Attachment* instance = new Attachment();
  return *instance;
}

std::atomic<bool> asked{false};

/// Clones options with our domain added; the caller releases the clone.
ort::Status* withDomain(const ort::SessionOptions* options, ort::SessionOptions** clone) {
  Attachment& at = attachment();
  ort::Status* status = ort::call<ort::Status*>(at.real, ort::kCloneSessionOptions, options, clone);
  if (status != nullptr) return status;
  status = ort::call<ort::Status*>(at.real, ort::kAddCustomOpDomain, *clone, at.domain);
  if (status != nullptr) ort::call<void>(at.real, ort::kReleaseSessionOptions, *clone);
  return status;
}

ort::Status* createSession(const ort::Env* env, const char* path, const ort::SessionOptions* options, ort::Session** session) {
  ort::SessionOptions* clone = nullptr;
  if (ort::Status* status = withDomain(options, &clone)) return status;
  ort::Status* status = attachment().createSession(env, path, clone, session);
  ort::call<void>(attachment().real, ort::kReleaseSessionOptions, clone);
  return status;
}

ort::Status* createSessionFromArray(const ort::Env* env, const void* model, size_t bytes, const ort::SessionOptions* options,
                                    ort::Session** session) {
  ort::SessionOptions* clone = nullptr;
  if (ort::Status* status = withDomain(options, &clone)) return status;
  ort::Status* status = attachment().createSessionFromArray(env, model, bytes, clone, session);
  ort::call<void>(attachment().real, ort::kReleaseSessionOptions, clone);
  return status;
}

/// Hands out the library's own table; being asked is the sign that onnxruntime-node's reference came here.
Api watchedApi(uint32_t version) noexcept {
  const Api table = attachment().realBase->getApi(version);
  if (table != nullptr) asked.store(true);
  return table;
}

/// Replaces both constructors in `table`, which the loader made read-only after relocation.
/// @returns an empty string, or why it cannot be done; the table is as it was then
std::string patchConstructors(Api table) {
  void** entries = const_cast<void**>(table);
  const auto pageBytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = reinterpret_cast<uintptr_t>(entries + ort::kCreateSession) & ~(pageBytes - 1);
  const uintptr_t end = reinterpret_cast<uintptr_t>(entries + ort::kCreateSessionFromArray + 1);
  void* pages = reinterpret_cast<void*>(first);
  if (mprotect(pages, end - first, PROT_READ | PROT_WRITE) != 0) {
    return std::string("ONNX Runtime's API table cannot be made writable: ") + std::strerror(errno);
  }
  attachment().createSession = reinterpret_cast<CreateSession>(entries[ort::kCreateSession]);
  attachment().createSessionFromArray = reinterpret_cast<CreateSessionFromArray>(entries[ort::kCreateSessionFromArray]);
  entries[ort::kCreateSession] = reinterpret_cast<void*>(&createSession);
  entries[ort::kCreateSessionFromArray] = reinterpret_cast<void*>(&createSessionFromArray);
  mprotect(pages, end - first, PROT_READ);
  return {};
}

}  // namespace

std::string attachOnnxRuntime(const std::string& libraryPath, std::string* version) {
  Attachment& at = attachment();
  const std::lock_guard<std::mutex> lock(at.mutex);
  if (at.real == nullptr) {
    void* library = dlopen(libraryPath.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::string("cannot open ONNX Runtime: ") + dlerror();
    auto getBase = reinterpret_cast<const ort::ApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
    if (getBase == nullptr) return "not an ONNX Runtime library: " + libraryPath;
    at.realBase = getBase();
    const Api real = at.realBase->getApi(ort::kApiVersion);
    if (real == nullptr) return std::string("ONNX Runtime ") + at.realBase->getVersionString() + " is too old: 1.17 or newer is needed";
    if (ort::call<ort::Status*>(real, ort::kCreateCustomOpDomain, kOpDomain, &at.domain) != nullptr ||
        ort::call<ort::Status*>(real, ort::kCustomOpDomainAdd, at.domain, blockAttentionOp()) != nullptr) {
      return "ONNX Runtime refused the BlockAttention operator";
    }
    const std::string wrong = patchConstructors(real);
    if (!wrong.empty()) return wrong;
    at.base = {&watchedApi, at.realBase->getVersionString};
    at.real = real;
  }
  *version = at.realBase->getVersionString();
  return {};
}

std::string addDeviceOperators() {
  Attachment& at = attachment();
  const std::lock_guard<std::mutex> lock(at.mutex);
  if (at.real == nullptr) return "ONNX Runtime is not attached yet";
  if (at.hasDeviceOperators) return {};
  for (const ort::CustomOp* op : {deviceAttentionOpHalf(), deviceAttentionOpBfloat16()}) {
    if (ort::call<ort::Status*>(at.real, ort::kCustomOpDomainAdd, at.domain, op) != nullptr) {
      return "ONNX Runtime refused the BlockAttention operator of the device";
    }
  }
  at.hasDeviceOperators = true;
  return {};
}

bool isOnnxRuntimeAttached() { return asked.load(); }

}  // namespace blockstitch

/// What onnxruntime-node's own reference resolves to once the addon is loaded with RTLD_GLOBAL.
extern "C" __attribute__((visibility("default"))) const blockstitch::ort::ApiBase* OrtGetApiBase() {
  return blockstitch::attachment().realBase == nullptr ? nullptr : &blockstitch::attachment().base;
}
