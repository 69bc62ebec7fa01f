// Patches two entries of ONNX Runtime's API table in place: the session constructors clone their options, add the op
// domain, and call the real ones. It reads a few other entries and writes none, so the table's length does not matter.
// ONNX Runtime and its binding are C to us: no exception leaves a function that they call.
#include "ort_attach.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>
#include <vector>

#include "block_attention_op.h"
#include "byte_attention_op.h"
#include "device_attention_op.h"
#include "draw_token_op.h"
#include "int8_rows_op.h"
#include "op_status.h"
#include "ort_abi.h"
#include "page_protection.h"

namespace blockstitch {

namespace {

using ort::Api;

using CreateSession = ort::Status* (*)(const ort::Env*, const char*, const ort::SessionOptions*, ort::Session**);
using CreateSessionFromArray = ort::Status* (*)(const ort::Env*, const void*, size_t, const ort::SessionOptions*,
                                                ort::Session**);

struct Attachment {
  std::mutex mutex;
  const ort::ApiBase* realBase = nullptr;
  Api real = nullptr;  ///< null until all is done: the patched constructors then call the real ones unchanged
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
ort::Status* withDomain(const ort::SessionOptions* options, ort::SessionOptions** clone) noexcept {
  Attachment& at = attachment();
  ort::Status* status = ort::call<ort::Status*>(at.real, ort::kCloneSessionOptions, options, clone);
  if (status != nullptr) return status;
  status = ort::call<ort::Status*>(at.real, ort::kAddCustomOpDomain, *clone, at.domain);
  if (status != nullptr) ort::call<void>(at.real, ort::kReleaseSessionOptions, *clone);
  return status;
}

ort::Status* createSession(const ort::Env* env, const char* path, const ort::SessionOptions* options,
                           ort::Session** session) noexcept {
  const Attachment& at = attachment();
  if (at.real == nullptr) return at.createSession(env, path, options, session);
  ort::SessionOptions* clone = nullptr;
  if (ort::Status* status = withDomain(options, &clone)) return status;
  ort::Status* status = at.createSession(env, path, clone, session);
  ort::call<void>(at.real, ort::kReleaseSessionOptions, clone);
  return status;
}

ort::Status* createSessionFromArray(const ort::Env* env, const void* model, size_t bytes, const ort::SessionOptions* options,
                                    ort::Session** session) noexcept {
  const Attachment& at = attachment();
  if (at.real == nullptr) return at.createSessionFromArray(env, model, bytes, options, session);
  ort::SessionOptions* clone = nullptr;
  if (ort::Status* status = withDomain(options, &clone)) return status;
  ort::Status* status = at.createSessionFromArray(env, model, bytes, clone, session);
  ort::call<void>(at.real, ort::kReleaseSessionOptions, clone);
  return status;
}

/// Hands out the library's own table, and notes that onnxruntime-node's reference came here.
Api watchedApi(uint32_t version) noexcept {
  const Api table = attachment().realBase->getApi(version);
  if (table != nullptr) asked.store(true);
  return table;
}

/// Replaces both constructors in `table`. The loader may have made it read-only after relocation, or part of it.
/// @returns an empty string, or what is wrong
std::string patchConstructors(Api table) {
  void** entries = const_cast<void**>(table);
  static_assert(ort::kCreateSessionFromArray == ort::kCreateSession + 1, "both entries are written as one run");
  const std::string wrong = writeProtected(entries + ort::kCreateSession, 2 * sizeof(void*), [entries] {
    attachment().createSession = reinterpret_cast<CreateSession>(entries[ort::kCreateSession]);
    attachment().createSessionFromArray = reinterpret_cast<CreateSessionFromArray>(entries[ort::kCreateSessionFromArray]);
    entries[ort::kCreateSession] = reinterpret_cast<void*>(&createSession);
    entries[ort::kCreateSessionFromArray] = reinterpret_cast<void*>(&createSessionFromArray);
  });
  return wrong.empty() ? "" : "ONNX Runtime's API table cannot be patched: " + wrong;
}

/// Adds an operator to our domain. @returns an empty string, or why ONNX Runtime refused
std::string addOperator(Api api, ort::CustomOpDomain* domain, const ort::CustomOp* op) {
  ort::Status* status = ort::call<ort::Status*>(api, ort::kCustomOpDomainAdd, domain, op);
  return status == nullptr ? "" : "ONNX Runtime refused an operator: " + takeMessage(api, status);
}

/// @param domain receives our domain with the CPU's operators. @returns an empty string, or what is wrong
std::string makeDomain(Api api, ort::CustomOpDomain** domain) {
  ort::Status* status = ort::call<ort::Status*>(api, ort::kCreateCustomOpDomain, kOpDomain, domain);
  if (status != nullptr) return "ONNX Runtime refused the operator's domain: " + takeMessage(api, status);
  std::string wrong;
  std::vector<const ort::CustomOp*> operators = int8RowOps();
  operators.insert(operators.end(), {blockAttentionOp(), byteAttentionOp(), drawTokenOp()});
  for (const ort::CustomOp* op : operators) {
    if (wrong.empty()) wrong = addOperator(api, *domain, op);
  }
  if (!wrong.empty()) ort::call<void>(api, ort::kReleaseCustomOpDomain, *domain);
  return wrong;
}

/// @pre the attachment is locked, and not made yet
std::string attachTo(Attachment& at, const ort::ApiBase* base) {
  const Api real = base->getApi(ort::kApiVersion);
  if (real == nullptr) return std::string("ONNX Runtime ") + base->getVersionString() + " is too old: 1.24 or newer is needed";
  ort::CustomOpDomain* domain = nullptr;
  std::string wrong = makeDomain(real, &domain);
  if (!wrong.empty()) return wrong;
  // A patch whose protection could not be given back stays, and passes calls on; it must not be patched over itself.
  if (at.createSession == nullptr) wrong = patchConstructors(real);
  else wrong = "ONNX Runtime's API table was left half patched: start the process again";
  if (!wrong.empty()) {
    ort::call<void>(real, ort::kReleaseCustomOpDomain, domain);
    return wrong;
  }
  at.domain = domain;
  at.base = {&watchedApi, base->getVersionString};
  at.realBase = base;
  at.real = real;
  return {};
}

}  // namespace

std::string attachOnnxRuntime(const std::string& libraryPath, std::string* version) {
  Attachment& at = attachment();
  const std::lock_guard<std::mutex> lock(at.mutex);
  if (at.real == nullptr) {
    void* library = dlopen(libraryPath.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return std::string("ONNX Runtime cannot be opened: ") + dlerror();
    const auto getBase = reinterpret_cast<const ort::ApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
    if (getBase == nullptr) {
      dlclose(library);
      return libraryPath + " is not an ONNX Runtime library: it has no OrtGetApiBase";
    }
    const std::string wrong = attachTo(at, getBase());  // it stays open whatever comes: its table may be patched
    if (!wrong.empty()) return wrong;
  }
  *version = at.realBase->getVersionString();
  return {};
}

std::string attachOnnxRuntime(const ort::ApiBase* base) {
  Attachment& at = attachment();
  const std::lock_guard<std::mutex> lock(at.mutex);
  return at.real == nullptr ? attachTo(at, base) : "";
}

std::string addDeviceOperators() {
  Attachment& at = attachment();
  const std::lock_guard<std::mutex> lock(at.mutex);
  if (at.real == nullptr) return "ONNX Runtime is not attached yet: call attachOnnxRuntime first";
  if (at.hasDeviceOperators) return {};
  for (const ort::CustomOp* op : {deviceAttentionOpHalf(), deviceAttentionOpBfloat16()}) {
    const std::string wrong = addOperator(at.real, at.domain, op);
    if (!wrong.empty()) return wrong;
  }
  at.hasDeviceOperators = true;
  return {};
}

bool isOnnxRuntimeAttached() { return asked.load(); }

}  // namespace blockstitch

/// What onnxruntime-node's own reference resolves to once the addon is loaded with RTLD_GLOBAL.
extern "C" __attribute__((visibility("default"))) const blockstitch::ort::ApiBase* OrtGetApiBase() noexcept {
  return blockstitch::attachment().realBase == nullptr ? nullptr : &blockstitch::attachment().base;
}
