// Makes and reads ONNX Runtime statuses; see op_status.h.
#include "op_status.h"

#include <cstdio>

namespace blockstitch {

ort::Status* opFailure(ort::Api api, ort::ErrorCode code, const char* message, const char* name) noexcept {
  char text[512];
  std::snprintf(text, sizeof text, "%s: %s", name, message);
  return ort::call<ort::Status*>(api, ort::kCreateStatus, static_cast<int>(code), static_cast<const char*>(text));
}

std::string takeMessage(ort::Api api, ort::Status* status) {
  const char* text = ort::call<const char*>(api, ort::kGetErrorMessage, static_cast<const ort::Status*>(status));
  std::string message(text == nullptr ? "" : text);
  ort::call<void>(api, ort::kReleaseStatus, status);
  return message;
}

}  // namespace blockstitch
