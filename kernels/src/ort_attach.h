// Stands between onnxruntime-node and ONNX Runtime: exports OrtGetApiBase and adds the op's domain to every session.
#pragma once

#include <string>

namespace blockstitch {

/// Opens the real library and prepares the patched API table. Once per process, before onnxruntime-node is loaded.
/// @param version receives the library's version, e.g. "1.30.0"
/// @returns an empty string, or what is wrong
std::string attachOnnxRuntime(const std::string& libraryPath, std::string* version);

/// Offers the device operators to the sessions made from then on; once, later calls change nothing. After attachOnnxRuntime.
/// @returns an empty string, or what is wrong
std::string addDeviceOperators();

/// Whether somebody has asked our OrtGetApiBase for the table.
bool isOnnxRuntimeAttached();

}  // namespace blockstitch
