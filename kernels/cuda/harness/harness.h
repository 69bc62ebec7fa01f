// The harness's parts: cases against float64, ceilings measured on this device, attention timed against them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace blockstitch::harness {

// Ends the process with what went wrong.
[[noreturn]] void fail(const std::string& what);
void check(cudaError_t error, const char* what);

// Device memory of a type, freed at the end of its life.
template <class T>
class Device {
 public:
  explicit Device(size_t count) : count_(count) { check(cudaMalloc(reinterpret_cast<void**>(&data_), (count > 0 ? count : 1) * sizeof(T)), "allocating"); }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    check(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "copying to the device");
  }
  ~Device() { cudaFree(data_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  T* data() const { return data_; }
  size_t size() const { return count_; }
  std::vector<T> toHost() const {
    std::vector<T> values(count_);
    check(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), "copying from the device");
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

// Median milliseconds of `work` put on a stream, after warming up.
template <class F>
double medianMs(cudaStream_t stream, int runs, F&& work);

// @param few fewer cases, for a sanitizer
// @returns cases that failed
int checkCases(bool few);

struct Ceilings {
  double copyBytesPerSecond;  // read plus written, a device copy of 1 GiB
  double flopsPerSecond;      // bfloat16 products with float32 sums
  std::string productOf;      // what computed them
};
Ceilings measureCeilings(cudaStream_t stream);

// Prints the tables. @returns false when the device ran out of memory for a whole table
void timeAttention(const Ceilings& ceilings, bool quick, std::vector<std::string>& json);

template <class F>
double medianMs(cudaStream_t stream, int runs, F&& work) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "creating an event");
  check(cudaEventCreate(&end), "creating an event");
  for (int i = 0; i < 3; ++i) work();
  std::vector<float> times;
  for (int i = 0; i < runs; ++i) {
    check(cudaEventRecord(begin, stream), "recording");
    work();
    check(cudaEventRecord(end, stream), "recording");
    check(cudaEventSynchronize(end), "running");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "timing");
    times.push_back(ms);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  for (size_t i = 1; i < times.size(); ++i)
    for (size_t j = i; j > 0 && times[j] < times[j - 1]; --j) std::swap(times[j], times[j - 1]);
  return times[times.size() / 2];
}

}  // namespace blockstitch::harness
