// The GpuRuntime that is CUDA.
#pragma once

#include <string>

#include "device_api.h"
#include "gpu_runtime.h"

namespace blockstitch::cuda {

// Lives as long as the process.
GpuRuntime& cudaRuntime();

// @throws GpuError where there is no driver or no device
int countCudaDevices();
DeviceInfo describeCudaDevice(int device);

}  // namespace blockstitch::cuda
