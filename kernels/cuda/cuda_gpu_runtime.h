// The GpuRuntime that is CUDA, and what the library tells of the machine. A test has an emulation in its place
// (kernels/test/emulated_gpu.cc).
#pragma once

#include <string>

#include "device_api.h"
#include "gpu_runtime.h"

namespace blockstitch::cuda {

extern const char* const kDeviceProvider;

// Lives as long as the process.
GpuRuntime& cudaRuntime();

// @throws GpuError where there is no driver or no device
int countCudaDevices();
DeviceInfo describeCudaDevice(int device);

}  // namespace blockstitch::cuda
