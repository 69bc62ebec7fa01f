// The checksum at every length and place against its definition bit by bit, with and without carry-less products.
#include "crc32.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "checks.h"
#include "kernel_level.h"

using namespace blockstitch;
using namespace blockstitch::cases;

namespace {

/// The definition: one bit after another.
uint32_t bitByBit(uint32_t sum, const uint8_t* bytes, size_t length) {
  sum = ~sum;
  for (size_t i = 0; i < length; i++) {
    sum ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ ((sum & 1) ? 0xedb88320u : 0);
  }
  return ~sum;
}

void sumsFollowTheDefinition(const std::string& level) {
  std::mt19937 random(7);
  std::vector<uint8_t> bytes(5000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t length = 0; length < 700; length++) {
    const size_t from = random() % 64;
    const uint32_t before = random() % 2 ? random() : 0;
    check(crc32(before, bytes.data() + from, length) == bitByBit(before, bytes.data() + from, length),
          level + ": " + std::to_string(length) + " bytes");
  }
  const uint32_t whole = bitByBit(0, bytes.data(), bytes.size());
  for (size_t cut = 0; cut <= bytes.size(); cut += 97) {
    const uint32_t first = crc32(0, bytes.data(), cut);
    check(crc32(first, bytes.data() + cut, bytes.size() - cut) == whole, level + ": cut at " + std::to_string(cut));
  }
  const char* digits = "123456789";
  check(crc32(0, reinterpret_cast<const uint8_t*>(digits), std::strlen(digits)) == 0xcbf43926u, level + ": the check value");
}

}  // namespace

int main() {
  const KernelLevel best = detectKernelLevel();
  sumsFollowTheDefinition("products");
  setKernelLevel(KernelLevel::kPortable);
  sumsFollowTheDefinition("tables");
  setKernelLevel(best);
  if (failures == 0) std::printf("crc32: all checks hold\n");
  return failures == 0 ? 0 : 1;
}
