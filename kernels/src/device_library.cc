// Opens the device library and keeps its pools; see device_library.h.
#include "device_library.h"

#include <dlfcn.h>

#include <mutex>
#include <unordered_map>

namespace blockstitch {

namespace {

constexpr int32_t kFirstId = 1 << 20;  // above whatever the CPU's registry counts to

struct Library {
  std::mutex mutex;
  const DeviceApi* api = nullptr;
  int32_t lastId = kFirstId;
  std::unordered_map<int32_t, std::shared_ptr<DevicePool>> pools;
};

Library& library() {
  static Library* instance = new Library();  // never destroyed: worker threads may outlive static destruction
  return *instance;
}

constexpr const char* kNotOpen = "the device library is not open: call openDeviceLibrary first";

std::string textOf(const char* wrong) { return wrong == nullptr ? std::string() : std::string(wrong); }

DevicePoolShape wireShape(const PoolShape& shape) {
  return {static_cast<int64_t>(shape.pages),   static_cast<int32_t>(shape.pageTokens), static_cast<int32_t>(shape.layers),
          static_cast<int32_t>(shape.kvHeads), static_cast<int32_t>(shape.headDim),    static_cast<int32_t>(shape.dtype)};
}

}  // namespace

std::string openDeviceLibrary(const std::string& path) {
  Library& lib = library();
  const std::lock_guard<std::mutex> lock(lib.mutex);
  if (lib.api != nullptr) return {};
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return std::string("the device library cannot be opened: ") + dlerror();
  const auto table = reinterpret_cast<const DeviceApi* (*)(uint32_t)>(dlsym(handle, kDeviceApiSymbol));
  const DeviceApi* api = table == nullptr ? nullptr : table(kDeviceApiVersion);
  if (api == nullptr) {
    dlclose(handle);
    return path + (table == nullptr ? " is not a device library" : " was built for another version of the addon: build both again");
  }
  int32_t count = 0;
  const std::string wrong = textOf(api->countDevices(&count));
  if (wrong.empty()) lib.api = api;  // else it stays mapped, unused: a driver may have threads in it
  return wrong;
}

const char* deviceProvider() { return library().api->provider; }

std::string listDevices(std::vector<DeviceInfo>* devices) {
  const DeviceApi* api = library().api;
  if (api == nullptr) return kNotOpen;
  int32_t count = 0;
  std::string wrong = textOf(api->countDevices(&count));
  for (int32_t device = 0; wrong.empty() && device < count; device++) {
    devices->emplace_back();
    wrong = textOf(api->describeDevice(device, &devices->back()));
  }
  return wrong;
}

std::shared_ptr<DevicePool> DevicePool::create(int device, const PoolShape& shape, std::string* wrong) {
  const DeviceApi* api = library().api;
  size_t pageBytes = 0;  // asks first whether the library is open
  *wrong = devicePageBytes(shape, &pageBytes);
  if (!wrong->empty()) return nullptr;
  // The owner comes first, so that no failure loses the device's memory.
  std::unique_ptr<DevicePool> owner(new DevicePool(shape, pageBytes));
  const DevicePoolShape wire = wireShape(shape);
  *wrong = textOf(api->createPool(device, &wire, &owner->pool_));
  if (!wrong->empty()) return nullptr;
  return std::shared_ptr<DevicePool>(std::move(owner));
}

DevicePool::~DevicePool() {
  if (pool_ != nullptr) library().api->destroyPool(pool_);
}

size_t DevicePool::payloadBytes(size_t tokens) const {
  const size_t rows = shape_.layers * 2 * shape_.kvHeads * tokens;
  return rows * (shape_.headDim * elementBytes(shape_.dtype) + (shape_.dtype == KvDtype::kInt8 ? sizeof(float) : 0));
}

std::string DevicePool::readPages(const int32_t* pages, size_t tokens, uint8_t* payload) const {
  return textOf(library().api->readPages(pool_, pages, tokens, payload));
}

std::string DevicePool::writePages(const int32_t* pages, size_t tokens, const uint8_t* payload) {
  return textOf(library().api->writePages(pool_, pages, tokens, payload));
}

std::string DevicePool::attend(const DeviceAttention& attention) { return textOf(library().api->attend(pool_, &attention)); }

std::string devicePageBytes(const PoolShape& shape, size_t* bytes) {
  if (library().api == nullptr) return kNotOpen;
  const DevicePoolShape wire = wireShape(shape);
  uint64_t value = 0;
  const std::string wrong = textOf(library().api->pageBytes(&wire, &value));
  *bytes = static_cast<size_t>(value);
  return wrong;
}

int32_t registerDevicePool(std::shared_ptr<DevicePool> pool) {
  Library& lib = library();
  const std::lock_guard<std::mutex> lock(lib.mutex);
  lib.pools.emplace(++lib.lastId, std::move(pool));
  return lib.lastId;
}

std::shared_ptr<DevicePool> findDevicePool(int32_t id) {
  Library& lib = library();
  const std::lock_guard<std::mutex> lock(lib.mutex);
  const auto found = lib.pools.find(id);
  return found == lib.pools.end() ? nullptr : found->second;
}

bool unregisterDevicePool(int32_t id) {
  Library& lib = library();
  std::shared_ptr<DevicePool> last;  // freed after the lock
  const std::lock_guard<std::mutex> lock(lib.mutex);
  const auto found = lib.pools.find(id);
  if (found == lib.pools.end()) return false;
  last = std::move(found->second);
  lib.pools.erase(found);
  return true;
}

}  // namespace blockstitch
