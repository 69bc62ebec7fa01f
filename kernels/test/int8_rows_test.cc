// Rows of bytes against their definition in float64, at every level of this processor; and the operators over them through
// ONNX Runtime's custom-op table: shapes that do not fit become the status of the step.
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "checks.h"
#include "fake_runtime.h"
#include "int8_rows_op.h"
#include "kernel_level.h"
#include "row_kernels.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

struct Level {
  const char* name;
  const RowKernels& kernels;
};

std::vector<Level> levels() {
  std::vector<Level> all{{"portable", portableRowKernels()}};
  if (detectKernelLevel() >= KernelLevel::kAvx2) all.push_back({"avx2", avx2RowKernels()});
  if (detectKernelLevel() >= KernelLevel::kAvx512) all.push_back({"avx512", avx512RowKernels()});
  return all;
}

std::mt19937 drawn(7);

std::vector<float> normals(size_t count, double width = 1) {
  std::normal_distribution<double> normal(0, width);
  std::vector<float> values(count);
  for (float& each : values) each = static_cast<float>(normal(drawn));
  return values;
}

std::vector<int32_t> integers(size_t count) {
  std::uniform_int_distribution<int32_t> whole(-4000000, 4000000);
  std::vector<int32_t> values(count);
  for (int32_t& each : values) each = whole(drawn);
  return values;
}

bool isNear(double is, double should, double scale = 1) { return std::fabs(is - should) <= 4e-6 * (scale + std::fabs(should)); }

/// The sign of entry (i, j) of Sylvester's Hadamard matrix.
double hadamard(size_t i, size_t j) { return __builtin_parityll(i & j) ? -1 : 1; }

void rowsTurnAsDefinedAndAlikeOnAllLevels() {
  for (const size_t rotation : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}) {
    for (const size_t runs : {1, 3}) {
      const std::vector<float> row = normals(rotation * runs);
      std::vector<float> first;
      for (const Level& level : levels()) {
        std::vector<float> turned = row;
        level.kernels.rotate(turned.data(), turned.size(), rotation);
        if (first.empty()) first = turned;
        check(turned == first, std::string(level.name) + " turns bit for bit, " + std::to_string(rotation));
        for (size_t i = 0; i < turned.size(); i++) {
          double sum = 0;
          const size_t begin = i - i % rotation;
          for (size_t j = 0; j < rotation; j++) sum += hadamard(i % rotation, j) * row[begin + j];
          if (!isNear(turned[i], sum, std::sqrt(static_cast<double>(rotation)))) {
            check(false, std::string(level.name) + " turns by the Hadamard matrix of " + std::to_string(rotation));
            break;
          }
        }
      }
    }
  }
}

void bytesAreWithinHalfAStep() {
  for (const size_t width : {1, 7, 8, 15, 16, 17, 48, 333, 576}) {
    const std::vector<float> row = normals(width, 3);
    std::vector<uint8_t> first;
    for (const Level& level : levels()) {
      std::vector<uint8_t> bytes(width);
      float scale = 0;
      level.kernels.toBytes(row.data(), width, bytes.data(), &scale);
      if (first.empty()) first = bytes;
      check(bytes == first, std::string(level.name) + " rounds bit for bit, " + std::to_string(width));
      for (size_t i = 0; i < width; i++) {
        const double back = (static_cast<double>(bytes[i]) - kByteZero) * scale;
        check(std::fabs(back - row[i]) <= 0.5001 * scale && bytes[i] >= 1, std::string(level.name) + " is within half a step");
      }
    }
  }
}

void rowsWithoutAScaleSaySo() {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Level& level : levels()) {
    for (const size_t width : {5, 40}) {
      for (const size_t at : {size_t{0}, width - 1}) {
        for (const float sick : {std::nanf(""), infinity, -infinity}) {
          std::vector<float> row(width, 1.0f);
          row[at] = sick;
          std::vector<uint8_t> bytes(width);
          float scale = 0;
          level.kernels.toBytes(row.data(), width, bytes.data(), &scale);
          check(std::isnan(scale), std::string(level.name) + " gives a row with a NaN or an infinity no scale");
        }
      }
      std::vector<uint8_t> bytes(width);
      float scale = 1;
      for (const float small : {0.0f, 1e-42f}) {
        level.kernels.toBytes(std::vector<float>(width, small).data(), width, bytes.data(), &scale);
        check(scale == 0 && bytes == std::vector<uint8_t>(width, kByteZero), std::string(level.name) + " keeps zeros");
      }
    }
  }
}

void normsAndGatesFollowTheirDefinition() {
  for (const Level& level : levels()) {
    const std::string name = level.name;
    for (const size_t width : {1, 9, 16, 100, 576}) {
      const std::vector<float> row = normals(width), weight = normals(width), scales = normals(2 * width, 1e-3), added = normals(width);
      const std::vector<int32_t> sums = integers(2 * width);
      std::vector<float> out(width);
      level.kernels.norm(row.data(), weight.data(), width, 1e-5f, out.data());
      double squares = 0;
      for (const float each : row) squares += static_cast<double>(each) * each;
      for (size_t i = 0; i < width; i++) {
        check(isNear(out[i], row[i] / std::sqrt(squares / static_cast<double>(width) + 1e-5) * weight[i]), name + " norms");
      }
      const float rowScale = 2e-3f;
      level.kernels.toFloats(sums.data(), rowScale, scales.data(), added.data(), width, out.data());
      for (size_t i = 0; i < width; i++) {
        check(isNear(out[i], static_cast<double>(sums[i]) * rowScale * scales[i] + added[i], 10), name + " scales and adds");
      }
      level.kernels.toFloats(sums.data(), rowScale, scales.data(), nullptr, width, out.data());
      for (size_t i = 0; i < width; i++) check(isNear(out[i], static_cast<double>(sums[i]) * rowScale * scales[i]), name + " scales");
      level.kernels.gate(sums.data(), rowScale, scales.data(), width, out.data());
      for (size_t i = 0; i < width; i++) {
        const double g = static_cast<double>(sums[i]) * rowScale * scales[i];
        const double u = static_cast<double>(sums[width + i]) * rowScale * scales[width + i];
        check(isNear(out[i], g * u / (1 + std::exp(-g)), 10), name + " gates");
      }
    }
    // Gates far from zero: closed on one side, open on the other, no NaN.
    std::vector<int32_t> sums(32, -1000);
    std::vector<float> ones(32, 1.0f), out(16);
    level.kernels.gate(sums.data(), 1, ones.data(), 16, out.data());
    for (const float each : out) check(std::fabs(each) < 1e-20, name + " closes a gate");
    std::fill(sums.begin(), sums.begin() + 16, 1000);
    level.kernels.gate(sums.data(), 1, ones.data(), 16, out.data());
    for (const float each : out) check(each == -1000000.0f, name + " opens a gate");
  }
}

const ort::CustomOp* find(const std::string& name) {
  for (const ort::CustomOp* op : int8RowOps()) {
    if (op->getName(op) == name) return op;
  }
  check(false, "there is an operator " + name);
  return nullptr;
}

/// One call of an operator.
class Node {
 public:
  Node(const char* name, std::map<std::string, int64_t> integerAttributes, const std::vector<size_t>& outputBytes)
      : op_(find(name)) {
    ort::KernelInfo info;
    info.integers = std::move(integerAttributes);
    info.floats = {{"epsilon", 1e-5f}};
    wrong_ = FakeRuntime::textOf(op_->createKernelV2(op_, FakeRuntime::api(), &info, &kernel_));
    for (const size_t bytes : outputBytes) context_.memory.emplace_back(bytes);
  }
  Node(const Node&) = delete;
  ~Node() {
    if (kernel_ != nullptr) op_->kernelDestroy(kernel_);
  }

  template <typename Element>
  Node& give(const std::vector<size_t>& shape, std::vector<Element>& values) {
    context_.inputs.push_back({std::vector<int64_t>(shape.begin(), shape.end()), values.data()});
    return *this;
  }

  /// @returns the status of making or running it; empty: fine
  std::string run() {
    if (!wrong_.empty()) return wrong_;
    return FakeRuntime::textOf(op_->kernelComputeV2(kernel_, &context_));
  }

  template <typename Element>
  std::vector<Element> output(size_t index) const {
    const std::vector<char>& memory = context_.memory[index];
    std::vector<Element> values(memory.size() / sizeof(Element));
    std::memcpy(values.data(), memory.data(), memory.size());
    return values;
  }
  size_t outputRank(size_t index) const { return context_.outputs[index].shape.size(); }

 private:

  const ort::CustomOp* op_;
  void* kernel_ = nullptr;
  std::string wrong_;
  ort::KernelContext context_;
};

/// As ONNX Runtime does a product: rows of bytes around 128 by columns of signed bytes.
std::vector<int32_t> product(const std::vector<uint8_t>& rows, const std::vector<int8_t>& columns, size_t n, size_t width, size_t outputs) {
  std::vector<int32_t> sums(n * outputs, 0);
  for (size_t r = 0; r < n; r++) {
    for (size_t k = 0; k < width; k++) {
      for (size_t o = 0; o < outputs; o++) {
        sums[r * outputs + o] += (static_cast<int32_t>(rows[r * width + k]) - kByteZero) * columns[k * outputs + o];
      }
    }
  }
  return sums;
}

/// A row, an outlier in it, times turned weights in bytes is what the floats give.
void aTurnedProductIsTheProduct() {
  const size_t n = 40, width = 192, outputs = 24, rotation = 64;
  std::vector<float> x = normals(n * width);
  for (size_t r = 0; r < n; r++) x[r * width + 5] *= 100;
  const std::vector<float> weights = normals(outputs * width);
  std::vector<int8_t> columns(width * outputs);
  std::vector<float> columnScales(outputs);
  for (size_t o = 0; o < outputs; o++) {
    std::vector<float> row(weights.begin() + static_cast<long>(o * width), weights.begin() + static_cast<long>((o + 1) * width));
    portableRowKernels().rotate(row.data(), width, rotation);
    std::vector<uint8_t> bytes(width);
    portableRowKernels().toBytes(row.data(), width, bytes.data(), &columnScales[o]);
    columnScales[o] /= static_cast<float>(rotation);
    for (size_t k = 0; k < width; k++) columns[k * outputs + o] = static_cast<int8_t>(bytes[k] - kByteZero);
  }
  Node quantize("QuantizeRows", {{"rotation", rotation}}, {n * width, n * sizeof(float)});
  check(quantize.give({n, width}, x).run().empty(), "QuantizeRows runs");
  check(quantize.outputRank(0) == 2 && quantize.outputRank(1) == 1, "bytes are [n, K] and scales [n]");
  std::vector<float> scales = quantize.output<float>(1);
  std::vector<int32_t> sums = product(quantize.output<uint8_t>(0), columns, n, width, outputs);
  Node dequantize("DequantizeRows", {}, {n * outputs * sizeof(float)});
  check(dequantize.give({n, outputs}, sums).give({n}, scales).give({outputs}, columnScales).run().empty(), "DequantizeRows runs");
  const std::vector<float> floats = dequantize.output<float>(0);
  double error = 0, size = 0;
  for (size_t r = 0; r < n; r++) {
    for (size_t o = 0; o < outputs; o++) {
      double right = 0;
      for (size_t k = 0; k < width; k++) right += static_cast<double>(x[r * width + k]) * weights[o * width + k];
      error += (floats[r * outputs + o] - right) * (floats[r * outputs + o] - right);
      size += right * right;
    }
  }
  check(std::sqrt(error / size) < 0.02, "a turned product is within 2%: " + std::to_string(std::sqrt(error / size)));

  Node qkv("DequantizeQkv", {{"query_width", 12}, {"key_width", 4}},
           {n * 12 * sizeof(float), n * 4 * sizeof(float), n * 8 * sizeof(float)});
  std::vector<float> bias = normals(outputs);
  check(qkv.give({n, outputs}, sums).give({n}, scales).give({outputs}, columnScales).give({outputs}, bias).run().empty(), "DequantizeQkv runs");
  const std::vector<float> parts[] = {qkv.output<float>(0), qkv.output<float>(1), qkv.output<float>(2)};
  for (size_t r = 0; r < n; r++) {
    check(isNear(parts[0][r * 12 + 11], floats[r * outputs + 11] + bias[11], 100), "queries come first");
    check(isNear(parts[1][r * 4], floats[r * outputs + 12] + bias[12], 100), "keys come next");
    check(isNear(parts[2][r * 8 + 7], floats[r * outputs + 23] + bias[23], 100), "values come last");
  }
}

/// Each fused operator gives what its steps give one by one.
void fusedOperatorsAreTheirSteps() {
  const size_t n = 70, width = 96, rotation = 32;
  const RowKernels& kernels = rowKernels();
  std::vector<int32_t> sums = integers(n * 2 * width);
  std::vector<int32_t> single(sums.begin(), sums.begin() + static_cast<long>(n * width));
  std::vector<float> scales(n, 1e-3f), columnScales = normals(2 * width, 1e-3), residual = normals(n * width), weight = normals(width);
  std::vector<float> columns(columnScales.begin(), columnScales.begin() + width);
  Node add("AddNormQuantizeRows", {{"rotation", rotation}}, {n * width * sizeof(float), n * width, n * sizeof(float)});
  add.give({n, width}, single).give({n}, scales).give({width}, columns).give({n, width}, residual).give({width}, weight);
  check(add.run().empty(), "AddNormQuantizeRows runs");
  Node norm("NormQuantizeRows", {{"rotation", rotation}}, {n * width, n * sizeof(float)});
  std::vector<float> sum = add.output<float>(0);
  check(norm.give({n, width}, sum).give({width}, weight).run().empty(), "NormQuantizeRows runs");
  check(norm.output<uint8_t>(0) == add.output<uint8_t>(1) && norm.output<float>(1) == add.output<float>(2), "sum, then norm");
  Node gate("GateQuantizeRows", {{"rotation", rotation}}, {n * width, n * sizeof(float)});
  check(gate.give({n, 2 * width}, sums).give({n}, scales).give({2 * width}, columnScales).run().empty(), "GateQuantizeRows runs");
  std::vector<float> row(width);
  std::vector<uint8_t> bytes(width);
  for (size_t r = 0; r < n; r++) {
    kernels.toFloats(single.data() + r * width, scales[r], columns.data(), residual.data() + r * width, width, row.data());
    check(std::memcmp(row.data(), sum.data() + r * width, width * sizeof(float)) == 0, "the sum of product and residual");
    kernels.gate(sums.data() + r * 2 * width, scales[r], columnScales.data(), width, row.data());
    kernels.rotate(row.data(), width, rotation);
    float scale = 0;
    kernels.toBytes(row.data(), width, bytes.data(), &scale);
    check(std::memcmp(bytes.data(), gate.output<uint8_t>(0).data() + r * width, width) == 0, "gate, turn, round");
    check(scale == gate.output<float>(1)[r], "the scale of a gated row");
  }
}

void whatDoesNotFitIsTheStepsStatus() {
  std::vector<float> x(64), scales(2), columns(32), weight(31);
  std::vector<int32_t> sums(64);
  const std::vector<size_t> outputs{64 * sizeof(float), 64 * sizeof(float), 64 * sizeof(float)};
  check(Node("QuantizeRows", {}, outputs).run().find("no such attribute") != std::string::npos, "rotation is needed");
  check(Node("QuantizeRows", {{"rotation", 3}}, outputs).run() == "QuantizeRows: rotation must be a power of two", "rotations");
  check(Node("QuantizeRows", {{"rotation", 1 << 20}}, outputs).run() == "QuantizeRows: rotation is out of range", "large rotations");
  check(Node("QuantizeRows", {{"rotation", 64}}, outputs).give({2, 32}, x).run() == "QuantizeRows: rotation must divide the width of a row", "widths");
  check(Node("QuantizeRows", {{"rotation", 1}}, outputs).give({64}, x).run() ==
            "QuantizeRows: the first input must be [n, width] with a width of 1 or more", "ranks");
  check(Node("NormQuantizeRows", {{"rotation", 1}}, outputs).give({2, 32}, x).give({31}, weight).run() ==
            "NormQuantizeRows: input 1 does not fit the first one", "weights");
  check(Node("DequantizeRows", {}, outputs).give({2, 32}, sums).give({1}, scales).give({32}, columns).run() ==
            "DequantizeRows: input 1 does not fit the first one", "row scales");
  check(Node("GateQuantizeRows", {{"rotation", 1}}, outputs).give({2, 31}, sums).give({2}, scales).give({31}, columns).run() ==
            "GateQuantizeRows: sums must hold a gate and a value for each output", "odd widths");
  check(Node("DequantizeQkv", {{"query_width", 16}, {"key_width", 16}}, outputs)
                .give({2, 32}, sums).give({2}, scales).give({32}, columns).give({32}, columns).run() ==
            "DequantizeQkv: query_width and key_width must leave a part for the values", "parts");
  Node none("QuantizeRows", {{"rotation", 1}}, {0, 0});
  check(none.give({0, 32}, x).run().empty(), "a step without rows is fine");
  check(FakeRuntime::instance().statuses == 0, "nothing of the runtime's is kept");
}

}  // namespace

int main() {
  rowsTurnAsDefinedAndAlikeOnAllLevels();
  bytesAreWithinHalfAStep();
  rowsWithoutAScaleSaySo();
  normsAndGatesFollowTheirDefinition();
  aTurnedProductIsTheProduct();
  fusedOperatorsAreTheirSteps();
  whatDoesNotFitIsTheStepsStatus();
  std::printf("%s\n", failures == 0 ? "int8 rows: all checks hold" : "int8 rows: checks FAILED");
  return failures == 0 ? 0 : 1;
}
