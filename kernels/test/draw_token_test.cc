// Draws against their definition in float64, at every level of this processor, and rows on which sums go wrong easily.
#include "draw_token.h"

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "checks.h"
#include "kernel_level.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Float32 weights and sums of them may move an edge between two tokens by this share of the total.
constexpr double kRounding = 1e-5;

struct Draw {
  std::vector<float> row;
  DrawRules rules{1, 0, 1, 0, 0};
  std::vector<Adjustment> adjustments;

  DrawnToken drawn() const {
    float best = -kInfinity;
    for (const float logit : row) best = std::fmax(best, logit);
    return drawToken(row.data(), row.size(), best, rules, adjustments.data(), adjustments.size());
  }

  /// Whether the definition draws this token, within rounding.
  bool allows(const DrawnToken& drawn) const {
    if (drawn.id < 0 || static_cast<size_t>(drawn.id) >= row.size() || drawn.logit != row[static_cast<size_t>(drawn.id)]) return false;
    std::map<int32_t, Adjustment> changes;
    for (const Adjustment& each : adjustments) changes[each.id] = each;
    std::vector<double> logits;
    double best = -std::numeric_limits<double>::infinity();
    for (size_t id = 0; id < row.size(); id++) {
      const auto change = changes.find(static_cast<int32_t>(id));
      logits.push_back(change == changes.end() ? row[id] : adjustedLogit(row[id], rules, change->second));
      if (!std::isnan(logits[id])) best = std::fmax(best, logits[id]);
    }
    double total = 0, before = 0, reached = 0;
    for (size_t id = 0; id < row.size(); id++) {
      const double weight = std::isnan(logits[id]) || logits[id] == logits[id] - 1 ? 0 : std::exp((logits[id] - best) / rules.temperature);
      if (static_cast<size_t>(drawn.id) == id) before = total, reached = total + weight;
      total += weight;
    }
    const double goal = rules.point * total, slack = kRounding * total;
    return before <= goal + slack && reached >= goal - slack && reached > before;
  }
};

void drawsFollowTheDefinition() {
  std::mt19937 random(11);
  const auto real = [&](double from, double to) { return std::uniform_real_distribution<double>(from, to)(random); };
  const auto whole = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  for (int round = 0; round < 600; round++) {
    Draw draw;
    const int sizes[] = {1, 5, 64, 1023, 1024, 1025, 5000, 33000};
    draw.row.resize(static_cast<size_t>(sizes[whole(0, 7)]));
    std::normal_distribution<float> normal(0, static_cast<float>(real(0.1, 6)));
    for (float& logit : draw.row) logit = normal(random);
    draw.rules = {std::pow(10, real(-2, 1)), real(0, 1), real(0.5, 2), real(-2, 2), real(-2, 2)};
    std::map<int32_t, Adjustment> changes;
    const int last = static_cast<int>(draw.row.size()) - 1;
    for (int i = whole(0, 40); i > 0; i--) {
      const int32_t id = whole(0, last);
      changes[id] = {id, whole(0, 7), whole(0, 2) == 0 ? static_cast<float>(real(-100, 10)) : 0.0f};
    }
    for (const auto& each : changes) draw.adjustments.insert(draw.adjustments.begin() + whole(0, static_cast<int>(draw.adjustments.size())), each.second);
    const DrawnToken drawn = draw.drawn();
    check(draw.allows(drawn), "round " + std::to_string(round) + ": token " + std::to_string(drawn.id) + " of " + std::to_string(draw.row.size()));
    check(draw.drawn().id == drawn.id, "the same draw gives the same token");
  }
}

void everyTokenIsDrawnAsOftenAsItWeighs() {
  Draw draw;
  draw.row = {0, 1, 2, -1, 0.5f};
  std::vector<int> drawn(draw.row.size());
  constexpr int kDraws = 20000;
  double total = 0;
  for (const float logit : draw.row) total += std::exp(static_cast<double>(logit));
  for (int i = 0; i < kDraws; i++) {
    draw.rules.point = (i + 0.5) / kDraws;
    drawn[static_cast<size_t>(draw.drawn().id)]++;
  }
  for (size_t id = 0; id < drawn.size(); id++) {
    const double expected = kDraws * std::exp(static_cast<double>(draw.row[id])) / total;
    check(std::abs(drawn[id] - expected) <= 2, "token " + std::to_string(id) + " was drawn " + std::to_string(drawn[id]) + " times");
  }
}

void extremesAreDrawnToo() {
  Draw draw;
  draw.row.assign(2000, -5);
  draw.row[1500] = 40;
  for (const double temperature : {1e-300, 1e-30, 1e-3, 0.5}) {
    for (const double point : {0.0, 0.5, 1 - 1e-16}) {
      draw.rules.temperature = temperature;
      draw.rules.point = point;
      check(draw.drawn().id == 1500, "the only token that weighs anything, at temperature " + std::to_string(temperature));
    }
  }
  // The best token is forbidden: nothing has the reference that the graph gave any more.
  draw.rules = {0.01, 0.999999, 1, 0, 0};
  draw.adjustments = {{1500, 0, -kInfinity}, {-1, 0, 5}, {2000, 1, 5}, {3, 0, 0.5f}};
  check(draw.drawn().id == 3, "the best of the others");
  draw.adjustments = {{1500, 0, -100}};
  draw.rules.temperature = 1;
  check(draw.allows(draw.drawn()), "all others weigh the same");
  draw.adjustments = {{7, 0, 1000}};
  check(draw.drawn().id == 7, "a bias may lift a token above the best");
  draw.adjustments.clear();
  draw.row.assign(3000, -kInfinity);
  draw.row[2999] = -3;
  draw.row[5] = std::nanf("");
  draw.rules = {1, 0, 1, 0, 0};
  check(draw.drawn().id == 2999, "tokens that are masked are not drawn");
  draw.row.assign(1, 0.25f);
  draw.rules.point = 1 - 1e-16;
  check(draw.drawn().id == 0 && draw.drawn().logit == 0.25f, "a vocabulary of one");
}

void changesAreRoundedStepByStep() {
  const DrawRules rules{1, 0, 1.1, 0.3, 0.7};
  const float seen = static_cast<float>(3.0f / 1.1);
  check(adjustedLogit(3, rules, {0, 1, 0}) == seen, "a positive logit is divided");
  check(adjustedLogit(-3, rules, {0, 1, 0}) == static_cast<float>(-3.0f * 1.1), "a negative one is multiplied");
  const float generated = static_cast<float>(static_cast<double>(seen) - 0.7 * 2 - 0.3);
  check(adjustedLogit(3, rules, {0, 5, 0}) == generated, "then presence and frequency");
  check(adjustedLogit(3, rules, {0, 5, 0.1f}) == generated + 0.1f, "then the bias");
}

}  // namespace

int main() {
  for (const KernelLevel level : {KernelLevel::kPortable, KernelLevel::kAvx2, KernelLevel::kAvx512}) {
    if (!setKernelLevel(level)) {
      std::printf("level %d: not on this processor\n", static_cast<int>(level));
      continue;
    }
    drawsFollowTheDefinition();
    everyTokenIsDrawnAsOftenAsItWeighs();
    extremesAreDrawnToo();
  }
  changesAreRoundedStepByStep();
  return failures == 0 ? 0 : 1;
}
