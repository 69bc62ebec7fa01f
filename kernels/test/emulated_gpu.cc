// libblockstitch_emulated.so: the device library with host memory for a GPU and the kernels' device functions on the CPU.
// Takes the tensors of ONNX Runtime's CPU provider, so that operator, pool and engine of a device can be tested anywhere.
// Everything happens at once; device_pool_test checks order and staging.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cuda_gpu_runtime.h"
#include "host_run.h"

namespace blockstitch::cuda {

namespace {

class EmulatedGpu : public GpuRuntime {
 public:
  void use(int device) override {
    if (device != 0) throw GpuError("there is one emulated GPU");
  }
  int processors(int) override { return 4; }
  void* allocate(size_t bytes) override { return take(bytes); }
  void release(void* memory) noexcept override { std::free(memory); }
  void* allocateOn(Stream, size_t bytes) override { return take(bytes); }
  void releaseOn(Stream, void* memory) noexcept override { std::free(memory); }
  void* allocatePinned(size_t bytes) override { return take(bytes); }
  void releasePinned(void* memory) noexcept override { std::free(memory); }
  Stream createStream() override { return nullptr; }
  void destroyStream(Stream) noexcept override {}
  Event createEvent() override { return nullptr; }
  void destroyEvent(Event) noexcept override {}
  void record(Event, Stream) override {}
  void follow(Stream, Event) override {}
  void wait(Event) override {}
  void copyToDevice(void* to, const void* from, size_t bytes, Stream) override { std::memcpy(to, from, bytes); }
  void copyToHost(void* to, const void* from, size_t bytes, Stream) override { std::memcpy(to, from, bytes); }
  void launch(const AttentionParams& p, const LaunchCounts& counts, Stream) override {
    runLayerOnHost(p, counts, [](size_t count, const std::function<void(size_t)>& task) {
      for (size_t i = 0; i < count; i++) task(i);
    });
  }

 private:
  static void* take(size_t bytes) {
    void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (memory == nullptr) throw GpuError("out of memory");
    return memory;
  }
};

}  // namespace

const char* const kDeviceProvider = "CPUExecutionProvider";

GpuRuntime& cudaRuntime() {
  static EmulatedGpu* instance = new EmulatedGpu();
  return *instance;
}

int countCudaDevices() { return 1; }

DeviceInfo describeCudaDevice(int) {
  DeviceInfo info{};
  std::snprintf(info.name, sizeof info.name, "emulated GPU");
  info.processors = 4;
  info.totalBytes = uint64_t{2} << 30;
  info.freeBytes = uint64_t{1} << 30;
  return info;
}

}  // namespace blockstitch::cuda
