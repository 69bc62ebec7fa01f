// libblockstitch_cuda.so: the C table of kernels/src/device_api.h over pools and CUDA. No exception leaves it.
#include <cstdio>
#include <exception>
#include <new>

#include "cuda_gpu_runtime.h"
#include "device_pool.h"

namespace blockstitch::cuda {

namespace {

// A fixed buffer, so that a failure can be told without taking memory.
thread_local char lastError[512];

const char* failed(const char* reason) noexcept {
  std::snprintf(lastError, sizeof lastError, "%s", reason);
  return lastError;
}

template <class F>
const char* guarded(F&& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const std::bad_alloc&) {
    return failed("there is not enough host memory");
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("the device library failed for an unknown reason");
  }
}

DevicePool& poolOf(void* pool) { return *static_cast<DevicePool*>(pool); }

const DeviceApi kApi{
    kDeviceApiVersion,
    kDeviceProvider,
    [](int32_t* count) { return guarded([&] { *count = countCudaDevices(); }); },
    [](int32_t device, DeviceInfo* info) { return guarded([&] { *info = describeCudaDevice(device); }); },
    [](const DevicePoolShape* shape, uint64_t* bytes) {
      return guarded([&] { *bytes = static_cast<uint64_t>(layoutOf(*shape).pageBytes()); });
    },
    [](int32_t device, const DevicePoolShape* shape, void** pool) {
      return guarded([&] { *pool = new DevicePool(cudaRuntime(), device, *shape); });
    },
    [](void* pool) { guarded([&] { delete static_cast<DevicePool*>(pool); }); },
    [](void* pool, const int32_t* pages, uint64_t tokens, uint8_t* payload) {
      return guarded([&] { poolOf(pool).readPages(pages, static_cast<int64_t>(tokens), payload); });
    },
    [](void* pool, const int32_t* pages, uint64_t tokens, const uint8_t* payload) {
      return guarded([&] { poolOf(pool).writePages(pages, static_cast<int64_t>(tokens), payload); });
    },
    [](void* pool, const DeviceAttention* attention) { return guarded([&] { poolOf(pool).attend(*attention); }); },
};

}  // namespace

}  // namespace blockstitch::cuda

extern "C" __attribute__((visibility("default"))) const blockstitch::DeviceApi* blockstitchDeviceApi(uint32_t version) {
  return version == blockstitch::kDeviceApiVersion ? &blockstitch::cuda::kApi : nullptr;
}
