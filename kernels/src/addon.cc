// The Node-API addon: registers what src/kernels/native-addon.ts lists. Checks every argument; others do the work.
// No exception leaves a callback (js_call.h).
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attention.h"
#include "block_attention_op.h"
#include "device_library.h"
#include "js_call.h"
#include "kernel_level.h"
#include "kv_pool.h"
#include "ort_attach.h"
#include "page_copy.h"
#include "page_pool.h"
#include "value_deviation.h"

namespace blockstitch {

namespace {

using js::Call;
using js::Error;

constexpr int kInterfaceVersion = 1;
constexpr const char* kDtypes[] = {"float32", "float16", "bfloat16", "int8"};
constexpr int64_t kInt32Max = INT32_MAX;

template <size_t kCount>
int indexOf(const char* const (&names)[kCount], const std::string& name) {
  for (size_t i = 0; i < kCount; i++) {
    if (name == names[i]) return static_cast<int>(i);
  }
  return -1;
}

/// Throws what a function of ours said; an empty string says that all is well.
void throwWrong(const std::string& wrong) {
  if (!wrong.empty()) throw Error(Error::kError, wrong);
}

int32_t poolIdOf(const Call& call) { return static_cast<int32_t>(call.whole(0, "pool id", INT32_MIN, kInt32Max)); }

Error noSuchPool(int32_t id, const char* where) {
  return {Error::kRangeError, "there is no KV pool " + std::to_string(id) + where};
}

PagePool poolOf(const Call& call) {
  const int32_t id = poolIdOf(call);
  PagePool pool(id);
  if (!pool.exists()) throw noSuchPool(id, "");
  return pool;
}

napi_value attach(const Call& call) {
  std::string version;
  throwWrong(attachOnnxRuntime(call.text(0, "libraryPath"), &version));
  return js::text(call.env(), version);
}

napi_value isAttached(const Call& call) { return js::boolean(call.env(), isOnnxRuntimeAttached()); }

napi_value level(const Call& call) { return js::text(call.env(), kKernelLevels[static_cast<int>(kernelLevel())]); }

napi_value setLevel(const Call& call) {
  const std::string name = call.text(0, "level");
  const int level = indexOf(kKernelLevels, name);
  if (level < 0) throw Error(Error::kRangeError, "there is no kernel level '" + name + "': use portable, avx2, avx512 or avx512-bf16");
  if (!setKernelLevel(static_cast<KernelLevel>(level))) {
    throw Error(Error::kRangeError, "this processor lacks kernel level " + name);
  }
  return js::undefined(call.env());
}

/// Opens the device library and, with the first success, offers its operators to the sessions made from then on.
napi_value openDevices(const Call& call) {
  throwWrong(openDeviceLibrary(call.text(0, "path")));
  throwWrong(addDeviceOperators());
  return js::undefined(call.env());
}

napi_value devices(const Call& call) {
  const napi_env env = call.env();
  std::vector<DeviceInfo> found;
  throwWrong(listDevices(&found));
  napi_value list = nullptr;
  js::must(napi_create_array_with_length(env, found.size(), &list));
  for (size_t i = 0; i < found.size(); i++) {
    const std::string capability = std::to_string(found[i].capabilityMajor) + "." + std::to_string(found[i].capabilityMinor);
    const napi_value device = js::object(env);
    js::setField(env, device, "name", js::text(env, found[i].name));
    js::setField(env, device, "capability", js::text(env, capability));
    js::setField(env, device, "totalBytes", js::number(env, static_cast<double>(found[i].totalBytes)));
    js::setField(env, device, "freeBytes", js::number(env, static_cast<double>(found[i].freeBytes)));
    js::must(napi_set_element(env, list, static_cast<uint32_t>(i), device));
  }
  return list;
}

PoolShape shapeOf(napi_env env, napi_value object) {
  const std::string name = js::textField(env, object, "dtype");
  const int dtype = indexOf(kDtypes, name);
  if (dtype < 0) {
    throw Error(Error::kRangeError, "there is no KV dtype '" + name + "': use float32, float16, bfloat16 or int8");
  }
  const auto size = [&](const char* field) { return static_cast<size_t>(js::wholeField(env, object, field, 1, kInt32Max)); };
  PoolShape shape{size("pages"), size("pageTokens"), size("layers"), size("kvHeads"), size("headDim"), static_cast<KvDtype>(dtype)};
  if (shape.pageTokens % kCellTokens != 0) throw Error(Error::kRangeError, "pageTokens must be a multiple of 16");
  if (shape.headDim % 8 != 0 || shape.headDim > kMostHeadDim) {
    throw Error(Error::kRangeError, "headDim must be a multiple of 8 up to 256");
  }
  if (!poolBytesFit(shape)) throw Error(Error::kRangeError, "a KV pool of that shape is larger than the address space");
  return shape;
}

napi_value pageBytesOfDevice(const Call& call) {
  size_t bytes = 0;
  throwWrong(devicePageBytes(shapeOf(call.env(), call.object(0, "shape")), &bytes));
  return js::number(call.env(), static_cast<double>(bytes));
}

napi_value createPool(const Call& call) {
  const napi_env env = call.env();
  const napi_value object = call.object(0, "shape");
  const PoolShape shape = shapeOf(env, object);
  if (js::hasField(env, object, "device")) {
    const int device = static_cast<int>(js::wholeField(env, object, "device", 0, kInt32Max));
    std::string wrong;
    auto pool = DevicePool::create(device, shape, &wrong);
    throwWrong(wrong);
    return js::number(env, registerDevicePool(std::move(pool)));
  }
  std::shared_ptr<KvPool> pool;
  try {
    pool = std::make_shared<KvPool>(shape);
  } catch (const std::bad_alloc&) {
    throw Error(Error::kError, "there is not enough memory for the KV pool: make it smaller");
  }
  return js::number(env, registerPool(std::move(pool)));
}

napi_value destroyPool(const Call& call) {
  const int32_t id = poolIdOf(call);
  if (!unregisterPool(id)) unregisterDevicePool(id);
  return js::undefined(call.env());
}

napi_value pageBytes(const Call& call) { return js::number(call.env(), static_cast<double>(poolOf(call).pageBytes())); }

napi_value payloadBytes(const Call& call) {
  const PagePool pool = poolOf(call);
  const auto tokens = static_cast<size_t>(call.whole(1, "tokens", 0, kInt32Max));
  return js::number(call.env(), static_cast<double>(pool.payloadBytes(tokens)));
}

napi_value copyPages(const Call& call, CopyDirection direction) {
  PagePool pool = poolOf(call);
  const auto list = call.int32s(1, "pages");
  const auto tokens = static_cast<size_t>(call.whole(2, "tokens", 1, kInt32Max));
  const auto payload = call.bytes(3, "payload");
  const PoolShape& shape = pool.shape();
  std::vector<int32_t> pages(list.data, list.data + list.length);
  if (pages.size() * shape.pageTokens < tokens) {
    throw Error(Error::kRangeError, std::to_string(pages.size()) + " pages are too few for " + std::to_string(tokens) + " tokens");
  }
  const size_t bytes = pool.payloadBytes(tokens);
  if (payload.length != bytes) {
    throw Error(Error::kRangeError, "the payload of " + std::to_string(tokens) + " tokens has " + std::to_string(bytes) +
                                        " bytes, not " + std::to_string(payload.length));
  }
  for (const int32_t page : pages) {
    if (page < 0 || static_cast<size_t>(page) >= shape.pages) {
      throw Error(Error::kRangeError, "page " + std::to_string(page) + " lies outside the pool of " + std::to_string(shape.pages) + " pages");
    }
  }
  return startPageCopy(call.env(), direction, std::move(pool), std::move(pages), tokens, payload);
}

napi_value readPages(const Call& call) { return copyPages(call, CopyDirection::kOutOfPages); }
napi_value writePages(const Call& call) { return copyPages(call, CopyDirection::kIntoPages); }

/// places: int32 [n, 3] of page, slot, count, one after another over the rows of `values`.
napi_value compareValues(const Call& call) {
  const napi_env env = call.env();
  const int32_t id = poolIdOf(call);
  const std::shared_ptr<KvPool> pool = findPool(id);
  if (pool == nullptr) throw noSuchPool(id, " in host memory");
  const PoolShape& shape = pool->shape();
  const auto layer = static_cast<size_t>(call.whole(1, "layer", 0, static_cast<int64_t>(shape.layers) - 1));
  const auto list = call.int32s(2, "places");
  const auto values = call.floats(3, "values");
  if (list.length % 3 != 0) throw Error(Error::kRangeError, "places must hold page, slot and count of each place");
  std::vector<ComparedRows> places(list.length / 3);
  size_t rows = 0;
  for (size_t i = 0; i < places.size(); i++) {
    places[i] = {list.data[3 * i], list.data[3 * i + 1], list.data[3 * i + 2]};
    const auto& [page, slot, tokens] = places[i];
    if (slot < 0 || tokens < 0 || (page >= 0 && (static_cast<size_t>(page) >= shape.pages ||
                                                 static_cast<size_t>(slot) + static_cast<size_t>(tokens) > shape.pageTokens))) {
      throw Error(Error::kRangeError, "place " + std::to_string(i) + " lies outside the pool: page " + std::to_string(page) +
                                          ", slot " + std::to_string(slot) + ", count " + std::to_string(tokens));
    }
    rows += static_cast<size_t>(tokens);
  }
  if (values.length / (shape.kvHeads * shape.headDim) < rows) {
    throw Error(Error::kRangeError, "there are too few values for " + std::to_string(rows) + " rows");
  }
  napi_value buffer = nullptr;
  napi_value sums = nullptr;
  void* data = nullptr;
  js::must(napi_create_arraybuffer(env, places.size() * sizeof(double), &data, &buffer));
  js::must(napi_create_typedarray(env, napi_float64_array, places.size(), buffer, 0, &sums));
  valueDeviations(*pool, layer, places.data(), places.size(), values.data, static_cast<double*>(data));
  return sums;
}

napi_value statistics(const Call& call) {
  const napi_env env = call.env();
  const OperatorStatistics now = operatorStatistics();
  const napi_value result = js::object(env);
  js::setField(env, result, "calls", js::number(env, static_cast<double>(now.calls)));
  js::setField(env, result, "nanoseconds", js::number(env, static_cast<double>(now.nanoseconds)));
  js::setField(env, result, "plans", js::number(env, static_cast<double>(now.plans)));
  return result;
}

void registerExports(napi_env env, napi_value exports) {
  js::setField(env, exports, "interfaceVersion", js::number(env, kInterfaceVersion));
  const struct {
    const char* name;
    napi_callback callback;
  } functions[] = {
      {"attachOnnxRuntime", js::entry<attach>},
      {"isOnnxRuntimeAttached", js::entry<isAttached>},
      {"kernelLevel", js::entry<level>},
      {"setKernelLevel", js::entry<setLevel>},
      {"openDeviceLibrary", js::entry<openDevices>},
      {"devices", js::entry<devices>},
      {"devicePageBytes", js::entry<pageBytesOfDevice>},
      {"createPool", js::entry<createPool>},
      {"destroyPool", js::entry<destroyPool>},
      {"pageBytes", js::entry<pageBytes>},
      {"payloadBytes", js::entry<payloadBytes>},
      {"readPages", js::entry<readPages>},
      {"writePages", js::entry<writePages>},
      {"valueDeviations", js::entry<compareValues>},
      {"operatorStatistics", js::entry<statistics>},
  };
  for (const auto& each : functions) {
    napi_value function = nullptr;
    js::must(napi_create_function(env, each.name, NAPI_AUTO_LENGTH, each.callback, nullptr, &function));
    js::setField(env, exports, each.name, function);
  }
}

}  // namespace

}  // namespace blockstitch

NAPI_MODULE_INIT() {
  return blockstitch::js::guarded(env, [&] {
    blockstitch::registerExports(env, exports);
    return exports;
  });
}
