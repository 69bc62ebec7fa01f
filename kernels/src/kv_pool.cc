// Pool memory, page copies, registry; see kv_pool.h.
#include "kv_pool.h"

#include <sys/mman.h>

#include <cassert>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>

#include "crc32.h"

namespace blockstitch {

void KvPool::Unmap::operator()(uint8_t* memory) const { munmap(memory, bytes); }

namespace {

uint8_t* mapMemory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);
  return static_cast<uint8_t*>(memory);
}

}  // namespace

bool poolBytesFit(const PoolShape& shape) {
  // 2 for keys and values, 8 bytes for the widest element with its scale; half the address space is the kernel's.
  size_t bytes = 2 * 8;
  for (const size_t factor : {shape.pages, shape.pageTokens, shape.layers, shape.kvHeads, shape.headDim}) {
    if (__builtin_mul_overflow(bytes, factor, &bytes)) return false;
  }
  return bytes <= PTRDIFF_MAX;
}

KvPool::KvPool(const PoolShape& shape)
    : shape_(shape),
      matrixBytes_(shape.pageTokens * shape.headDim * elementBytes(shape.dtype)),
      headBytes_(2 * matrixBytes_ + (shape.dtype == KvDtype::kInt8 ? 2 * shape.pageTokens * sizeof(float) : 0)),
      layerPageBytes_(shape.kvHeads * headBytes_),
      memory_(nullptr, Unmap{shape.pages * shape.layers * layerPageBytes_}),
      base_(nullptr) {
  assert(poolBytesFit(shape) && shape.pageTokens % kCellTokens == 0 && shape.headDim % 8 == 0 && shape.headDim <= kMostHeadDim);
  memory_.reset(mapMemory(memory_.get_deleter().bytes));
  base_ = memory_.get();
}

size_t KvPool::payloadBytes(size_t tokens) const {
  const size_t rows = shape_.layers * 2 * shape_.kvHeads * tokens;
  return rows * (shape_.headDim * elementBytes(shape_.dtype) + (shape_.dtype == KvDtype::kInt8 ? sizeof(float) : 0));
}

template <typename Element, bool kRead>
uint32_t KvPool::copyPages(const int32_t* pages, size_t tokens, uint8_t* payload) const {
  const size_t dim = shape_.headDim;
  const size_t rowBytes = dim * sizeof(Element);
  const auto move = [](void* pool, void* outside, size_t bytes) {
    if (kRead) std::memcpy(outside, pool, bytes);
    else std::memcpy(pool, outside, bytes);
  };
  Element* keyRows = reinterpret_cast<Element*>(payload);
  const size_t layerBytes = 2 * shape_.kvHeads * tokens * rowBytes;
  float* scales = reinterpret_cast<float*>(payload + shape_.layers * layerBytes);
  uint32_t sum = 0;
  for (size_t layer = 0; layer < shape_.layers; layer++) {
    uint8_t* ofLayer = payload + layer * layerBytes;
    if (!kRead) sum = crc32(sum, ofLayer, layerBytes);
    for (size_t head = 0; head < shape_.kvHeads; head++) {
      const size_t keyMatrix = (layer * 2 * shape_.kvHeads + head) * tokens;
      const size_t valueMatrix = keyMatrix + shape_.kvHeads * tokens;
      for (size_t first = 0; first < tokens; first += shape_.pageTokens) {
        const size_t page = static_cast<size_t>(pages[first / shape_.pageTokens]);
        const size_t count = tokens - first < shape_.pageTokens ? tokens - first : shape_.pageTokens;
        Element* keyCells = reinterpret_cast<Element*>(keys(layer, page, head));
        Element* outside = keyRows + (keyMatrix + first) * dim;
        for (size_t token = 0; token < count; token++) {
          Element* lane = keyCells + (token / kCellTokens) * dim * kCellTokens + token % kCellTokens;
          Element* row = outside + token * dim;
          for (size_t d = 0; d < dim; d++) {
            if (kRead) row[d] = lane[d * kCellTokens];
            else lane[d * kCellTokens] = row[d];
          }
        }
        move(values(layer, page, head), keyRows + (valueMatrix + first) * dim, count * rowBytes);
        if (shape_.dtype == KvDtype::kInt8) {
          move(keyScales(layer, page, head), scales + keyMatrix + first, count * sizeof(float));
          move(valueScales(layer, page, head), scales + valueMatrix + first, count * sizeof(float));
        }
      }
    }
    if (kRead) sum = crc32(sum, ofLayer, layerBytes);
  }
  const size_t bytes = shape_.layers * layerBytes;
  return crc32(sum, payload + bytes, payloadBytes(tokens) - bytes);
}

uint32_t KvPool::readPages(const int32_t* pages, size_t tokens, uint8_t* payload) const {
  switch (elementBytes(shape_.dtype)) {
    case 4: return copyPages<uint32_t, true>(pages, tokens, payload);
    case 2: return copyPages<uint16_t, true>(pages, tokens, payload);
    default: return copyPages<uint8_t, true>(pages, tokens, payload);
  }
}

uint32_t KvPool::writePages(const int32_t* pages, size_t tokens, const uint8_t* payload) {
  uint8_t* source = const_cast<uint8_t*>(payload);  // only read: the copies run pool-wards
  switch (elementBytes(shape_.dtype)) {
    case 4: return copyPages<uint32_t, false>(pages, tokens, source);
    case 2: return copyPages<uint16_t, false>(pages, tokens, source);
    default: return copyPages<uint8_t, false>(pages, tokens, source);
  }
}

namespace {

struct Registry {
  std::mutex mutex;
  int32_t lastId = 0;
  std::unordered_map<int32_t, std::shared_ptr<KvPool>> pools;
};

Registry& registry() {
  static Registry* instance = new Registry();  // never destroyed: worker threads may outlive static destruction
  return *instance;
}

}  // namespace

int32_t registerPool(std::shared_ptr<KvPool> pool) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.pools.emplace(++all.lastId, std::move(pool));
  return all.lastId;
}

std::shared_ptr<KvPool> findPool(int32_t id) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.pools.find(id);
  return found == all.pools.end() ? nullptr : found->second;
}

bool unregisterPool(int32_t id) {
  Registry& all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.pools.erase(id) > 0;
}

}  // namespace blockstitch
