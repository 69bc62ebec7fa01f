// RowKernels over a vector type: included by one file per instruction set. `Lanes` adds to a `Vec` (vec_*.h) what rows need:
//   turn     the Hadamard matrix of kLanes applied to the lanes
//   load     lanes from integers
//   bytes    128 + value, rounded to nearest even, written as kLanes bytes; values lie in -127.5..127.5
//   divide, oneFrom0 (1 where a lane is 0 or more, else 0)
#pragma once

#include <cmath>
#include <limits>

#include "exponential.h"
#include "row_kernels.h"

namespace blockstitch {

template <typename Lanes>
class RowFunctions {
  using Vec = typename Lanes::Vec;
  static constexpr size_t kLanes = Vec::kLanes;

 public:
  static void rotate(float* row, size_t width, size_t rotation) {
    if (rotation < 2) return;
    for (size_t at = 0; at < width; at += rotation) {
      if (rotation < kLanes) turnFew(row + at, rotation);
      else turnRun(row + at, rotation);
    }
  }

  static void toBytes(const float* row, size_t width, uint8_t* bytes, float* scale) {
    const size_t whole = width - width % kLanes;
    Vec greatest = Vec::zero();
    float greatestOfRest = 0;
    // Zero times a NaN or an infinity is a NaN, and stays one in a sum.
    Vec sick = Vec::zero();
    float sickRest = 0;
    for (size_t i = 0; i < whole; i += kLanes) {
      const Vec x = Vec::load(row + i);
      greatest = Vec::max(greatest, Vec::max(x, Vec::zero() - x));
      sick = Vec::multiplyAdd(x, Vec::zero(), sick);
    }
    for (size_t i = whole; i < width; i++) {
      greatestOfRest = std::fmax(greatestOfRest, std::fabs(row[i]));
      sickRest += row[i] * 0.0f;
    }
    const float most = std::fmax(greatestOfRest, greatest.horizontalMax());
    const bool isSick = std::isnan(sick.horizontalSum() + sickRest);
    *scale = isSick ? std::numeric_limits<float>::quiet_NaN() : most / 127.0f;
    const float inverse = 127.0f / most;
    if (isSick || most == 0 || !std::isfinite(inverse)) {
      // Values too small for a reciprocal count as zeros.
      if (!isSick) *scale = 0;
      for (size_t i = 0; i < width; i++) bytes[i] = kByteZero;
      return;
    }
    const Vec factor = Vec::broadcast(inverse);
    for (size_t i = 0; i < whole; i += kLanes) Lanes::bytes(Vec::load(row + i) * factor, bytes + i);
    for (size_t i = whole; i < width; i++) {
      bytes[i] = static_cast<uint8_t>(static_cast<int>(std::nearbyintf(row[i] * inverse)) + kByteZero);
    }
  }

  static void norm(const float* row, const float* weight, size_t width, float epsilon, float* normed) {
    const size_t whole = width - width % kLanes;
    Vec squares = Vec::zero();
    for (size_t i = 0; i < whole; i += kLanes) {
      const Vec x = Vec::load(row + i);
      squares = Vec::multiplyAdd(x, x, squares);
    }
    float sum = squares.horizontalSum();
    for (size_t i = whole; i < width; i++) sum += row[i] * row[i];
    const float inverse = 1.0f / std::sqrt(sum / static_cast<float>(width) + epsilon);
    const Vec factor = Vec::broadcast(inverse);
    for (size_t i = 0; i < whole; i += kLanes) (Vec::load(row + i) * factor * Vec::load(weight + i)).write(normed + i);
    for (size_t i = whole; i < width; i++) normed[i] = row[i] * inverse * weight[i];
  }

  static void toFloats(const int32_t* sums, float rowScale, const float* columnScales, const float* added, size_t width,
                       float* floats) {
    const size_t whole = width - width % kLanes;
    const Vec factor = Vec::broadcast(rowScale);
    for (size_t i = 0; i < whole; i += kLanes) {
      const Vec scale = factor * Vec::load(columnScales + i);
      const Vec x = added == nullptr ? Lanes::load(sums + i) * scale
                                     : Vec::multiplyAdd(Lanes::load(sums + i), scale, Vec::load(added + i));
      x.write(floats + i);
    }
    for (size_t i = whole; i < width; i++) {
      floats[i] = static_cast<float>(sums[i]) * (rowScale * columnScales[i]) + (added == nullptr ? 0.0f : added[i]);
    }
  }

  static void gate(const int32_t* sums, float rowScale, const float* columnScales, size_t width, float* gated) {
    const size_t whole = width - width % kLanes;
    const Vec factor = Vec::broadcast(rowScale);
    const Vec one = Vec::broadcast(1.0f);
    for (size_t i = 0; i < whole; i += kLanes) {
      const Vec g = Lanes::load(sums + i) * (factor * Vec::load(columnScales + i));
      const Vec u = Lanes::load(sums + width + i) * (factor * Vec::load(columnScales + width + i));
      // 1 / (1 + e^-g) without an exponential that overflows: e^-|g| above or below the line.
      const Vec decay = exponential(Vec::zero() - Vec::max(g, Vec::zero() - g));
      const Vec above = Vec::max(decay, Lanes::oneFrom0(g));
      (g * u * Lanes::divide(above, one + decay)).write(gated + i);
    }
    for (size_t i = whole; i < width; i++) {
      const float g = static_cast<float>(sums[i]) * (rowScale * columnScales[i]);
      const float u = static_cast<float>(sums[width + i]) * (rowScale * columnScales[width + i]);
      gated[i] = g * u / (1.0f + std::exp(-g));
    }
  }

  static const RowKernels& table() {
    static constexpr RowKernels kernels{&rotate, &toBytes, &norm, &toFloats, &gate};
    return kernels;
  }

 private:
  /// A run shorter than a vector.
  static void turnFew(float* run, size_t size) {
    for (size_t half = 1; half < size; half *= 2) {
      for (size_t at = 0; at < size; at += 2 * half) {
        for (size_t i = at; i < at + half; i++) {
          const float x = run[i];
          const float y = run[i + half];
          run[i] = x + y;
          run[i + half] = x - y;
        }
      }
    }
  }

  /// Stages of 1, 2, 4, .. in that order on every level, so that all levels round alike.
  static void turnRun(float* run, size_t size) {
    size_t half = kLanes;
    if (size >= 4 * kLanes) {
      for (size_t i = 0; i < size; i += 4 * kLanes) {
        turnFour(Lanes::turn(Vec::load(run + i)), Lanes::turn(Vec::load(run + i + kLanes)),
                 Lanes::turn(Vec::load(run + i + 2 * kLanes)), Lanes::turn(Vec::load(run + i + 3 * kLanes)), run + i, kLanes);
      }
      half = 4 * kLanes;
    } else {
      for (size_t i = 0; i < size; i += kLanes) Lanes::turn(Vec::load(run + i)).write(run + i);
    }
    for (; 4 * half <= size; half *= 4) {
      for (size_t at = 0; at < size; at += 4 * half) {
        for (size_t i = at; i < at + half; i += kLanes) {
          turnFour(Vec::load(run + i), Vec::load(run + i + half), Vec::load(run + i + 2 * half), Vec::load(run + i + 3 * half),
                   run + i, half);
        }
      }
    }
    for (; half < size; half *= 2) {
      for (size_t at = 0; at < size; at += 2 * half) {
        for (size_t i = at; i < at + half; i += kLanes) {
          const Vec x = Vec::load(run + i);
          const Vec y = Vec::load(run + i + half);
          (x + y).write(run + i);
          (x - y).write(run + i + half);
        }
      }
    }
  }

  /// Two stages over four vectors that stand `stride` floats apart.
  static void turnFour(Vec a, Vec b, Vec c, Vec d, float* to, size_t stride) {
    const Vec ab = a + b, aLessB = a - b, cd = c + d, cLessD = c - d;
    (ab + cd).write(to);
    (aLessB + cLessD).write(to + stride);
    (ab - cd).write(to + 2 * stride);
    (aLessB - cLessD).write(to + 3 * stride);
  }
};

}  // namespace blockstitch
