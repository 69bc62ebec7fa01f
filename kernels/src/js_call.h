// One call from JavaScript: its checked arguments and its answer, over plain Node-API.
// Knows JavaScript values; it knows no pool and no kernel.
//
// While an environment ends (process.exit, Worker.terminate), Node-API refuses nearly every call, also the one that throws
// a JavaScript error. An exception that then leaves a callback runs through C frames and ends the process. So every
// callback is an `entry`: nothing leaves it, and a refusal by Node-API is never answered with another call.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace blockstitch::js {

/// The call cannot be done; the caller gets a JavaScript error of that kind.
class Error : public std::runtime_error {
 public:
  enum Kind { kError, kTypeError, kRangeError };
  Error(Kind kind, const std::string& message) : std::runtime_error(message), kind(kind) {}
  const Kind kind;
};

/// Node-API refused: a JavaScript exception is pending, or the environment ends. There is nothing left to say.
struct Refused {};

/// @throws Refused where `status` is not napi_ok
inline void must(napi_status status) {
  if (status != napi_ok) throw Refused{};
}

/// Elements of a typed array. They stay where they are while the array is alive and nobody transfers it.
template <typename T>
struct Elements {
  T* data;
  size_t length;
  napi_value array;
};

/// Arguments of one call, checked as they are asked for. `name` stands in the error's message.
class Call {
 public:
  static constexpr size_t kMostArguments = 4;

  Call(napi_env env, napi_callback_info info);

  napi_env env() const { return env_; }
  /// @throws Error (TypeError, RangeError) unless the argument is a whole number in low .. high
  int64_t whole(size_t index, const char* name, int64_t low, int64_t high) const;
  std::string text(size_t index, const char* name) const;
  napi_value object(size_t index, const char* name) const;
  Elements<int32_t> int32s(size_t index, const char* name) const;
  Elements<float> floats(size_t index, const char* name) const;
  Elements<uint8_t> bytes(size_t index, const char* name) const;

 private:
  void* typedArray(size_t index, const char* name, const char* typeName, napi_typedarray_type type, size_t* length) const;

  napi_env env_;
  napi_value arguments_[kMostArguments];
};

/// Whole number at a field of an object, in low .. high. @throws Error naming the field
int64_t wholeField(napi_env env, napi_value object, const char* field, int64_t low, int64_t high);
std::string textField(napi_env env, napi_value object, const char* field);
/// Whether the field is there and not undefined.
bool hasField(napi_env env, napi_value object, const char* field);

napi_value undefined(napi_env env);
napi_value boolean(napi_env env, bool value);
napi_value number(napi_env env, double value);
napi_value text(napi_env env, const std::string& value);
napi_value object(napi_env env);
void setField(napi_env env, napi_value object, const char* field, napi_value value);

/// Throws in JavaScript. An environment that ends refuses, and then nobody is left to hear it.
void throwError(napi_env env, Error::Kind kind, const char* message) noexcept;

/// Runs `work`; whatever it throws becomes a JavaScript error. @returns its value, or null
template <typename Work>
napi_value guarded(napi_env env, Work&& work) noexcept {
  try {
    return work();
  } catch (const Refused&) {
    // A pending JavaScript exception goes on by itself.
  } catch (const Error& error) {
    throwError(env, error.kind, error.what());
  } catch (const std::bad_alloc&) {
    throwError(env, Error::kError, "there is not enough memory for this call of the native addon");
  } catch (const std::exception& error) {
    throwError(env, Error::kError, error.what());
  } catch (...) {
    throwError(env, Error::kError, "the native addon failed for an unknown reason");
  }
  return nullptr;
}

/// The callback that Node-API gets for `kFunction`.
template <napi_value (*kFunction)(const Call&)>
napi_value entry(napi_env env, napi_callback_info info) noexcept {
  return guarded(env, [&] { return kFunction(Call(env, info)); });
}

}  // namespace blockstitch::js
