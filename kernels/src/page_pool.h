// A pool by its id, in host memory or on a device: sizes, and copies of pages.
#pragma once

#include <memory>
#include <string>

#include "crc32.h"
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
  /// Blocks the calling thread. @param sum gets the CRC-32 of the payload @returns an empty string, or what is wrong
  std::string read(const int32_t* pages, size_t tokens, uint8_t* payload, uint32_t* sum) const {
    if (cpu_ != nullptr) {
      *sum = cpu_->readPages(pages, tokens, payload);
      return {};
    }
    const std::string wrong = device_->readPages(pages, tokens, payload);
    *sum = crc32(0, payload, payloadBytes(tokens));
    return wrong;
  }
  std::string write(const int32_t* pages, size_t tokens, const uint8_t* payload, uint32_t* sum) const {
    if (cpu_ != nullptr) {
      *sum = cpu_->writePages(pages, tokens, payload);
      return {};
    }
    *sum = crc32(0, payload, payloadBytes(tokens));
    return device_->writePages(pages, tokens, payload);
  }

 private:
  std::shared_ptr<KvPool> cpu_;
  std::shared_ptr<DevicePool> device_;
};

}  // namespace blockstitch
