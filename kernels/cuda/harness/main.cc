// cuda_harness: checks every case against float64, measures this device's ceilings, times attention against them.
// Needs a GPU and its driver, nothing else. Exit code: 0 all passed, 1 a case failed, 2 could not run, 77 there is no GPU.
#include <cstdio>
#include <cstring>

#include "harness.h"

namespace blockstitch::harness {

void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(2);
}

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(std::string(what) + ": " + cudaGetErrorString(error));
}

}  // namespace blockstitch::harness

using namespace blockstitch::harness;

int main(int argc, char** argv) {
  bool time = true, quick = false, few = false, asJson = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--check") time = false;
    else if (option == "--few") few = true, time = false;
    else if (option == "--quick") quick = true;
    else if (option == "--json") asJson = true;
    else fail("usage: cuda_harness [--check] [--few] [--quick] [--json]\n\n  --check  cases only, no timing\n  --few    fewer and smaller cases, no timing: for compute-sanitizer\n"
              "  --quick  time bfloat16 only\n  --json   the table once more as JSON, one line");
  }
  int devices = 0;
  const cudaError_t found = cudaGetDeviceCount(&devices);
  if (found != cudaSuccess || devices == 0) {
    std::printf("not run: no GPU (%s)\n", cudaGetErrorString(found));
    return 77;
  }
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "describing the device");
  int driver = 0;
  check(cudaDriverGetVersion(&driver), "asking for the driver");
  std::printf("%s, sm_%d%d, %d processors, %.0f GiB, driver for CUDA %d.%d\n", properties.name, properties.major, properties.minor,
              properties.multiProcessorCount, static_cast<double>(properties.totalGlobalMem) / (1 << 30), driver / 1000, driver % 1000 / 10);
  const int failures = checkCases(few);
  if (time) {
    const Ceilings ceilings = measureCeilings(nullptr);
    std::printf("copy %.0f GB/s (read and written); product %.0f TFLOP/s (%s)\n", ceilings.copyBytesPerSecond / 1e9,
                ceilings.flopsPerSecond / 1e12, ceilings.productOf.c_str());
    std::vector<std::string> json;
    timeAttention(ceilings, quick, json);
    if (asJson) {
      std::printf("{\"device\":\"%s\",\"copyBytesPerSecond\":%.4g,\"flopsPerSecond\":%.4g,\"rows\":[", properties.name,
                  ceilings.copyBytesPerSecond, ceilings.flopsPerSecond);
      for (size_t i = 0; i < json.size(); ++i) std::printf("%s%s", i > 0 ? "," : "", json[i].c_str());
      std::printf("]}\n");
    }
  }
  return failures == 0 ? 0 : 1;
}
