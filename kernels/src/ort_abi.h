// The part of ONNX Runtime's C ABI that the op needs: the API table's entries by name, and the custom-op table.
// The table is ABI stable: releases only append entries, so a number stays true for every later release.
// Knows numbers and signatures; ort_attach.cc and the operators call them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace blockstitch::ort {

struct Status;
struct Session;
struct SessionOptions;
struct CustomOpDomain;
struct KernelInfo;
struct KernelContext;
struct Value;
struct Env;

/// Version of the API table asked of ONNX Runtime: the first with GetTensorElementTypeAndShapeDataReference.
constexpr uint32_t kApiVersion = 24;

/// Entries of the API table, by their place in it.
enum Entry : size_t {
  kCreateStatus = 0,
  kGetErrorMessage = 2,
  kCreateSession = 7,
  kCreateSessionFromArray = 8,
  kCloneSessionOptions = 12,
  kCreateCustomOpDomain = 26,
  kCustomOpDomainAdd = 27,
  kAddCustomOpDomain = 28,
  kGetTensorMutableData = 51,
  kKernelInfoGetAttributeFloat = 85,
  kKernelInfoGetAttributeInt64 = 86,
  kKernelContextGetInput = 90,
  kKernelContextGetOutput = 91,
  kReleaseStatus = 93,
  kReleaseSessionOptions = 100,
  kReleaseCustomOpDomain = 101,
  kKernelContextGetGpuComputeStream = 193,
  kKernelContextParallelFor = 274,
  kGetTensorElementTypeAndShapeDataReference = 414,
  kEntriesUsed = 415,
};

/// A view of the API table.
using Api = void* const*;

struct ApiBase {
  Api (*getApi)(uint32_t version) noexcept;
  const char* (*getVersionString)() noexcept;
};

enum ErrorCode : int { kFail = 1, kInvalidArgument = 2 };
enum ElementType : int { kUndefined = 0, kFloat = 1, kUint8 = 2, kInt32 = 6, kFloat16 = 10, kDouble = 11, kBfloat16 = 16 };
enum Characteristic : int { kRequired = 0 };
enum MemoryType : int { kMemoryCpuInput = -2, kMemoryDefault = 0 };

/// Calls entry `entry` of `api` with the signature given.
template <typename Result, typename... Arguments>
Result call(Api api, Entry entry, Arguments... arguments) {
  return reinterpret_cast<Result (*)(Arguments...)>(api[entry])(arguments...);
}

/// The custom-op table, version 17. Unused entries are null.
struct CustomOp {
  uint32_t version;
  void* (*createKernel)(const CustomOp*, Api, const KernelInfo*);
  const char* (*getName)(const CustomOp*);
  const char* (*getExecutionProviderType)(const CustomOp*);
  ElementType (*getInputType)(const CustomOp*, size_t);
  size_t (*getInputTypeCount)(const CustomOp*);
  ElementType (*getOutputType)(const CustomOp*, size_t);
  size_t (*getOutputTypeCount)(const CustomOp*);
  void (*kernelCompute)(void*, KernelContext*);
  void (*kernelDestroy)(void*);
  Characteristic (*getInputCharacteristic)(const CustomOp*, size_t);
  Characteristic (*getOutputCharacteristic)(const CustomOp*, size_t);
  MemoryType (*getInputMemoryType)(const CustomOp*, size_t);
  int (*getVariadicInputMinArity)(const CustomOp*);
  int (*getVariadicInputHomogeneity)(const CustomOp*);
  int (*getVariadicOutputMinArity)(const CustomOp*);
  int (*getVariadicOutputHomogeneity)(const CustomOp*);
  Status* (*createKernelV2)(const CustomOp*, Api, const KernelInfo*, void**);
  Status* (*kernelComputeV2)(void*, KernelContext*);
  Status* (*inferOutputShape)(const CustomOp*, void*);
  int (*getStartVersion)(const CustomOp*);
  int (*getEndVersion)(const CustomOp*);
  size_t (*getMayInplace)(int**, int**);
  void (*releaseMayInplace)(int*, int*);
  size_t (*getAliasMap)(int**, int**);
  void (*releaseAliasMap)(int*, int*);
};

}  // namespace blockstitch::ort
