// A row's bits depend on its sequence alone: not on the rows beside it, on how a prompt is cut into chunks, or on who shares
// its segments. At every kernel level of this processor, for every type of keys and values.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "attention.h"
#include "attention_cases.h"
#include "checks.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

constexpr size_t kPageTokens = 16;
constexpr size_t kMostTokens = 8192;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kLongest = 400, kMostRows = 80, kSpeakers = 3, kLeastShared = 100;
#else
constexpr size_t kLongest = 1500, kMostRows = 200, kSpeakers = 5, kLeastShared = 1000;
#endif

struct World {
  size_t headDim, kvHeads, group, window;
  float softcap;
  KvDtype dtype;
};

/// A sequence with inputs of its own. Any of its rows can be run, in any step.
struct Speaker {
  SequenceView view;  ///< with all of its rows
  std::vector<float> query, key, value;
};

/// Some rows of a speaker.
struct Part {
  const Speaker* speaker;
  size_t firstRow;
  size_t rows;
};

class Stage {
 public:
  Stage(const World& world, uint32_t seed)
      : world_(world), random_(seed), pool_({kMostTokens / kPageTokens, kPageTokens, 1, world.kvHeads, world.headDim, world.dtype}),
        tables_(tablesFor(world.headDim / 2)), pages_(kMostTokens / kPageTokens) {
    for (size_t i = 0; i < pages_.size(); i++) pages_[i] = static_cast<int32_t>(i);
    std::shuffle(pages_.begin(), pages_.end(), random_);
  }

  /// A block of `tokens` tokens, in pages of its own.
  SegmentView block(size_t tokens) {
    const Speaker writer = speaker({}, kLocal, tokens);
    run({{&writer, 0, tokens}});
    return {writer.view.tailPages, tokens, 0, 0};
  }

  /// A speaker behind these blocks, in this order.
  Speaker speaker(const std::vector<SegmentView>& blocks, size_t position, size_t rows) {
    Speaker made{{0, rows, static_cast<int32_t>(position), 0, take(rows), {}, 0}, {}, {}, {}};
    for (SegmentView segment : blocks) {
      segment.start = made.view.cachedTokens;
      segment.delta = static_cast<int32_t>(segment.start);
      made.view.cachedTokens += segment.length;
      made.view.segments.push_back(segment);
    }
    made.view.tailPosition += static_cast<int32_t>(made.view.cachedTokens);
    made.query = noise(rows * world_.kvHeads * world_.group * world_.headDim);
    made.key = noise(rows * world_.kvHeads * world_.headDim);
    made.value = noise(rows * world_.kvHeads * world_.headDim);
    return made;
  }

  /// One step. @returns the output rows of each part
  std::vector<std::vector<float>> run(const std::vector<Part>& parts) {
    StepView step;
    std::vector<float> query, key, value;
    const size_t queryWidth = world_.kvHeads * world_.group * world_.headDim, width = world_.kvHeads * world_.headDim;
    for (const Part& part : parts) {
      SequenceView view = part.speaker->view;
      view.firstRow = step.rows;
      view.tailPast = part.firstRow;
      view.rows = part.rows;
      step.rows += part.rows;
      step.sequences.push_back(view);
      const auto append = [&](std::vector<float>& to, const std::vector<float>& from, size_t each) {
        const auto first = from.begin() + static_cast<ptrdiff_t>(part.firstRow * each);
        to.insert(to.end(), first, first + static_cast<ptrdiff_t>(part.rows * each));
      };
      append(query, part.speaker->query, queryWidth);
      append(key, part.speaker->key, width);
      append(value, part.speaker->value, width);
    }
    std::vector<float> output(query.size(), NAN);
    const HeadShape heads{world_.kvHeads * world_.group, world_.kvHeads, world_.headDim};
    const AttentionPlan plan(step, heads, kPageTokens);
    shared_ += plan.sharedItems().size();
    blockAttention({0, heads.heads, heads.kvHeads, heads.headDim, heads.headDim, false,
                    1.0f / std::sqrt(static_cast<float>(heads.headDim)), world_.window, world_.softcap},
                   {query.data(), key.data(), value.data(), tables_.cos.data(), tables_.sin.data()}, plan, pool_, output.data(),
                   onTwoThreads);
    std::vector<std::vector<float>> byPart;
    auto at = output.begin();
    for (const Part& part : parts) {
      byPart.emplace_back(at, at + static_cast<ptrdiff_t>(part.rows * queryWidth));
      at += static_cast<ptrdiff_t>(part.rows * queryWidth);
    }
    return byPart;
  }

  /// Work items so far that several sequences shared.
  size_t shared() const { return shared_; }
  size_t draw(size_t least, size_t most) { return least + random_() % (most - least + 1); }
  std::mt19937& random() { return random_; }

 private:
  std::vector<float> noise(size_t count) {
    std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random_);
    return values;
  }

  const int32_t* take(size_t tokens) {
    const size_t count = (tokens + kPageTokens - 1) / kPageTokens;
    check(used_ + count <= pages_.size(), "the pool is large enough");
    used_ += count;
    return pages_.data() + used_ - count;
  }

  const World world_;
  std::mt19937 random_;
  KvPool pool_;
  const Tables& tables_;
  std::vector<int32_t> pages_;
  size_t used_ = 0;
  size_t shared_ = 0;
};

std::string nameOf(const World& world) {
  return "head_dim " + std::to_string(world.headDim) + " group " + std::to_string(world.group) + " dtype " +
         std::to_string(static_cast<int>(world.dtype)) + " window " + std::to_string(world.window) + " level " +
         kKernelLevels[static_cast<int>(kernelLevel())];
}

/// @returns work items that several sequences shared
size_t checkWorld(const World& world, uint32_t seed) {
  Stage stage(world, seed);
  std::vector<SegmentView> blocks = {stage.block(3)};
  for (size_t b = stage.draw(1, 5); b > 0; b--) blocks.push_back(stage.block(stage.draw(1, b == 1 ? kLongest : 300)));
  std::vector<Speaker> speakers;
  for (size_t s = 0; s < kSpeakers; s++) {
    speakers.push_back(stage.speaker(blocks, kLocal, s == 0 ? stage.draw(60, kMostRows) : stage.draw(1, 20)));
    std::shuffle(blocks.begin(), blocks.end(), stage.random());
  }
  std::vector<std::vector<float>> alone;
  for (const Speaker& each : speakers) alone.push_back(stage.run({{&each, 0, each.view.rows}})[0]);
  std::vector<Part> all;
  for (const Speaker& each : speakers) all.push_back({&each, 0, each.view.rows});
  check(stage.run(all) == alone, nameOf(world) + ": the same bits beside others");
  for (size_t s = 0; s < speakers.size(); s++) {
    std::vector<float> chunks;
    for (size_t row = 0; row < speakers[s].view.rows;) {
      const size_t rows = std::min(speakers[s].view.rows - row, row % 2 == 0 ? stage.draw(1, 3) : stage.draw(1, 64));
      std::vector<Part> parts = {{&speakers[s], row, rows}};
      // Its last rows stand in for a decode step of the others.
      for (const Speaker& other : speakers) {
        if (&other != &speakers[s]) parts.push_back({&other, other.view.rows - 1, 1});
      }
      const std::vector<float> output = stage.run(parts)[0];
      chunks.insert(chunks.end(), output.begin(), output.end());
      row += rows;
    }
    check(chunks == alone[s], nameOf(world) + ": the same bits in chunks");
  }
  return stage.shared();
}

}  // namespace

int main() {
  size_t shared = 0;
  uint32_t seed = 1;
  for (int level = 0; level <= static_cast<int>(detectKernelLevel()); level++) {
    check(setKernelLevel(static_cast<KernelLevel>(level)), "kernel level");
#if defined(__SANITIZE_ADDRESS__)
    for (const size_t headDim : {level % 2 == 0 ? 40 : 80}) {
#else
    for (const size_t headDim : {40, 64, 80, 96, 128, 256}) {
#endif
      for (const KvDtype dtype : {KvDtype::kFloat32, KvDtype::kFloat16, KvDtype::kBfloat16, KvDtype::kInt8}) {
        seed++;
        shared += checkWorld({headDim, 1 + seed % 2, 1 + seed % 8, seed % 3 == 0 ? 1 + seed % 170 : 0, seed % 5 == 0 ? 20.0f : 0.0f, dtype}, seed);
      }
    }
  }
  check(shared > kLeastShared, "segments were shared");
  std::printf("%zu shared items; %d row checks failed\n", shared, failures);
  return failures == 0 ? 0 : 1;
}
