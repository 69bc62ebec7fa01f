// libblockstitch_cuda.so: the C table of kernels/src/device_api.h over pools and CUDA. No exception leaves it.
#include <string>

#include "cuda_gpu_runtime.h"
#include "device_pool.h"

namespace blockstitch::cuda {

namespace {

thread_local std::string lastError;

template <class F>
const char* guarded(F&& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const std::exception& error) {
    lastError = error.what();
  }
  return lastError.c_str();
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
    [](void* pool) { delete static_cast<DevicePool*>(pool); },
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
