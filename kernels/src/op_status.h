// How an operator fails: as an ONNX Runtime status that ends this one step. No exception leaves an operator.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "ort_abi.h"

namespace blockstitch {

/// A status "<operator>: <message>". Takes no memory but ONNX Runtime's own; a very long message is cut.
ort::Status* opFailure(ort::Api api, ort::ErrorCode code, const char* message, const char* name = "BlockAttention") noexcept;
inline ort::Status* opFailure(ort::Api api, ort::ErrorCode code, const std::string& message) noexcept {
  return opFailure(api, code, message.c_str());
}

/// Text of a status, which is released. `status` is not null.
std::string takeMessage(ort::Api api, ort::Status* status);

/// A status on its way through code that returns something else; whoever catches it owns it.
struct StatusError {
  ort::Status* status;
};

/// Runs `work`, which returns a status or throws. @returns its status, or one that says what it threw
template <typename Work>
ort::Status* guardedStatus(ort::Api api, Work&& work, const char* name = "BlockAttention") noexcept {
  try {
    return work();
  } catch (const StatusError& error) {
    return error.status;
  } catch (const std::bad_alloc&) {
    return opFailure(api, ort::kFail, "there is not enough memory for this step", name);
  } catch (const std::exception& error) {
    return opFailure(api, ort::kFail, error.what(), name);
  } catch (...) {
    return opFailure(api, ort::kFail, "the step failed for an unknown reason", name);
  }
}

}  // namespace blockstitch
