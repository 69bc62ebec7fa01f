// The KV pool of one GPU: one allocation cut in pages, the attention that runs over it, and copies in and out.
// Knows streams and buffers. TypeScript accounts which page belongs to whom (docs/decisions/002).
//
// A step's metadata goes to the device once: the first layer builds the plan and puts one copy on the stream, later layers
// find the plan by the metadata's content. Nothing waits inside a step.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "device_api.h"
#include "gpu_runtime.h"
#include "page_copier.h"
#include "step_plan.h"

namespace blockstitch::cuda {

// @throws GpuError for a shape that the kernels do not know
PoolLayout layoutOf(const DevicePoolShape& shape);

class DevicePool {
 public:
  // Takes the memory. @throws GpuError when it cannot be had
  DevicePool(GpuRuntime& runtime, int device, const DevicePoolShape& shape);
  ~DevicePool();
  DevicePool(const DevicePool&) = delete;
  DevicePool& operator=(const DevicePool&) = delete;

  // @throws GpuError naming what is wrong with the call or its metadata; nothing was launched then
  void attend(const DeviceAttention& attention);
  void readPages(const int32_t* pages, int64_t tokens, uint8_t* payload);
  void writePages(const int32_t* pages, int64_t tokens, const uint8_t* payload);

  // Plans built since the pool was made.
  int64_t plansBuilt() const { return plansBuilt_; }

 private:
  // A plan on the device, and what it was built from.
  struct PlanSlot {
    std::vector<int32_t> metadata;
    int heads = 0;
    int window = 0;
    int64_t positions = 0;
    int64_t rows = 0;
    StepPlan plan;
    int32_t* pinned = nullptr;
    int32_t* device = nullptr;
    size_t capacity = 0;  // int32 values
    GpuRuntime::Event used = nullptr;
  };

  void check(const DeviceAttention& attention) const;
  PlanSlot& slotFor(const DeviceAttention& attention);
  void fill(PlanSlot& slot, const DeviceAttention& attention);
  void reserve(PlanSlot& slot, size_t values, GpuRuntime::Stream stream);
  float* partialsFor(const StepPlan& plan, GpuRuntime::Stream stream);

  GpuRuntime& runtime_;
  const int device_;
  const int64_t pages_;
  const PoolLayout layout_;
  unsigned char* memory_ = nullptr;
  std::unique_ptr<PageCopier> reader_, writer_;

  std::mutex mutex_;
  std::array<PlanSlot, 4> slots_;  // steps in flight, or windows of one step
  size_t nextSlot_ = 0;
  float* partials_ = nullptr;
  size_t partialBytes_ = 0;
  GpuRuntime::Stream lastStream_ = nullptr;
  GpuRuntime::Event lastUse_ = nullptr;
  int64_t plansBuilt_ = 0;
};

}  // namespace blockstitch::cuda
