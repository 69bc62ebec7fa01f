// The device library (libblockstitch_cuda.so): opened only when a device is asked for, and the pools made with it.
// Knows the C table of device_api.h. kv_pool.h has the pools in host memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device_api.h"
#include "kv_pool.h"

namespace blockstitch {

/// Opens the library. After a success a later call changes nothing, whatever its path; after a failure it tries again.
/// @returns an empty string, or what is wrong: file, version, driver
std::string openDeviceLibrary(const std::string& path);

/// Name of the execution provider whose tensors the library takes. Call it only when the library is open.
const char* deviceProvider();

/// @returns an empty string and one entry per device, or what is wrong
std::string listDevices(std::vector<DeviceInfo>* devices);

/// A pool in a device's memory.
class DevicePool {
 public:
  /// @returns a pool that stays alive while somebody holds it, or null with what is wrong in `wrong`
  static std::shared_ptr<DevicePool> create(int device, const PoolShape& shape, std::string* wrong);
  ~DevicePool();
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  const PoolShape& shape() const { return shape_; }
  size_t pageBytes() const { return pageBytes_; }
  size_t payloadBytes(size_t tokens) const;
  /// Copies block the calling thread. @returns an empty string, or what is wrong
  std::string readPages(const int32_t* pages, size_t tokens, uint8_t* payload) const;
  std::string writePages(const int32_t* pages, size_t tokens, const uint8_t* payload);
  /// Puts the layer on the session's stream and returns. @returns an empty string, or what is wrong
  std::string attend(const DeviceAttention& attention);

 private:
  DevicePool(const PoolShape& shape, size_t pageBytes) : shape_(shape), pageBytes_(pageBytes) {}

  PoolShape shape_;
  size_t pageBytes_;
  void* pool_ = nullptr;
};

/// Bytes of one page of such a pool, without making one. @returns an empty string, or what is wrong with the shape
std::string devicePageBytes(const PoolShape& shape, size_t* bytes);

/// Registry of the process's device pools; ids are apart from those of the CPU's pools and valid in every thread.
int32_t registerDevicePool(std::shared_ptr<DevicePool> pool);
std::shared_ptr<DevicePool> findDevicePool(int32_t id);
bool unregisterDevicePool(int32_t id);

}  // namespace blockstitch
