// The Node-API addon: registers what src/kernels/native-addon.ts lists. Knows JavaScript values; everything else is called.
// Arguments are checked in TypeScript; here only what would be unsafe to trust.
#include <napi.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention.h"
#include "block_attention_op.h"
#include "device_library.h"
#include "kv_pool.h"
#include "ort_attach.h"
#include "page_pool.h"
#include "value_deviation.h"

namespace blockstitch {

namespace {

constexpr int kInterfaceVersion = 1;
constexpr const char* kLevels[] = {"portable", "avx2", "avx512"};
constexpr const char* kDtypes[] = {"float32", "float16", "bfloat16", "int8"};

template <size_t kCount>
int indexOf(const char* const (&names)[kCount], const std::string& name) {
  for (size_t i = 0; i < kCount; i++) {
    if (name == names[i]) return static_cast<int>(i);
  }
  return -1;
}

std::shared_ptr<KvPool> poolOf(const Napi::CallbackInfo& info) {
  auto pool = findPool(info[0].ToNumber().Int32Value());
  if (pool == nullptr) throw Napi::RangeError::New(info.Env(), "no such KV pool");
  return pool;
}

PagePool anyPoolOf(const Napi::CallbackInfo& info) {
  PagePool pool(info[0].ToNumber().Int32Value());
  if (!pool.exists()) throw Napi::RangeError::New(info.Env(), "no such KV pool");
  return pool;
}

size_t sizeField(const Napi::Object& shape, const char* name) {
  const double value = shape.Get(name).ToNumber().DoubleValue();
  if (!(value >= 1 && value <= 2147483647.0)) throw Napi::RangeError::New(shape.Env(), std::string(name) + " must be 1 or more");
  return static_cast<size_t>(value);
}

Napi::Value attach(const Napi::CallbackInfo& info) {
  std::string version;
  const std::string wrong = attachOnnxRuntime(info[0].ToString(), &version);
  if (!wrong.empty()) throw Napi::Error::New(info.Env(), wrong);
  return Napi::String::New(info.Env(), version);
}

/// Opens the device library and, with the first success, offers its operators to the sessions made from then on.
Napi::Value openDevices(const Napi::CallbackInfo& info) {
  std::string wrong = openDeviceLibrary(info[0].ToString());
  if (wrong.empty()) wrong = addDeviceOperators();
  if (!wrong.empty()) throw Napi::Error::New(info.Env(), wrong);
  return info.Env().Undefined();
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  std::vector<DeviceInfo> found;
  const std::string wrong = listDevices(&found);
  if (!wrong.empty()) throw Napi::Error::New(info.Env(), wrong);
  Napi::Array list = Napi::Array::New(info.Env(), found.size());
  for (size_t i = 0; i < found.size(); i++) {
    Napi::Object device = Napi::Object::New(info.Env());
    device.Set("name", found[i].name);
    device.Set("capability", std::to_string(found[i].capabilityMajor) + "." + std::to_string(found[i].capabilityMinor));
    device.Set("totalBytes", static_cast<double>(found[i].totalBytes));
    device.Set("freeBytes", static_cast<double>(found[i].freeBytes));
    list.Set(static_cast<uint32_t>(i), device);
  }
  return list;
}

Napi::Value setLevel(const Napi::CallbackInfo& info) {
  const int level = indexOf(kLevels, info[0].ToString());
  if (level < 0 || !setKernelLevel(static_cast<KernelLevel>(level))) {
    throw Napi::RangeError::New(info.Env(), "this processor lacks that kernel level");
  }
  return info.Env().Undefined();
}

PoolShape shapeOf(const Napi::Object& object) {
  const int dtype = indexOf(kDtypes, object.Get("dtype").ToString());
  if (dtype < 0) throw Napi::RangeError::New(object.Env(), "unknown KV dtype");
  return {sizeField(object, "pages"),   sizeField(object, "pageTokens"), sizeField(object, "layers"),
          sizeField(object, "kvHeads"), sizeField(object, "headDim"),    static_cast<KvDtype>(dtype)};
}

Napi::Value createPool(const Napi::CallbackInfo& info) {
  const Napi::Object object = info[0].ToObject();
  const PoolShape shape = shapeOf(object);
  if (shape.pageTokens % kCellTokens != 0) throw Napi::RangeError::New(info.Env(), "pageTokens must be a multiple of 16");
  if (shape.headDim % 8 != 0 || shape.headDim > 256) {
    throw Napi::RangeError::New(info.Env(), "headDim must be a multiple of 8 up to 256");
  }
  if (object.Has("device") && object.Get("device").IsNumber()) {
    std::string wrong;
    auto pool = DevicePool::create(object.Get("device").ToNumber().Int32Value(), shape, &wrong);
    if (pool == nullptr) throw Napi::Error::New(info.Env(), wrong);
    return Napi::Number::New(info.Env(), registerDevicePool(std::move(pool)));
  }
  try {
    return Napi::Number::New(info.Env(), registerPool(std::make_shared<KvPool>(shape)));
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(info.Env(), "not enough memory for the KV pool");
  }
}

/// One copy between pages and a payload, on a thread of libuv's pool.
class PageCopy : public Napi::AsyncWorker {
 public:
  PageCopy(Napi::Env env, PagePool pool, std::vector<int32_t> pages, size_t tokens, Napi::Uint8Array payload,
           bool read)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), pool_(std::move(pool)),
        pages_(std::move(pages)), tokens_(tokens), bytes_(payload.Data()), read_(read),
        held_(Napi::Persistent(payload.As<Napi::Object>())) {}

  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override {
    const std::string wrong =
        read_ ? pool_.read(pages_.data(), tokens_, bytes_) : pool_.write(pages_.data(), tokens_, bytes_);
    if (!wrong.empty()) SetError(wrong);
  }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  PagePool pool_;
  std::vector<int32_t> pages_;
  size_t tokens_;
  uint8_t* bytes_;
  bool read_;
  Napi::ObjectReference held_;
};

Napi::Value copyPages(const Napi::CallbackInfo& info, bool read) {
  PagePool pool = anyPoolOf(info);
  const auto list = info[1].As<Napi::Int32Array>();
  const int64_t tokens = info[2].ToNumber().Int64Value();
  const auto payload = info[3].As<Napi::Uint8Array>();
  const PoolShape& shape = pool.shape();
  std::vector<int32_t> pages(list.Data(), list.Data() + list.ElementLength());
  if (tokens < 1 || pages.size() * shape.pageTokens < static_cast<size_t>(tokens)) {
    throw Napi::RangeError::New(info.Env(), "too few pages for that many tokens");
  }
  if (payload.ByteLength() != pool.payloadBytes(static_cast<size_t>(tokens))) {
    throw Napi::RangeError::New(info.Env(), "payload has the wrong length");
  }
  for (const int32_t page : pages) {
    if (page < 0 || static_cast<size_t>(page) >= shape.pages) throw Napi::RangeError::New(info.Env(), "page outside the pool");
  }
  auto* copy = new PageCopy(info.Env(), std::move(pool), std::move(pages), static_cast<size_t>(tokens), payload, read);
  const Napi::Promise promise = copy->promise();
  copy->Queue();  // deletes itself
  return promise;
}

/// places: int32 [n, 3] of page, slot, count, one after another over the rows of `values`.
Napi::Value compareValues(const Napi::CallbackInfo& info) {
  const auto pool = poolOf(info);
  const PoolShape& shape = pool->shape();
  const int64_t layer = info[1].ToNumber().Int64Value();
  const auto list = info[2].As<Napi::Int32Array>();
  const auto values = info[3].As<Napi::Float32Array>();
  if (layer < 0 || static_cast<size_t>(layer) >= shape.layers) throw Napi::RangeError::New(info.Env(), "layer outside the pool");
  const size_t count = list.ElementLength() / 3;
  std::vector<ComparedRows> places(count);
  size_t rows = 0;
  for (size_t i = 0; i < count; i++) {
    places[i] = {list[3 * i], list[3 * i + 1], list[3 * i + 2]};
    const auto& [page, slot, tokens] = places[i];
    if (slot < 0 || tokens < 0 || (page >= 0 && (static_cast<size_t>(page) >= shape.pages ||
                                                 static_cast<size_t>(slot) + static_cast<size_t>(tokens) > shape.pageTokens))) {
      throw Napi::RangeError::New(info.Env(), "compared rows outside the pool");
    }
    rows += static_cast<size_t>(tokens);
  }
  if (values.ElementLength() < rows * shape.kvHeads * shape.headDim) {
    throw Napi::RangeError::New(info.Env(), "too few values for the rows that are compared");
  }
  Napi::Float64Array sums = Napi::Float64Array::New(info.Env(), count);
  valueDeviations(*pool, static_cast<size_t>(layer), places.data(), count, values.Data(), sums.Data());
  return sums;
}

Napi::Value statistics(const Napi::CallbackInfo& info) {
  const OperatorStatistics now = operatorStatistics();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("calls", static_cast<double>(now.calls));
  result.Set("nanoseconds", static_cast<double>(now.nanoseconds));
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  exports.Set("interfaceVersion", kInterfaceVersion);
  add("attachOnnxRuntime", attach);
  add("isOnnxRuntimeAttached", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), isOnnxRuntimeAttached());
  });
  add("kernelLevel", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::String::New(info.Env(), kLevels[static_cast<int>(kernelLevel())]);
  });
  add("setKernelLevel", setLevel);
  add("openDeviceLibrary", openDevices);
  add("devices", devices);
  add("devicePageBytes", [](const Napi::CallbackInfo& info) -> Napi::Value {
    size_t bytes = 0;
    const std::string wrong = devicePageBytes(shapeOf(info[0].ToObject()), &bytes);
    if (!wrong.empty()) throw Napi::Error::New(info.Env(), wrong);
    return Napi::Number::New(info.Env(), static_cast<double>(bytes));
  });
  add("createPool", createPool);
  add("destroyPool", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const int32_t id = info[0].ToNumber().Int32Value();
    if (!unregisterPool(id)) unregisterDevicePool(id);
    return info.Env().Undefined();
  });
  add("pageBytes", [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(anyPoolOf(info).pageBytes()));
  });
  add("payloadBytes", [](const Napi::CallbackInfo& info) -> Napi::Value {
    const PagePool pool = anyPoolOf(info);
    return Napi::Number::New(info.Env(), static_cast<double>(pool.payloadBytes(info[1].ToNumber().Uint32Value())));
  });
  add("readPages", [](const Napi::CallbackInfo& info) -> Napi::Value { return copyPages(info, true); });
  add("writePages", [](const Napi::CallbackInfo& info) -> Napi::Value { return copyPages(info, false); });
  add("valueDeviations", compareValues);
  add("operatorStatistics", statistics);
  return exports;
}

}  // namespace

}  // namespace blockstitch

static Napi::Object initAddon(Napi::Env env, Napi::Object exports) { return blockstitch::init(env, exports); }

NODE_API_MODULE(blockstitch, initAddon)
