// GpuRuntime over the CUDA runtime API (linked statically: the library needs the driver only); see gpu_runtime.h.
#include "cuda_gpu_runtime.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <vector>

#include "launch.h"

namespace blockstitch::cuda {

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report it again
  throw GpuError(std::string(what) + ": " + cudaGetErrorString(error));
}

cudaStream_t streamOf(GpuRuntime::Stream stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t eventOf(GpuRuntime::Event event) { return static_cast<cudaEvent_t>(event); }

class CudaRuntime : public GpuRuntime {
 public:
  void use(int device) override { check(cudaSetDevice(device), "selecting the GPU"); }

  int processors(int device) override {
    int count = 0;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "asking the GPU for its processors");
    return count;
  }

  void* allocate(size_t bytes) override {
    void* memory = nullptr;
    check(cudaMalloc(&memory, bytes), "allocating GPU memory");
    return memory;
  }
  void release(void* memory) noexcept override { cudaFree(memory); }

  void* allocateOn(Stream stream, size_t bytes) override {
    void* memory = nullptr;
    check(cudaMallocAsync(&memory, bytes, streamOf(stream)), "allocating GPU memory");
    return memory;
  }
  void releaseOn(Stream stream, void* memory) noexcept override { cudaFreeAsync(memory, streamOf(stream)); }

  void* allocatePinned(size_t bytes) override {
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable), "allocating pinned memory");
    return memory;
  }
  void releasePinned(void* memory) noexcept override {
    if (memory != nullptr) cudaFreeHost(memory);
  }

  Stream createStream() override {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
    return stream;
  }
  void destroyStream(Stream stream) noexcept override {
    if (stream != nullptr) cudaStreamDestroy(streamOf(stream));
  }

  Event createEvent() override {
    cudaEvent_t event = nullptr;
    // Waiting threads sleep. They are libuv's, and the CPU has other work.
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync), "creating an event");
    return event;
  }
  void destroyEvent(Event event) noexcept override {
    if (event != nullptr) cudaEventDestroy(eventOf(event));
  }
  void record(Event event, Stream stream) override { check(cudaEventRecord(eventOf(event), streamOf(stream)), "recording an event"); }
  void follow(Stream stream, Event event) override {
    check(cudaStreamWaitEvent(streamOf(stream), eventOf(event), 0), "ordering streams");
  }
  void wait(Event event) override { check(cudaEventSynchronize(eventOf(event)), "waiting for the GPU"); }

  void copyToDevice(void* to, const void* from, size_t bytes, Stream stream) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, streamOf(stream)), "copying to the GPU");
  }
  void copyToHost(void* to, const void* from, size_t bytes, Stream stream) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, streamOf(stream)), "copying from the GPU");
  }

  void launch(const AttentionParams& p, const LaunchCounts& counts, Stream stream) override {
    check(launchLayer(p, counts, streamOf(stream)), "launching the attention kernels");
  }
};

}  // namespace

const char* const kDeviceProvider = "CUDAExecutionProvider";

GpuRuntime& cudaRuntime() {
  static CudaRuntime* instance = new CudaRuntime();
  return *instance;
}

int countCudaDevices() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) throw GpuError("there is no NVIDIA GPU");
  if (error == cudaErrorInsufficientDriver) {
    throw GpuError("the NVIDIA driver is missing, or too old for CUDA " + std::to_string(CUDART_VERSION / 1000) + "." +
                   std::to_string(CUDART_VERSION % 1000 / 10));
  }
  check(error, "counting GPUs");
  return count;
}

DeviceInfo describeCudaDevice(int device) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, device), "describing the GPU");
  DeviceInfo info{};
  std::snprintf(info.name, sizeof info.name, "%s", properties.name);
  info.capabilityMajor = properties.major;
  info.capabilityMinor = properties.minor;
  info.processors = properties.multiProcessorCount;
  check(cudaSetDevice(device), "selecting the GPU");
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free GPU memory");
  info.freeBytes = free;
  info.totalBytes = total;
  return info;
}

}  // namespace blockstitch::cuda
