// Stands between onnxruntime-node and ONNX Runtime: exports OrtGetApiBase and adds the op's domain to every session.
// Knows ONNX Runtime's table of functions; the operators are block_attention_op.h and device_attention_op.h.
#pragma once

#include <string>

#include "ort_abi.h"

namespace blockstitch {

/// Opens the real library and patches two entries of its API table: the session constructors. Once per process and before
/// onnxruntime-node is loaded; a later call changes nothing, unless the earlier ones failed.
/// @param version receives the library's version, e.g. "1.30.0"
/// @returns an empty string, or what is wrong
std::string attachOnnxRuntime(const std::string& libraryPath, std::string* version);

/// The same with a library that is already open. @param base what its OrtGetApiBase returned
std::string attachOnnxRuntime(const ort::ApiBase* base);

/// Offers the device operators to the sessions made from then on; once, later calls change nothing. After attachOnnxRuntime.
/// @returns an empty string, or what is wrong
std::string addDeviceOperators();

/// Whether somebody has asked our OrtGetApiBase for the table and got it.
bool isOnnxRuntimeAttached();

}  // namespace blockstitch
