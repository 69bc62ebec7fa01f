// Times decode and prefill at the attention shape of Llama-3.1-8B (32 query heads, 8 kv heads, head dim 128, pages of 16)
// and prints what was reached against the measured ceilings. Bytes are those of keys and values that a step must read,
// once; operations are those of causal attention, 4 * head_dim per query head and visible token.
#include <cstdio>
#include <random>

#include "cuda_cases.h"
#include "harness.h"
#include "launch.h"

namespace blockstitch::harness {

namespace {

using cuda::KvType;

constexpr int kHeads = 32, kKvHeads = 8, kHeadDim = 128, kPageTokens = 16;
constexpr int kSegmentTokens = 512;  // cached tokens come as blocks of this length, each with a delta of its own

const char* nameOf(KvType type) { return type == KvType::kFloat16 ? "float16" : type == KvType::kBFloat16 ? "bfloat16" : "int8"; }

// One layer's step over a pool with random contents.
class Step {
 public:
  // `cached` tokens in segments and `rows` new ones, in each of `batch` sequences.
  Step(KvType type, int batch, int cached, int rows) : type_(type), batch_(batch), rows_(rows) {
    const int perSequence = (cached + kPageTokens - 1) / kPageTokens + (rows + kPageTokens - 1) / kPageTokens;
    pages_.resize(static_cast<size_t>(batch) * static_cast<size_t>(perSequence));
    for (size_t i = 0; i < pages_.size(); ++i) pages_[i] = static_cast<int32_t>(i);
    std::shuffle(pages_.begin(), pages_.end(), std::mt19937(1));  // pages of a block lie anywhere, as in a server
    StepView step;
    step.rows = static_cast<size_t>(batch) * static_cast<size_t>(rows);
    const int32_t* next = pages_.data();
    for (int s = 0; s < batch; ++s) {
      SequenceView sequence{static_cast<size_t>(s * rows), static_cast<size_t>(rows), cached, 0, nullptr, {}, 0};
      for (int at = 0; at < cached; at += kSegmentTokens) {
        const size_t length = static_cast<size_t>(std::min(kSegmentTokens, cached - at));
        sequence.segments.push_back({next, length, at, static_cast<size_t>(at)});
        next += (length + kPageTokens - 1) / kPageTokens;
      }
      sequence.cachedTokens = static_cast<size_t>(cached);
      sequence.tailPages = next;
      next += (rows + kPageTokens - 1) / kPageTokens;
      step.sequences.push_back(std::move(sequence));
    }
    int device = 0, processors = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "asking for processors");
    buildStepPlan(step, {kHeads, kKvHeads, kPageTokens, 0, cuda::tileTokensFor(kHeadDim), cuda::prefillRowsFor(kHeadDim), processors}, plan_);
    kvBytes_ = static_cast<double>(batch) * (cached + rows) * layout().rowBytes() * kKvHeads * 2;
    if (type == KvType::kInt8) kvBytes_ += static_cast<double>(batch) * (cached + rows) * kKvHeads * 2 * 4;
    const double seen = static_cast<double>(rows) * cached + static_cast<double>(rows) * (rows + 1) / 2;
    operations_ = 4.0 * kHeadDim * kHeads * batch * seen;
  }

  size_t poolBytes() const { return pages_.size() * static_cast<size_t>(layout().pageBytes()); }
  double kvBytes() const { return kvBytes_; }
  double operations() const { return operations_; }

  double medianMilliseconds(cudaStream_t stream) {
    const size_t rows = static_cast<size_t>(batch_) * static_cast<size_t>(rows_);
    const Device<unsigned char> pool(poolBytes());
    check(cudaMemset(pool.data(), 0x2c, pool.size()), "filling the pool");  // 0x2c2c is a small number in both 16-bit types
    const Device<uint16_t> query(std::vector<uint16_t>(rows * kHeads * kHeadDim, 0x3c00));
    const Device<uint16_t> key(std::vector<uint16_t>(rows * kKvHeads * kHeadDim, 0x2c00)), value(key.toHost());
    const Device<uint16_t> output(rows * kHeads * kHeadDim);
    const cases::Tables& tables = cases::tablesFor(kHeadDim / 2);
    const Device<float> cosines(tables.cos), sines(tables.sin);
    const Device<int32_t> packed(plan_.packed);
    const Device<float> partials(static_cast<size_t>(plan_.partialRows) * kKvHeads * (kHeadDim + 2));
    cuda::AttentionParams p{};
    p.query = query.data(), p.key = key.data(), p.value = value.data(), p.output = output.data();
    p.cosines = cosines.data(), p.sines = sines.data();
    p.pool = pool.data();
    p.layout = layout();
    p.queryType = type_ == KvType::kFloat16 ? cuda::QueryType::kFloat16 : cuda::QueryType::kBFloat16;
    p.heads = kHeads;
    p.rotaryDim = kHeadDim;
    p.scale = 0.0883883476f;
    p.partials = partials.data();
    cuda::pointAtPlan(p, plan_, packed.data());
    return medianMs(stream, 11, [&] { check(cuda::launchLayer(p, countsOf(plan_), stream), "launching"); });
  }

 private:
  cuda::PoolLayout layout() const { return {1, kKvHeads, kHeadDim, kPageTokens, type_}; }

  KvType type_;
  int batch_, rows_;
  std::vector<int32_t> pages_;
  cuda::StepPlan plan_;
  double kvBytes_ = 0, operations_ = 0;
};

bool fits(const Step& step) {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return step.poolBytes() + (size_t{1} << 30) < free;
}

}  // namespace

void timeAttention(const Ceilings& ceilings, bool quick, std::vector<std::string>& json) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  char line[512];
  const auto row = [&](const char* what, KvType type, int batch, int tokens, int cached, double ms, const Step& step) {
    const double bytes = step.kvBytes() / (ms / 1e3), flops = step.operations() / (ms / 1e3);
    std::printf("| %s | %s | %d | %d | %d | %.3f | %.0f | %.0f%% | %.1f | %.0f%% |\n", what, nameOf(type), batch, tokens, cached, ms,
                bytes / 1e9, 100 * bytes / ceilings.copyBytesPerSecond, flops / 1e12, 100 * flops / ceilings.flopsPerSecond);
    std::snprintf(line, sizeof line,
                  "{\"step\":\"%s\",\"kv\":\"%s\",\"batch\":%d,\"newTokens\":%d,\"cachedTokens\":%d,\"ms\":%.4f,\"bytesPerSecond\":%.4g,"
                  "\"flopsPerSecond\":%.4g}", what, nameOf(type), batch, tokens, cached, ms, bytes, flops);
    json.emplace_back(line);
  };
  std::printf("\n| step | kv | batch | new | cached | ms | GB/s | of copy | TFLOP/s | of product |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
  const std::vector<KvType> types = quick ? std::vector<KvType>{KvType::kBFloat16} : std::vector<KvType>{KvType::kFloat16, KvType::kBFloat16, KvType::kInt8};
  for (const KvType type : types) {
    for (const int cached : {1024, 8192, 32768, 131072}) {
      for (const int batch : {1, 8, 64}) {
        Step step(type, batch, cached, 1);
        if (!fits(step)) std::printf("| decode | %s | %d | 1 | %d | not run: does not fit into this GPU's memory | | | | |\n", nameOf(type), batch, cached);
        else row("decode", type, batch, 1, cached, step.medianMilliseconds(stream), step);
      }
    }
    for (const int tokens : {512, 2048, 8192, 32768}) {
      Step step(type, 1, 0, tokens);
      row("prefill", type, 1, tokens, 0, step.medianMilliseconds(stream), step);
    }
    Step question(type, 1, 32768, 50);  // the case the server is for: cached documents, a short question
    row("question", type, 1, 50, 32768, question.medianMilliseconds(stream), question);
  }
  cudaStreamDestroy(stream);
}

}  // namespace blockstitch::harness
