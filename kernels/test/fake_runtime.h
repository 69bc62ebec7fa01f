// A small ONNX Runtime for tests of the operators: the entries of its API table that they use, tensors, and threads.
// Knows the C ABI. The test chooses what runs and knows the right results.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ort_abi.h"

namespace blockstitch::ort {

struct Status {
  int code;
  char message[600];
};

struct Value {
  std::vector<int64_t> shape;
  void* data;
};

struct KernelInfo {
  std::map<std::string, int64_t> integers;
  std::map<std::string, float> floats;
};

struct KernelContext {
  std::vector<Value> inputs;
  Value output;
  std::vector<float> outputData;
  /// For operators with several outputs: memory of each, made beforehand. Empty: there is one output, as above.
  std::vector<std::vector<char>> memory;
  std::vector<Value> outputs;
};

}  // namespace blockstitch::ort

namespace blockstitch::cases {

/// What the next runs do, and what is not given back yet.
struct FakeRuntime {
  bool refusesParallelFor = false;
  /// Called on each of the runtime's threads before it runs items.
  std::function<void()> onThread;
  int statuses = 0;
  int parallelRuns = 0;

  static FakeRuntime& instance() {
    static FakeRuntime runtime;
    return runtime;
  }

  static ort::Status* failure(int code, const char* message) noexcept {
    auto* status = static_cast<ort::Status*>(std::malloc(sizeof(ort::Status)));  // as ONNX Runtime does: not by new
    status->code = code;
    std::strncpy(status->message, message, sizeof status->message - 1);
    status->message[sizeof status->message - 1] = '\0';
    instance().statuses++;
    return status;
  }

  static const char* message(const ort::Status* status) noexcept { return status->message; }

  static void release(ort::Status* status) noexcept {
    std::free(status);
    instance().statuses--;
  }

  /// Text of a status, which is given back; empty for none.
  static std::string textOf(ort::Status* status) {
    if (status == nullptr) return {};
    const std::string text = status->message;
    release(status);
    return text;
  }

  /// The API table.
  static std::vector<void*>& table() {
    static std::vector<void*> entries = make();
    return entries;
  }

  static ort::Api api() { return table().data(); }

 private:
  static ort::Status* parallelFor(const ort::KernelContext*, void (*each)(void*, size_t), size_t count, size_t, void* data) noexcept {
    FakeRuntime& self = instance();
    self.parallelRuns++;
    if (self.refusesParallelFor) return failure(ort::kFail, "the thread pool is gone");
    // A plain thread: std::thread would take memory by new, which the test lets fail.
    Share share{each, data, count};
    pthread_t other;
    if (pthread_create(&other, nullptr, &runShare, &share) != 0) return failure(ort::kFail, "no thread for the test");
    for (size_t i = 0; i < count; i += 2) each(data, i);
    pthread_join(other, nullptr);
    return nullptr;
  }

  /// The odd items of one run.
  struct Share {
    void (*each)(void*, size_t);
    void* data;
    size_t count;
  };

  static void* runShare(void* argument) noexcept {
    const Share& share = *static_cast<const Share*>(argument);
    if (instance().onThread) instance().onThread();
    for (size_t i = 1; i < share.count; i += 2) share.each(share.data, i);
    return nullptr;
  }

  static std::vector<void*> make() {
    std::vector<void*> entries(ort::kEntriesUsed, nullptr);
    const auto set = [&](ort::Entry entry, auto function) { entries[entry] = reinterpret_cast<void*>(+function); };
    set(ort::kCreateStatus, [](int code, const char* message) { return failure(code, message); });
    set(ort::kGetErrorMessage, [](const ort::Status* status) { return message(status); });
    set(ort::kReleaseStatus, [](ort::Status* status) { release(status); });
    set(ort::kGetTensorElementTypeAndShapeDataReference,
        [](const ort::Value* value, ort::ElementType* type, const int64_t** shape, size_t* rank) -> ort::Status* {
          *type = ort::kFloat;
          *shape = value->shape.data();
          *rank = value->shape.size();
          return nullptr;
        });
    set(ort::kGetTensorMutableData, [](ort::Value* value, void** data) -> ort::Status* {
      *data = value->data;
      return nullptr;
    });
    set(ort::kKernelInfoGetAttributeInt64, [](const ort::KernelInfo* info, const char* name, int64_t* value) -> ort::Status* {
      const auto found = info->integers.find(name);
      if (found == info->integers.end()) return failure(ort::kInvalidArgument, "no such attribute");
      *value = found->second;
      return nullptr;
    });
    set(ort::kKernelInfoGetAttributeFloat, [](const ort::KernelInfo* info, const char* name, float* value) -> ort::Status* {
      const auto found = info->floats.find(name);
      if (found == info->floats.end()) return failure(ort::kInvalidArgument, "no such attribute");
      *value = found->second;
      return nullptr;
    });
    set(ort::kKernelContextGetInput, [](const ort::KernelContext* context, size_t index, const ort::Value** value) -> ort::Status* {
      *value = &context->inputs[index];
      return nullptr;
    });
    set(ort::kKernelContextGetOutput, [](ort::KernelContext* context, size_t index, const int64_t* shape, size_t rank, ort::Value** value) -> ort::Status* {
      if (!context->memory.empty()) {
        context->outputs.resize(context->memory.size());
        context->outputs[index] = {std::vector<int64_t>(shape, shape + rank), context->memory[index].data()};
        *value = &context->outputs[index];
        return nullptr;
      }
      // The output's memory was made beforehand, so that only the operator's own allocations can fail.
      if (rank != 2 || static_cast<size_t>(shape[0] * shape[1]) != context->outputData.size()) return failure(ort::kFail, "unexpected shape");
      context->output.data = context->outputData.data();
      *value = &context->output;
      return nullptr;
    });
    set(ort::kKernelContextParallelFor, &parallelFor);
    return entries;
  }
};

}  // namespace blockstitch::cases
