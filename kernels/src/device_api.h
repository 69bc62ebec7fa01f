// The C table through which the addon uses a device library (libblockstitch_cuda.so): pools and attention on a GPU.
// The library knows neither ONNX Runtime nor JavaScript, and the addon does not know CUDA. This file is all they share.
// Every call returns null, or says what went wrong. The text stays valid until the thread's next call.
#pragma once

#include <cstdint>

namespace blockstitch {

constexpr uint32_t kDeviceApiVersion = 1;
/// Name of the one exported function: `const DeviceApi* blockstitchDeviceApi(uint32_t version)`, null for another version.
constexpr const char* kDeviceApiSymbol = "blockstitchDeviceApi";

struct DeviceInfo {
  char name[256];
  int32_t capabilityMajor;
  int32_t capabilityMinor;
  int32_t processors;
  uint64_t totalBytes;
  uint64_t freeBytes;
};

struct DevicePoolShape {
  int64_t pages;
  int32_t pageTokens;  ///< 16 or 32
  int32_t layers;
  int32_t kvHeads;
  int32_t headDim;     ///< 64, 80, 96, 128 or 256
  int32_t dtype;       ///< KvDtype: float16, bfloat16 or int8
};

/// One layer of one step. Pointers are device memory unless they say otherwise.
struct DeviceAttention {
  const void* query;         ///< [rows, heads * headDim], before RoPE
  const void* key;           ///< [rows, kvHeads * headDim]
  const void* value;         ///< [rows, kvHeads * headDim]
  const float* cos;          ///< [positions, rotaryDim / 2]
  const float* sin;
  void* output;              ///< [rows, heads * headDim]
  const int32_t* metadata;   ///< host memory, see src/kernels/step-metadata.ts
  uint64_t metadataSize;     ///< int32 values
  int64_t rows;
  int64_t positions;
  int32_t elementType;       ///< KvDtype of query, key, value and output: float16 or bfloat16
  int32_t layer;
  int32_t heads;
  int32_t kvHeads;
  int32_t headDim;
  int32_t rotaryDim;
  int32_t interleaved;
  int32_t window;
  float scale;
  float softcap;
  void* stream;              ///< the session's own
};

struct DeviceApi {
  uint32_t version;
  /// ONNX Runtime's execution provider whose tensors the library takes.
  const char* provider;
  /// Devices that can be used; an error where the driver is missing.
  const char* (*countDevices)(int32_t* count);
  const char* (*describeDevice)(int32_t device, DeviceInfo* info);
  const char* (*pageBytes)(const DevicePoolShape* shape, uint64_t* bytes);
  const char* (*createPool)(int32_t device, const DevicePoolShape* shape, void** pool);
  void (*destroyPool)(void* pool);
  /// Blocks the calling thread until the copy is complete; steps go on meanwhile.
  const char* (*readPages)(void* pool, const int32_t* pages, uint64_t tokens, uint8_t* payload);
  const char* (*writePages)(void* pool, const int32_t* pages, uint64_t tokens, const uint8_t* payload);
  /// Puts append and attention on the stream and returns.
  const char* (*attend)(void* pool, const DeviceAttention* attention);
};

}  // namespace blockstitch
