// The patched API table: session constructors clone their options, add the op domain, and go on to the real ones.
#include "ort_attach.h"

#include <dlfcn.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <vector>

#include "block_attention_op.h"
#include "ort_abi.h"

namespace blockstitch {

namespace {

using ort::Api;

/// Entries copied: more than any release has, read only as far as the library's own table reaches (see copyTable).
constexpr size_t kCopiedEntries = ort::kEntriesUsed + 256;

struct Attachment {
  std::mutex mutex;
  const ort::ApiBase* realBase = nullptr;
  Api real = nullptr;
  uint32_t askedVersion = 0;
  std::vector<void*> patched;
  ort::ApiBase base{};
  ort::CustomOpDomain* domain = nullptr;
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
  ort::Status* status = ort::call<ort::Status*>(attachment().real, ort::kCreateSession, env, path,
                                                static_cast<const ort::SessionOptions*>(clone), session);
  ort::call<void>(attachment().real, ort::kReleaseSessionOptions, clone);
  return status;
}

ort::Status* createSessionFromArray(const ort::Env* env, const void* model, size_t bytes, const ort::SessionOptions* options,
                                    ort::Session** session) {
  ort::SessionOptions* clone = nullptr;
  if (ort::Status* status = withDomain(options, &clone)) return status;
  ort::Status* status = ort::call<ort::Status*>(attachment().real, ort::kCreateSessionFromArray, env, model, bytes,
                                                static_cast<const ort::SessionOptions*>(clone), session);
  ort::call<void>(attachment().real, ort::kReleaseSessionOptions, clone);
  return status;
}

Api patchedApi(uint32_t version) noexcept {
  Attachment& at = attachment();
  const std::lock_guard<std::mutex> lock(at.mutex);
  const Api real = at.realBase->getApi(version);
  if (real == nullptr) return nullptr;
  asked.store(true);
  if (real != at.real) return real;  // a table of another layout: hand it out untouched
  return at.patched.data();
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
    at.patched.assign(real, real + kCopiedEntries);
    at.patched[ort::kCreateSession] = reinterpret_cast<void*>(&createSession);
    at.patched[ort::kCreateSessionFromArray] = reinterpret_cast<void*>(&createSessionFromArray);
    if (ort::call<ort::Status*>(real, ort::kCreateCustomOpDomain, kOpDomain, &at.domain) != nullptr ||
        ort::call<ort::Status*>(real, ort::kCustomOpDomainAdd, at.domain, blockAttentionOp()) != nullptr) {
      return "ONNX Runtime refused the BlockAttention operator";
    }
    at.base = {&patchedApi, at.realBase->getVersionString};
    at.real = real;
  }
  *version = at.realBase->getVersionString();
  return {};
}

bool isOnnxRuntimeAttached() { return asked.load(); }

}  // namespace blockstitch

/// What onnxruntime-node's own reference resolves to once the addon is loaded with RTLD_GLOBAL.
extern "C" __attribute__((visibility("default"))) const blockstitch::ort::ApiBase* OrtGetApiBase() {
  return blockstitch::attachment().realBase == nullptr ? nullptr : &blockstitch::attachment().base;
}
