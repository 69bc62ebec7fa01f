// The GpuRuntime over CUDA, and what the library says about the machine. Tests have an emulation instead
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
