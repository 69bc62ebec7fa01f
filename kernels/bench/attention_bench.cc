// Times the attention of a decode step (one query row), layer after layer over a pool of many layers. In the same rounds
// it measures the machine's ceilings over the same memory. Prints JSON; bench/kernel.ts makes the report.
//   attention_bench [tokens] [layers] [rounds] [threads] [group] [level]      a group (0: all) or a lower level, for profiling
#include <cstring>

#include "ceilings.h"
#include "timed_steps.h"

using namespace blockstitch;
using namespace blockstitch::bench;

namespace {

constexpr size_t kKvHeads = 2;
constexpr size_t kHeadDim = 64;
constexpr size_t kGroups[] = {1, 4, 7};

/// One decode step: the cached tokens as segments of a length drawn from [least, most], each with pages of its own in
/// ascending order, and one new row behind them.
std::vector<int32_t> makeStep(size_t tokens, size_t least, size_t most, size_t pages) {
  std::mt19937 random(7);
  StepMaker step;
  step.sequence(1, tokens, 0, pages - 1);
  for (size_t position = 0, page = 0; position < tokens;) {
    const size_t length = std::min(least + random() % (most - least + 1), tokens - position);
    step.segment(length, position, page);
    page += (length + kPageTokens - 1) / kPageTokens;
    position += length;
  }
  return step.metadata();
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, size_t fallback) {
    return argc > index ? static_cast<size_t>(std::strtoull(argv[index], nullptr, 10)) : fallback;
  };
  const size_t tokens = argument(1, 32768), layers = argument(2, 24), rounds = argument(3, 15), threads = argument(4, 2), onlyGroup = argument(5, 0);
  for (int level = 0; argc > 6 && level <= static_cast<int>(detectKernelLevel()); level++) {
    if (std::strcmp(argv[6], kKernelLevels[level]) == 0) setKernelLevel(static_cast<KernelLevel>(level));
  }
  const size_t pages = tokens / kPageTokens + tokens / 150 + 2;
  KvPool pool({pages, kPageTokens, layers, kKvHeads, kHeadDim, KvDtype::kFloat16});
  fillPool(pool);
  const char* const names[] = {"blocks", "one"};
  const std::vector<int32_t> steps[] = {makeStep(tokens, 150, 250, pages), makeStep(tokens, tokens, tokens, pages)};
  const Angles angles(tokens + 1, kHeadDim);
  ThreadTeam team(threads);
  const size_t poolBytes = pages * pool.pageBytes();

  std::vector<double> reads[kReadWays], rate;
  size_t disturbed = 0;
  std::vector<std::vector<double>> seconds(std::size(kGroups) * std::size(steps));
  for (size_t round = 0; round < rounds + 1; round++) {
    const bool warmUp = round == 0;
    const auto note = [&](std::vector<double>& list, const std::function<double()>& measure) {
      const double value = undisturbed(measure, &disturbed);
      if (!warmUp) list.push_back(value);
    };
    for (size_t way = 0; way < kReadWays && onlyGroup == 0; way++) {
      note(reads[way], [&] {
        return static_cast<double>(poolBytes) / readOnce(team, kernelLevel(), way, pool.keys(0, 0, 0), poolBytes);
      });
    }
    note(rate, [&] { return productRate(team, kernelLevel()); });
    for (size_t g = 0; g < std::size(kGroups); g++) {
      if (onlyGroup != 0 && kGroups[g] != onlyGroup) continue;
      for (size_t s = 0; s < std::size(steps); s++) {
        note(seconds[g * std::size(steps) + s],
             [&] { return TimedStep(steps[s], 1, kGroups[g], angles, pool).run(team); });
      }
    }
  }
  std::printf("{\"level\":\"%s\",\"threads\":%zu,\"tokens\":%zu,\"layers\":%zu,\"kvHeads\":%zu,\"headDim\":%zu,\"poolBytes\":%zu,\"disturbed\":%zu,",
              kKernelLevels[static_cast<int>(kernelLevel())], threads, tokens, layers, kKvHeads, kHeadDim, poolBytes, disturbed);
  std::printf("\"readBytesPerSecond\":{");
  for (size_t way = 0; way < kReadWays; way++) {
    printList(std::to_string(way).c_str(), reads[way], way + 1 < kReadWays ? "," : "},");
  }
  printList("operationsPerSecond", rate, ",\"attention\":[");
  for (size_t i = 0; i < seconds.size(); i++) {
    std::printf("%s{\"group\":%zu,\"segments\":\"%s\",", i == 0 ? "" : ",", kGroups[i / std::size(steps)],
                names[i % std::size(steps)]);
    printList("seconds", seconds[i], "}");
  }
  std::printf("]}\n");
  return 0;
}
