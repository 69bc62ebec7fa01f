// What the pool asks of a GPU's runtime: memory, streams, events, copies, launches. One implementation calls CUDA
// (cuda_gpu_runtime.cc). The tests' one has host memory and runs the kernels' device functions on the CPU.
// Every call may throw GpuError. A call waits only where its comment says so.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include "attention_params.h"

namespace blockstitch::cuda {

struct GpuError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class GpuRuntime {
 public:
  using Stream = void*;
  using Event = void*;

  virtual ~GpuRuntime() = default;

  // Makes a device current in this thread; everything below is about the current device.
  virtual void use(int device) = 0;
  virtual int processors(int device) = 0;

  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  // In stream order: neither call waits.
  virtual void* allocateOn(Stream stream, size_t bytes) = 0;
  virtual void releaseOn(Stream stream, void* memory) noexcept = 0;
  virtual void* allocatePinned(size_t bytes) = 0;
  virtual void releasePinned(void* memory) noexcept = 0;

  virtual Stream createStream() = 0;
  virtual void destroyStream(Stream stream) noexcept = 0;
  virtual Event createEvent() = 0;
  virtual void destroyEvent(Event event) noexcept = 0;
  virtual void record(Event event, Stream stream) = 0;
  // Work that is put on `stream` from now on starts after the event. An event that was never recorded is past.
  virtual void follow(Stream stream, Event event) = 0;
  // Blocks this thread until the event is past.
  virtual void wait(Event event) = 0;

  virtual void copyToDevice(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void copyToHost(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void launch(const AttentionParams& p, const LaunchCounts& counts, Stream stream) = 0;
};

}  // namespace blockstitch::cuda
