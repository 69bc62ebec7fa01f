// Eight float lanes in plain C++: the path for any processor. Read it first; the other vec_*.h do the same.
// Every vec_*.h defines one `Vec` with these operations; attend_tile.h is written over it.
#pragma once

#include <cmath>
#include <cstring>

#include "element.h"

namespace blockstitch {

struct PortableVec {
  static constexpr size_t kLanes = 8;
  static constexpr size_t kRegisters = 16;
  float lane[kLanes];

  static PortableVec broadcast(float value) {
    PortableVec result;
    for (float& each : result.lane) each = value;
    return result;
  }
  static PortableVec zero() { return broadcast(0.0f); }
  template <typename Element>
  static PortableVec load(const Element* from) {
    PortableVec result;
    for (size_t i = 0; i < kLanes; i++) result.lane[i] = toFloat(from[i]);
    return result;
  }
  void write(float* to) const { std::memcpy(to, lane, sizeof lane); }
  void write(Half* to) const {
    for (size_t i = 0; i < kLanes; i++) store(lane[i], to + i);
  }
  /// Rounds to whole numbers, to nearest even; they fit.
  void write(int8_t* to) const {
    for (size_t i = 0; i < kLanes; i++) to[i] = static_cast<int8_t>(std::lrint(lane[i]));
  }
  static PortableVec multiplyAdd(PortableVec a, PortableVec b, PortableVec c) {
    for (size_t i = 0; i < kLanes; i++) c.lane[i] += a.lane[i] * b.lane[i];
    return c;
  }
  friend PortableVec operator*(PortableVec a, PortableVec b) {
    for (size_t i = 0; i < kLanes; i++) a.lane[i] *= b.lane[i];
    return a;
  }
  friend PortableVec operator+(PortableVec a, PortableVec b) {
    for (size_t i = 0; i < kLanes; i++) a.lane[i] += b.lane[i];
    return a;
  }
  friend PortableVec operator-(PortableVec a, PortableVec b) {
    for (size_t i = 0; i < kLanes; i++) a.lane[i] -= b.lane[i];
    return a;
  }
  static PortableVec max(PortableVec a, PortableVec b) {
    for (size_t i = 0; i < kLanes; i++) a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    return a;
  }
  static PortableVec round(PortableVec a) {
    for (float& each : a.lane) each = std::nearbyintf(each);
    return a;
  }
  /// 2^n for whole n in -126..127.
  static PortableVec powerOfTwo(PortableVec n) {
    for (float& each : n.lane) each = bitsFloat(static_cast<uint32_t>(static_cast<int32_t>(each) + 127) << 23);
    return n;
  }
  static bool anyGreater(PortableVec a, PortableVec b) {
    bool any = false;
    for (size_t i = 0; i < kLanes; i++) any |= a.lane[i] > b.lane[i];
    return any;
  }
  float horizontalMax() const {
    float best = lane[0];
    for (size_t i = 1; i < kLanes; i++) best = best > lane[i] ? best : lane[i];
    return best;
  }
  float horizontalSum() const {
    float half[4];
    for (size_t i = 0; i < 4; i++) half[i] = lane[i] + lane[i + 4];
    return (half[0] + half[2]) + (half[1] + half[3]);
  }
};

}  // namespace blockstitch
