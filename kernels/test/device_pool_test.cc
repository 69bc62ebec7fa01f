// The device pool over a GPU that is host memory: plans are copied once per step, pages travel through staging, payloads
// are those of the CPU pool, and a failure leaves nothing behind.
#include <cstdio>

#include "attention.h"
#include "checks.h"
#include "cuda_cases.h"
#include "device_pool.h"
#include "fake_gpu.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

template <class F>
std::string errorOf(F&& work) {
  try {
    work();
  } catch (const cuda::GpuError& error) {
    return error.what();
  }
  return {};
}

DevicePoolShape shapeOf(const Case& c, int64_t pages, int layers) {
  return {pages, static_cast<int32_t>(c.pageTokens), layers, static_cast<int32_t>(c.kvHeads), static_cast<int32_t>(c.headDim),
          static_cast<int32_t>(c.dtype)};
}

/// Inputs of a call over a case, kept alive.
struct Call {
  std::vector<uint16_t> query, key, value, output;
  DeviceAttention attention{};

  Call(const Case& c, const Tables& tables, const std::vector<float>& q, const std::vector<float>& k,
       const std::vector<float>& v, const std::vector<int32_t>& metadata, int layer, void* stream)
      : query(to16(q, c.inputs)), key(to16(k, c.inputs)), value(to16(v, c.inputs)), output(q.size()) {
    const int dim = static_cast<int>(c.headDim);
    attention = {query.data(), key.data(), value.data(), tables.cos.data(), tables.sin.data(), output.data(), metadata.data(),
                 metadata.size(), static_cast<int64_t>(k.size() / (c.kvHeads * c.headDim)), static_cast<int64_t>(kPositions),
                 static_cast<int32_t>(c.inputs), layer, static_cast<int32_t>(c.kvHeads * c.group), static_cast<int32_t>(c.kvHeads),
                 dim, dim, c.interleaved ? 1 : 0, static_cast<int32_t>(c.window), 1.0f / std::sqrt(static_cast<float>(dim)),
                 c.softcap, stream};
  }
};

std::vector<int32_t> prefillMetadata(const std::vector<int32_t>& pages, size_t tokens, int32_t position) {
  std::vector<int32_t> metadata{1, 7, 1, static_cast<int32_t>(tokens), 5, 0, static_cast<int32_t>(tokens), position, 0,
                                static_cast<int32_t>(pages.size()), 0};
  metadata.insert(metadata.end(), pages.begin(), pages.end());
  return metadata;
}

constexpr int kLayers = 3;

void stepsThroughThePool() {
  std::mt19937 random(7);
  for (const int headDim : {80, 256}) {
    for (int i = 0; i < 3; i++) {
      const Case c = cudaCase(random, static_cast<size_t>(headDim), static_cast<size_t>(1 + i), 200);
      cuda::FakeGpu gpu;
      void* stream = gpu.createStream();
      {
        CaseData data(c, static_cast<uint32_t>(random()));
        cuda::DevicePool pool(gpu, 0, shapeOf(c, static_cast<int64_t>(data.pages()), kLayers));
        data.fill(7, [&](const std::vector<int32_t>& pages, size_t tokens, int32_t position, const std::vector<float>& keys,
                         const std::vector<float>& values) {
          const std::vector<int32_t> metadata = prefillMetadata(pages, tokens, position);
          for (int layer = 0; layer < kLayers; layer++) {
            Call call(c, data.tables(), std::vector<float>(keys.size() * c.group), keys, values, metadata, layer, stream);
            pool.attend(call.attention);
            gpu.drain(stream);
          }
        });
        const int64_t plans = pool.plansBuilt();
        const int copies = gpu.copiesToDevice, waits = gpu.hostWaits;
        std::vector<Call> calls;
        calls.reserve(kLayers);
        for (int layer = 0; layer < kLayers; layer++) {
          calls.emplace_back(c, data.tables(), data.query(), data.key(), data.value(), data.metadata(), layer, stream);
          pool.attend(calls.back().attention);
        }
        check(pool.plansBuilt() == plans + 1 && gpu.copiesToDevice == copies + 1, "metadata is copied once per step, not per layer");
        check(gpu.hostWaits == waits, "nothing waits inside a step");
        gpu.drain(stream);
        for (const Call& call : calls) {
          const double error = data.worstError(from16(call.output, c.inputs));
          check(error < cudaTolerance(c), describe(c) + ": relative error " + std::to_string(error));
        }
      }
      gpu.destroyStream(stream);
      check(gpu.held() == 0, "the pool gives everything back");
    }
  }
}

/// The same tokens through the CPU op's pool and through a device pool leave the same payload.
void payloadsAreTheCpuPools() {
  for (const KvDtype dtype : {KvDtype::kFloat16, KvDtype::kBfloat16, KvDtype::kInt8}) {
    for (const size_t tokens : {size_t{1}, size_t{16}, size_t{45}, size_t{700}}) {
      Case c{80, 2, 1, 16, dtype, 0, 0, false, {{{}, 0, 0, tokens}}, KvDtype::kFloat16};
      CaseData data(c, 3);
      data.fill(7, [](const std::vector<int32_t>&, size_t, int32_t, const std::vector<float>&, const std::vector<float>&) {});
      const int32_t* pages = data.metadata().data() + data.metadata()[4] + 6;
      KvPool cpu({data.pages(), 16, 1, 2, 80, dtype});
      StepView step;
      check(readStepMetadata(data.metadata().data(), data.metadata().size(), {data.rows(), data.pages(), 16, kPositions}, &step).empty(), "metadata");
      std::vector<float> output(data.query().size());
      blockAttention({0, 2, 2, 80, 80, false, 0.1f, 1, 0},
                     {data.query().data(), data.key().data(), data.value().data(), data.tables().cos.data(), data.tables().sin.data()},
                     AttentionPlan(step, {2, 2, 80}, 16), cpu, output.data(), [](size_t count, const std::function<void(size_t)>& task) { for (size_t i = 0; i < count; i++) task(i); });
      std::vector<uint8_t> expected(cpu.payloadBytes(tokens)), actual(expected.size()), again(expected.size());
      cpu.readPages(pages, tokens, expected.data());

      cuda::FakeGpu gpu;
      void* stream = gpu.createStream();
      cuda::DevicePool pool(gpu, 0, shapeOf(c, static_cast<int64_t>(data.pages()), 1));
      Call call(c, data.tables(), data.query(), data.key(), data.value(), data.metadata(), 0, stream);
      pool.attend(call.attention);
      pool.readPages(pages, static_cast<int64_t>(tokens), actual.data());  // follows the step by itself
      check(actual == expected, "a device pool's payload is the CPU pool's, " + std::to_string(tokens) + " tokens");
      std::vector<int32_t> turned(pages, pages + (tokens + 15) / 16);
      std::reverse(turned.begin(), turned.end());
      pool.writePages(turned.data(), static_cast<int64_t>(tokens), actual.data());
      pool.readPages(turned.data(), static_cast<int64_t>(tokens), again.data());
      check(again == expected, "payload round trip, " + std::to_string(tokens) + " tokens");
    }
  }
}

void whatIsWrongIsSaid() {
  const Case c{80, 1, 1, 16, KvDtype::kFloat16, 0, 0, false, {{{}, 0, 0, 3}}, KvDtype::kFloat16};
  cuda::FakeGpu gpu;
  void* stream = gpu.createStream();
  Case odd = c;
  odd.headDim = 72;
  check(errorOf([&] { cuda::DevicePool(gpu, 0, shapeOf(odd, 4, 1)); }).find("head_dim 72") != std::string::npos, "unknown head dim");
  Case wide = c;
  wide.dtype = KvDtype::kFloat32;
  check(errorOf([&] { cuda::DevicePool(gpu, 0, shapeOf(wide, 4, 1)); }).find("float16, bfloat16 or int8") != std::string::npos, "float32 pool");
  for (const size_t room : {size_t{1000}, size_t{200000}}) {  // too little for pages; for pages but not for staging
    gpu.freeBytes = room;
    const size_t before = gpu.held();
    check(!errorOf([&] { cuda::DevicePool(gpu, 0, shapeOf(c, 4, 1)); }).empty(), "no memory");
    check(gpu.held() == before, "a pool that could not be made leaves nothing behind");
  }
  gpu.freeBytes = SIZE_MAX;
  cuda::DevicePool pool(gpu, 0, shapeOf(c, 4, 1));
  CaseData data(c, 1);
  std::vector<int32_t> metadata = prefillMetadata({9}, 3, 0);
  const int launches = gpu.launches;
  const auto attend = [&](auto&& change) {
    Call call(c, data.tables(), data.query(), data.key(), data.value(), metadata, 0, stream);
    change(call.attention);
    const std::string wrong = errorOf([&] { pool.attend(call.attention); });
    gpu.drain(stream);
    return wrong;
  };
  check(attend([](DeviceAttention&) {}).find("outside the pool") != std::string::npos, "a page outside the pool");
  metadata[11] = 2;
  check(attend([](DeviceAttention& a) { a.layer = 1; }).find("another model") != std::string::npos, "a layer too many");
  check(attend([](DeviceAttention& a) { a.elementType = 0; }).find("float16 or bfloat16") != std::string::npos, "float32 queries");
  check(attend([](DeviceAttention& a) { a.rows = 2; }).find("rows") != std::string::npos, "rows that disagree");
  check(gpu.launches == launches, "nothing is launched then");
  check(attend([](DeviceAttention&) {}).empty() && gpu.launches == launches + 1, "a good call goes on");
}

/// Two steps may have their metadata at the same address. They must not be mistaken for each other.
void newStepsAreSeen() {
  const Case c{80, 1, 1, 16, KvDtype::kFloat16, 0, 0, false, {{{}, 0, 0, 3}}, KvDtype::kFloat16};
  cuda::FakeGpu gpu;
  void* stream = gpu.createStream();
  cuda::DevicePool pool(gpu, 0, shapeOf(c, 40, 2));
  CaseData data(c, 1);
  std::vector<int32_t> metadata = prefillMetadata({0}, 3, 0);
  std::vector<Call> calls;
  calls.reserve(100);
  for (int step = 0; step < 12; step++) {
    metadata[11] = step;
    for (int layer = 0; layer < 2; layer++) {
      calls.emplace_back(c, data.tables(), data.query(), data.key(), data.value(), metadata, layer, stream);
      pool.attend(calls.back().attention);
    }
    gpu.drain(stream);
  }
  check(pool.plansBuilt() == 12, "one plan per step");
  std::vector<uint8_t> first(3 * 2 * 2 * 80 * 2), other(first.size());
  const int32_t pages[] = {0, 11};
  pool.readPages(pages, 3, first.data());
  pool.readPages(pages + 1, 3, other.data());
  check(first == other, "each step wrote its own page");
  // Even between two layers: the table is changed in place, and the next layer gets another plan.
  for (int layer = 0; layer < 2; layer++) {
    metadata[11] = 30 + layer;
    calls.emplace_back(c, data.tables(), data.query(), data.key(), data.value(), metadata, layer, stream);
    pool.attend(calls.back().attention);
  }
  gpu.drain(stream);
  check(pool.plansBuilt() == 14, "a changed table is never served the old plan");
}

}  // namespace

int main() {
  stepsThroughThePool();
  payloadsAreTheCpuPools();
  whatIsWrongIsSaid();
  newStepsAreSeen();
  std::printf("%d device pool checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
