// Pool memory, plans on the device, launches; see device_pool.h.
#include "device_pool.h"

#include <algorithm>
#include <cstring>

#include "element.h"
#include "kernel_shapes.h"

namespace blockstitch::cuda {

namespace {

// Room for the plan of a step of about 16k tiles. Larger plans make it grow.
constexpr size_t kFirstPlanValues = 1 << 17;

void require(bool holds, const std::string& what) {
  if (!holds) throw GpuError(what);
}

}  // namespace

PoolLayout layoutOf(const DevicePoolShape& shape) {
  require(withHeadDim(shape.headDim, [](auto) {}), "there is no CUDA kernel for head_dim " + std::to_string(shape.headDim) +
                                                       " (64, 80, 96, 128 and 256 have one)");
  require(shape.pageTokens == 16 || shape.pageTokens == 32, "pages on a GPU have 16 or 32 tokens");
  require(shape.layers > 0 && shape.kvHeads > 0, "a KV pool needs 1 layer and 1 kv head or more");
  KvType type = KvType::kFloat16;
  switch (static_cast<KvDtype>(shape.dtype)) {
    case KvDtype::kFloat16: type = KvType::kFloat16; break;
    case KvDtype::kBfloat16: type = KvType::kBFloat16; break;
    case KvDtype::kInt8: type = KvType::kInt8; break;
    default: throw GpuError("the KV pool of a GPU is float16, bfloat16 or int8");
  }
  return {shape.layers, shape.kvHeads, shape.headDim, shape.pageTokens, type};
}

DevicePool::DevicePool(GpuRuntime& runtime, int device, const DevicePoolShape& shape)
    : runtime_(runtime), device_(device), pages_(shape.pages), layout_(layoutOf(shape)) {
  require(pages_ > 0 && pages_ <= INT32_MAX, "a KV pool has 1 to 2147483647 pages");
  runtime_.use(device_);
  memory_ = static_cast<unsigned char*>(runtime_.allocate(static_cast<size_t>(pages_ * layout_.pageBytes())));
  try {
    reader_ = std::make_unique<PageCopier>(runtime_, layout_, memory_);
    writer_ = std::make_unique<PageCopier>(runtime_, layout_, memory_);
    lastUse_ = runtime_.createEvent();
    for (PlanSlot& slot : slots_) slot.used = runtime_.createEvent();
  } catch (...) {
    reader_.reset();
    writer_.reset();
    for (PlanSlot& slot : slots_) runtime_.destroyEvent(slot.used);
    runtime_.destroyEvent(lastUse_);
    runtime_.release(memory_);
    throw;
  }
}

DevicePool::~DevicePool() {
  try {
    runtime_.use(device_);
    runtime_.wait(lastUse_);
  } catch (const GpuError&) {
    // The device is lost. The code below frees what it can.
  }
  reader_.reset();
  writer_.reset();
  // All work is done. The last step's stream may be gone with its session, so nothing may use it any more.
  for (PlanSlot& slot : slots_) {
    runtime_.releasePinned(slot.pinned);
    if (slot.device != nullptr) runtime_.releaseOn(nullptr, slot.device);
    runtime_.destroyEvent(slot.used);
  }
  if (partials_ != nullptr) runtime_.releaseOn(nullptr, partials_);
  runtime_.destroyEvent(lastUse_);
  runtime_.release(memory_);
}

void DevicePool::check(const DeviceAttention& a) const {
  require(a.layer >= 0 && a.layer < layout_.layers && a.kvHeads == layout_.kvHeads && a.headDim == layout_.headDim,
          "the KV pool was made for another model: its layers, kv heads or head_dim differ");
  require(a.heads > 0 && a.heads % a.kvHeads == 0, "heads must be a multiple of kv heads");
  require(a.rotaryDim >= 0 && a.rotaryDim <= a.headDim && a.rotaryDim % 2 == 0, "rotary_dim must be even and no larger than head_dim");
  const KvDtype type = static_cast<KvDtype>(a.elementType);
  require(type == KvDtype::kFloat16 || type == KvDtype::kBfloat16, "query, key and value must be float16 or bfloat16");
}

void DevicePool::attend(const DeviceAttention& a) {
  check(a);
  runtime_.use(device_);
  const std::lock_guard<std::mutex> lock(mutex_);
  // Buffers are reused in stream order. A step on another stream waits for the last one.
  if (a.stream != lastStream_) runtime_.follow(a.stream, lastUse_);
  lastStream_ = a.stream;
  PlanSlot& slot = slotFor(a);
  if (slot.plan.places.empty()) return;
  AttentionParams p{};
  p.query = a.query;
  p.key = a.key;
  p.value = a.value;
  p.output = a.output;
  p.cosines = a.cos;
  p.sines = a.sin;
  p.pool = memory_;
  p.layout = layout_;
  p.queryType = static_cast<KvDtype>(a.elementType) == KvDtype::kFloat16 ? QueryType::kFloat16 : QueryType::kBFloat16;
  p.layer = a.layer;
  p.heads = a.heads;
  p.rotaryDim = a.rotaryDim;
  p.interleaved = a.interleaved != 0;
  p.scale = a.scale;
  p.softcap = a.softcap;
  p.window = a.window;
  pointAtPlan(p, slot.plan, slot.device);
  p.partials = partialsFor(slot.plan, a.stream);
  runtime_.launch(p, countsOf(slot.plan), a.stream);
  runtime_.record(slot.used, a.stream);
  runtime_.record(lastUse_, a.stream);
}

DevicePool::PlanSlot& DevicePool::slotFor(const DeviceAttention& a) {
  for (PlanSlot& slot : slots_) {
    if (slot.metadata.size() != a.metadataSize || slot.metadata.empty()) continue;
    if (slot.heads != a.heads || slot.window != a.window || slot.positions != a.positions || slot.rows != a.rows) continue;
    // A plan depends on its metadata alone, so an equal step may take an earlier step's plan. Addresses prove nothing.
    if (std::memcmp(slot.metadata.data(), a.metadata, a.metadataSize * sizeof(int32_t)) == 0) return slot;
  }
  PlanSlot& slot = slots_[nextSlot_];
  nextSlot_ = (nextSlot_ + 1) % slots_.size();
  fill(slot, a);
  return slot;
}

void DevicePool::fill(PlanSlot& slot, const DeviceAttention& a) {
  slot.metadata.clear();  // whatever fails below, the slot is not found again
  StepView step;
  const std::string wrong = readStepMetadata(a.metadata, a.metadataSize,
                                             {static_cast<size_t>(a.rows), static_cast<size_t>(pages_),
                                              static_cast<size_t>(layout_.pageTokens), static_cast<size_t>(a.positions)},
                                             &step);
  require(wrong.empty(), wrong);
  const PlanShape shape{a.heads,  a.kvHeads, layout_.pageTokens, a.window, tileTokensFor(a.headDim), prefillRowsFor(a.headDim),
                        runtime_.processors(device_)};
  buildStepPlan(step, shape, slot.plan);
  plansBuilt_++;
  runtime_.wait(slot.used);  // its last step is slots_.size() plans old, so it is done
  const size_t values = slot.plan.packed.size();
  reserve(slot, values, a.stream);
  if (values > 0) {
    std::memcpy(slot.pinned, slot.plan.packed.data(), values * sizeof(int32_t));
    runtime_.copyToDevice(slot.device, slot.pinned, values * sizeof(int32_t), a.stream);
  }
  slot.metadata.assign(a.metadata, a.metadata + a.metadataSize);
  slot.heads = a.heads;
  slot.window = a.window;
  slot.positions = a.positions;
  slot.rows = a.rows;
}

void DevicePool::reserve(PlanSlot& slot, size_t values, GpuRuntime::Stream stream) {
  if (values <= slot.capacity && slot.pinned != nullptr) return;
  const size_t capacity = std::max({kFirstPlanValues, values, slot.capacity * 2});
  runtime_.releasePinned(slot.pinned);
  slot.pinned = nullptr;
  if (slot.device != nullptr) runtime_.releaseOn(stream, slot.device);
  slot.device = nullptr;
  slot.capacity = 0;
  slot.pinned = static_cast<int32_t*>(runtime_.allocatePinned(capacity * sizeof(int32_t)));
  slot.device = static_cast<int32_t*>(runtime_.allocateOn(stream, capacity * sizeof(int32_t)));
  slot.capacity = capacity;
}

float* DevicePool::partialsFor(const StepPlan& plan, GpuRuntime::Stream stream) {
  const size_t bytes = static_cast<size_t>(plan.partialRows) * static_cast<size_t>(layout_.kvHeads) *
                       static_cast<size_t>(layout_.headDim + 2) * sizeof(float);
  if (bytes > partialBytes_) {
    if (partials_ != nullptr) runtime_.releaseOn(stream, partials_);
    partials_ = nullptr;
    partialBytes_ = 0;
    const size_t rounded = std::max<size_t>(bytes + bytes / 2, 1 << 20);
    partials_ = static_cast<float*>(runtime_.allocateOn(stream, rounded));
    partialBytes_ = rounded;
  }
  return partials_;
}

void DevicePool::readPages(const int32_t* pages, int64_t tokens, uint8_t* payload) {
  runtime_.use(device_);
  reader_->read(pages, tokens, payload, lastUse_);
}

void DevicePool::writePages(const int32_t* pages, int64_t tokens, const uint8_t* payload) {
  runtime_.use(device_);
  writer_->write(pages, tokens, payload, lastUse_);
}

}  // namespace blockstitch::cuda
