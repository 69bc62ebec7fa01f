// A pool by its id, in host memory or on a device: sizes, and copies of pages.
#pragma once

#include <memory>
#include <string>

#include "device_library.h"
#include "kv_pool.h"

namespace blockstitch {

class PagePool {
 public:
  explicit PagePool(int32_t id) : cpu_(findPool(id)), device_(cpu_ == nullptr ? findDevicePool(id) : nullptr) {}

  bool exists() const { return cpu_ != nullptr || device_ != nullptr; }
  const PoolShape& shape() const { return cpu_ != nullptr ? cpu_->shape() : device_->shape(); }
  size_t pageBytes() const { return cpu_ != nullptr ? cpu_->pageBytes() : device_->pageBytes(); }
  size_t payloadBytes(size_t tokens) const {
    return cpu_ != nullptr ? cpu_->payloadBytes(tokens) : device_->payloadBytes(tokens);
  }
  /// Blocks the calling thread. @returns an empty string, or what is wrong
  std::string read(const int32_t* pages, size_t tokens, uint8_t* payload) const {
    if (cpu_ == nullptr) return device_->readPages(pages, tokens, payload);
    cpu_->readPages(pages, tokens, payload);
    return {};
  }
  std::string write(const int32_t* pages, size_t tokens, const uint8_t* payload) const {
    if (cpu_ == nullptr) return device_->writePages(pages, tokens, payload);
    cpu_->writePages(pages, tokens, payload);
    return {};
  }

 private:
  std::shared_ptr<KvPool> cpu_;
  std::shared_ptr<DevicePool> device_;
};

}  // namespace blockstitch
