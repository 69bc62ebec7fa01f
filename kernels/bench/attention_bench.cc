// Times the attention of a decode step (one query row), layer after layer over a pool of many layers. In the same rounds
// it measures the machine's ceilings over the same memory. Prints JSON; bench/kernel.ts makes the report.
//   attention_bench [tokens] [layers] [rounds] [threads] [group]      a group runs alone, for profiling
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "attention.h"
#include "ceilings.h"

using namespace blockstitch;
using bench::ThreadTeam;

namespace {

constexpr size_t kKvHeads = 2;
constexpr size_t kHeadDim = 64;
constexpr size_t kPageTokens = 16;
constexpr size_t kGroups[] = {1, 4, 7};
constexpr const char* kLevels[] = {"portable", "avx2", "avx512"};

/// One decode step: the cached tokens as segments, one new row behind them.
struct Step {
  std::string name;
  std::vector<int32_t> metadata;
};

/// Cuts `tokens` into segments of a length drawn from [least, most]; each has pages of its own, in ascending order.
Step makeStep(const std::string& name, size_t tokens, size_t least, size_t most, size_t pages) {
  std::mt19937 random(7);
  std::vector<int32_t> record = {0, 1, static_cast<int32_t>(tokens), 0, 1, 0};
  record.push_back(static_cast<int32_t>(pages - 1));  // the tail's page
  int32_t page = 0, position = 0;
  while (static_cast<size_t>(position) < tokens) {
    const size_t drawn = least + random() % (most - least + 1);
    const auto length = static_cast<int32_t>(std::min(drawn, tokens - static_cast<size_t>(position)));
    const auto count = static_cast<int32_t>((static_cast<size_t>(length) + kPageTokens - 1) / kPageTokens);
    record.insert(record.end(), {length, position, count});
    for (int32_t i = 0; i < count; i++) record.push_back(page++);
    record[5]++;
    position += length;
  }
  Step step{name, {1, 0, 1, 1, 5}};
  step.metadata.insert(step.metadata.end(), record.begin(), record.end());
  return step;
}

void fillPool(KvPool& pool) {
  const PoolShape& shape = pool.shape();
  std::vector<uint16_t> noise(1 << 16);
  std::mt19937 random(3);
  for (uint16_t& each : noise) {
    Half half;
    store(std::uniform_real_distribution<float>(-1, 1)(random), &half);
    each = half.bits;
  }
  const size_t bytes = shape.pages * pool.pageBytes();
  for (size_t at = 0; at < bytes; at += noise.size() * 2) {
    std::copy_n(reinterpret_cast<const uint8_t*>(noise.data()), std::min(noise.size() * 2, bytes - at), pool.keys(0, 0, 0) + at);
  }
}

double timeAttention(ThreadTeam& team, KvPool& pool, const Step& step, size_t group, size_t positions) {
  const size_t heads = kKvHeads * group;
  static std::vector<float> cos, sin;
  if (cos.empty()) {
    cos.resize(positions * kHeadDim / 2);
    sin.resize(cos.size());
    for (size_t i = 0; i < cos.size(); i++) {
      const double angle = static_cast<double>(i / (kHeadDim / 2)) *
                           std::pow(1e6, -static_cast<double>(i % (kHeadDim / 2)) / static_cast<double>(kHeadDim / 2));
      cos[i] = static_cast<float>(std::cos(angle));
      sin[i] = static_cast<float>(std::sin(angle));
    }
  }
  std::vector<float> query(heads * kHeadDim, 0.3f), key(kKvHeads * kHeadDim, 0.2f), value(key), output(query.size());
  const AttentionInputs inputs{query.data(), key.data(), value.data(), cos.data(), sin.data()};
  const auto begin = std::chrono::steady_clock::now();
  for (size_t layer = 0; layer < pool.shape().layers; layer++) {
    // As the op does it: the first layer reads and plans, the others find the plan.
    std::string wrong;
    const AttentionPlan* plan = PlanCache::ofThread().find(step.metadata.data(), step.metadata.size(),
                                                           {1, pool.shape().pages, kPageTokens, positions},
                                                           {heads, kKvHeads, kHeadDim}, &wrong);
    if (plan == nullptr) {
      std::fprintf(stderr, "%s\n", wrong.c_str());
      std::exit(1);
    }
    const AttentionShape shape{layer, heads, kKvHeads, kHeadDim, kHeadDim, false, 0.125f, 0, 0};
    blockAttention(shape, inputs, *plan, pool, output.data(),
                   [&](size_t count, const std::function<void(size_t)>& task) { team.parallelFor(count, task); });
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// How often the operating system took a core away from a thread of this process.
long preemptions() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

/// Measures until no other process interrupted a thread, ten times at most. Counts the times that were thrown away.
double undisturbed(const std::function<double()>& measure, size_t* disturbed) {
  double value = 0;
  for (int attempt = 0; attempt < 10; attempt++) {
    const long before = preemptions();
    value = measure();
    if (preemptions() == before) return value;
    ++*disturbed;
  }
  return value;
}

void printList(const char* name, const std::vector<double>& values, const char* after) {
  std::printf("\"%s\":[", name);
  for (size_t i = 0; i < values.size(); i++) std::printf("%s%.6g", i == 0 ? "" : ",", values[i]);
  std::printf("]%s", after);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, size_t fallback) {
    return argc > index ? static_cast<size_t>(std::strtoull(argv[index], nullptr, 10)) : fallback;
  };
  const size_t tokens = argument(1, 32768), layers = argument(2, 24), rounds = argument(3, 15), threads = argument(4, 2), onlyGroup = argument(5, 0);
  const size_t pages = tokens / kPageTokens + tokens / 150 + 2;
  KvPool pool({pages, kPageTokens, layers, kKvHeads, kHeadDim, KvDtype::kFloat16});
  fillPool(pool);
  const Step steps[] = {makeStep("blocks", tokens, 150, 250, pages), makeStep("one", tokens, tokens, tokens, pages)};
  ThreadTeam team(threads);
  const size_t poolBytes = pages * pool.pageBytes();

  std::vector<double> reads[bench::kReadWays], rate;
  size_t disturbed = 0;
  std::vector<std::vector<double>> seconds(std::size(kGroups) * std::size(steps));
  for (size_t round = 0; round < rounds + 1; round++) {
    const bool warmUp = round == 0;
    const auto note = [&](std::vector<double>& list, const std::function<double()>& measure) {
      const double value = undisturbed(measure, &disturbed);
      if (!warmUp) list.push_back(value);
    };
    for (size_t way = 0; way < bench::kReadWays && onlyGroup == 0; way++) {
      note(reads[way], [&] {
        return static_cast<double>(poolBytes) / bench::readOnce(team, kernelLevel(), way, pool.keys(0, 0, 0), poolBytes);
      });
    }
    note(rate, [&] { return bench::multiplyAddRate(team, kernelLevel()); });
    for (size_t g = 0; g < std::size(kGroups); g++) {
      if (onlyGroup != 0 && kGroups[g] != onlyGroup) continue;
      for (size_t s = 0; s < std::size(steps); s++) {
        note(seconds[g * std::size(steps) + s],
             [&] { return timeAttention(team, pool, steps[s], kGroups[g], tokens + 1); });
      }
    }
  }
  std::printf("{\"level\":\"%s\",\"threads\":%zu,\"tokens\":%zu,\"layers\":%zu,\"kvHeads\":%zu,\"headDim\":%zu,\"poolBytes\":%zu,\"disturbed\":%zu,",
              kLevels[static_cast<int>(kernelLevel())], threads, tokens, layers, kKvHeads, kHeadDim, poolBytes, disturbed);
  std::printf("\"readBytesPerSecond\":{");
  for (size_t way = 0; way < bench::kReadWays; way++) {
    printList(std::to_string(way).c_str(), reads[way], way + 1 < bench::kReadWays ? "," : "},");
  }
  printList("operationsPerSecond", rate, ",\"attention\":[");
  for (size_t i = 0; i < seconds.size(); i++) {
    std::printf("%s{\"group\":%zu,\"segments\":\"%s\",", i == 0 ? "" : ",", kGroups[i / std::size(steps)],
                steps[i % std::size(steps)].name.c_str());
    printList("seconds", seconds[i], "}");
  }
  std::printf("]}\n");
  return 0;
}
