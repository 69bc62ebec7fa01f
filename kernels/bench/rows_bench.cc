// Times the attention of steps of many rows (chunks of a prefill) and of batches that decode over shared blocks, at the
// best two kernel levels of this processor in turn. Measures the products' peak in the same rounds. Prints JSON; bench/kernel.ts makes
// the report. The model's shape is SmolLM2-135M's: 9 query heads, 3 kv heads, head_dim 64.
//   rows_bench [layers] [rounds] [threads] [level] [trial]      a level, or trials with this in their name, alone: for profiling
#include <cstring>

#include "ceilings.h"
#include "timed_steps.h"

using namespace blockstitch;
using namespace blockstitch::bench;

namespace {

constexpr size_t kKvHeads = 3, kGroup = 3, kHeadDim = 64;
constexpr size_t kPages = 4096;
constexpr size_t kPositions = 16384;
constexpr size_t kSinks = 4;

struct Trial {
  std::string name;
  double operations;  ///< per layer; a multiply-add counts as two
  double readBytes;   ///< per layer: keys and values, each token of the pool once
  TimedStep step;
  std::vector<std::vector<double>> seconds;  ///< by level
};

double operationsOf(double pairs) { return pairs * kKvHeads * kGroup * kHeadDim * 4; }
double bytesOf(double tokens) { return tokens * kKvHeads * kHeadDim * 4; }

class Trials {
 public:
  /// @param chosen part of the names of the trials that are wanted
  Trials(KvPool& pool, const Angles& angles, size_t levels, const char* chosen)
      : pool_(pool), angles_(angles), levels_(levels), chosen_(chosen) {}

  /// A chunk of a plain prompt.
  void chunk(size_t rows, size_t past) {
    StepMaker step;
    step.sequence(rows, 0, past, 0);
    const double pairs = static_cast<double>(rows) * (static_cast<double>(past) + static_cast<double>(rows + 1) / 2);
    add("chunk " + std::to_string(rows) + " behind " + std::to_string(past), pairs, past + rows, step);
  }

  /// Blocks of `length` tokens, prefilled side by side behind the sinks.
  void coldBlocks(size_t blocks, size_t length) {
    StepMaker step;
    const size_t pages = (length + kPageTokens - 1) / kPageTokens;
    for (size_t b = 0; b < blocks; b++) {
      step.sequence(length, kSinks, 0, 1 + b * pages);
      step.segment(kSinks, 0, 0);
    }
    const double pairs = static_cast<double>(blocks * length) * (kSinks + static_cast<double>(length + 1) / 2);
    add(std::to_string(blocks) + " cold blocks of " + std::to_string(length), pairs, blocks * length, step);
  }

  /// `sequences` questions of `rows` rows over the same blocks, each in an order of its own, or over blocks of their own.
  void questions(size_t sequences, size_t rows, size_t blocks, size_t length, bool shared) {
    StepMaker step;
    const size_t pages = (length + kPageTokens - 1) / kPageTokens;
    const size_t tails = 1 + blocks * pages * (shared ? 1 : sequences);
    for (size_t s = 0; s < sequences; s++) {
      step.sequence(rows, kSinks + blocks * length, 0, tails + s * 4);
      step.segment(kSinks, 0, 0);
      for (size_t b = 0; b < blocks; b++) {
        // Another stride and another start: each sequence has an order of its own.
        const size_t block = (b * (2 * (s / blocks % 4) + 1) + s) % blocks + (shared ? 0 : s * blocks);
        step.segment(length, b * length, 1 + block * pages);
      }
    }
    const double tokens = static_cast<double>(kSinks + blocks * length);
    const double pairs = static_cast<double>(sequences * rows) * (tokens + static_cast<double>(rows + 1) / 2);
    add(std::to_string(sequences) + " x " + std::to_string(rows) + " rows over " + std::to_string(blocks) +
            (shared ? " shared" : " own") + " blocks of " + std::to_string(length),
        pairs, static_cast<double>(shared ? 1 : sequences) * tokens, step);
  }

  std::vector<Trial>& all() { return trials_; }

 private:
  void add(const std::string& name, double pairs, double tokens, const StepMaker& step) {
    if (name.find(chosen_) == std::string::npos) return;
    trials_.push_back({name, operationsOf(pairs), bytesOf(tokens), TimedStep(step.metadata(), step.rows(), kGroup, angles_, pool_),
                       std::vector<std::vector<double>>(levels_)});
  }

  KvPool& pool_;
  const Angles& angles_;
  const size_t levels_;
  const std::string chosen_;
  std::vector<Trial> trials_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int index, size_t fallback) {
    return argc > index ? static_cast<size_t>(std::strtoull(argv[index], nullptr, 10)) : fallback;
  };
  const size_t layers = argument(1, 6), rounds = argument(2, 9), threads = argument(3, 2);
  const int best = static_cast<int>(detectKernelLevel());
  std::vector<KernelLevel> levels;
  for (int level = 0; level <= best; level++) {
    const bool isChosen = argc > 4 ? std::strcmp(argv[4], kKernelLevels[level]) == 0 : level >= best - 1;
    if (isChosen) levels.push_back(static_cast<KernelLevel>(level));
  }
  KvPool pool({kPages, kPageTokens, layers, kKvHeads, kHeadDim, KvDtype::kFloat16});
  fillPool(pool);
  const Angles angles(kPositions, kHeadDim);
  Trials trials(pool, angles, levels.size(), argc > 5 ? argv[5] : "");
  trials.chunk(512, 0);
  trials.chunk(512, 1536);
  trials.chunk(512, 7488);
  trials.coldBlocks(2, 256);
  trials.questions(1, 26, 39, 200, true);
  trials.questions(1, 4, 39, 200, true);
  trials.questions(1, 1, 39, 200, true);
  for (const size_t sequences : {16, 32}) {
    for (const bool shared : {true, false}) trials.questions(sequences, 1, 8, 200, shared);
  }

  ThreadTeam team(threads);
  std::vector<std::vector<double>> rates(levels.size());
  size_t disturbed = 0;
  for (size_t round = 0; round < rounds + 1; round++) {
    for (size_t level = 0; level < levels.size(); level++) {
      setKernelLevel(levels[level]);
      const double rate = undisturbed([&] { return productRate(team, levels[level]); }, &disturbed);
      if (round > 0) rates[level].push_back(rate);
      for (Trial& trial : trials.all()) {
        const double seconds = undisturbed([&] { return trial.step.run(team); }, &disturbed) / static_cast<double>(layers);
        if (round > 0) trial.seconds[level].push_back(seconds);
      }
    }
  }
  std::printf("{\"threads\":%zu,\"layers\":%zu,\"disturbed\":%zu,\"levels\":[", threads, layers, disturbed);
  for (size_t level = 0; level < levels.size(); level++) {
    std::printf("%s{\"level\":\"%s\",", level == 0 ? "" : ",", kKernelLevels[static_cast<int>(levels[level])]);
    printList("operationsPerSecond", rates[level], ",\"trials\":[");
    bool isFirst = true;
    for (const Trial& trial : trials.all()) {
      std::printf("%s{\"name\":\"%s\",\"operations\":%.6g,\"readBytes\":%.6g,", isFirst ? "" : ",", trial.name.c_str(),
                  trial.operations, trial.readBytes);
      printList("seconds", trial.seconds[level], "}");
      isFirst = false;
    }
    std::printf("]}");
  }
  std::printf("]}\n");
  return 0;
}
