// Reads and writes JavaScript values; see js_call.h.
#include "js_call.h"

#include <cmath>

namespace blockstitch::js {

namespace {

std::string wrongType(const char* name, const char* wanted) { return std::string(name) + " must be " + wanted; }

napi_valuetype typeOf(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  must(napi_typeof(env, value, &type));
  return type;
}

int64_t wholeNumber(napi_env env, napi_value value, const char* name, int64_t low, int64_t high) {
  if (typeOf(env, value) != napi_number) throw Error(Error::kTypeError, wrongType(name, "a number"));
  double number = 0;
  must(napi_get_value_double(env, value, &number));
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::floor(number)) {
    throw Error(Error::kRangeError, std::string(name) + " must be a whole number from " + std::to_string(low) + " to " +
                                        std::to_string(high));
  }
  return static_cast<int64_t>(number);
}

std::string textOf(napi_env env, napi_value value, const char* name) {
  if (typeOf(env, value) != napi_string) throw Error(Error::kTypeError, wrongType(name, "a string"));
  size_t length = 0;
  must(napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  std::string result(length, '\0');
  must(napi_get_value_string_utf8(env, value, result.data(), length + 1, &length));
  return result;
}

napi_value fieldOf(napi_env env, napi_value object, const char* field) {
  napi_value value = nullptr;
  must(napi_get_named_property(env, object, field, &value));
  return value;
}

}  // namespace

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kMostArguments;  // Node-API fills missing arguments with undefined
  must(napi_get_cb_info(env, info, &count, arguments_, nullptr, nullptr));
}

int64_t Call::whole(size_t index, const char* name, int64_t low, int64_t high) const {
  return wholeNumber(env_, arguments_[index], name, low, high);
}

std::string Call::text(size_t index, const char* name) const { return textOf(env_, arguments_[index], name); }

napi_value Call::object(size_t index, const char* name) const {
  if (typeOf(env_, arguments_[index]) != napi_object) throw Error(Error::kTypeError, wrongType(name, "an object"));
  return arguments_[index];
}

void* Call::typedArray(size_t index, const char* name, const char* typeName, napi_typedarray_type type, size_t* length) const {
  bool isTyped = false;
  must(napi_is_typedarray(env_, arguments_[index], &isTyped));
  napi_typedarray_type actual = type;
  void* data = nullptr;
  if (isTyped) must(napi_get_typedarray_info(env_, arguments_[index], &actual, length, &data, nullptr, nullptr));
  if (!isTyped || actual != type) throw Error(Error::kTypeError, wrongType(name, typeName));
  return data;
}

Elements<int32_t> Call::int32s(size_t index, const char* name) const {
  size_t length = 0;
  void* data = typedArray(index, name, "an Int32Array", napi_int32_array, &length);
  return {static_cast<int32_t*>(data), length, arguments_[index]};
}

Elements<float> Call::floats(size_t index, const char* name) const {
  size_t length = 0;
  void* data = typedArray(index, name, "a Float32Array", napi_float32_array, &length);
  return {static_cast<float*>(data), length, arguments_[index]};
}

Elements<uint8_t> Call::bytes(size_t index, const char* name) const {
  size_t length = 0;
  void* data = typedArray(index, name, "a Uint8Array", napi_uint8_array, &length);
  return {static_cast<uint8_t*>(data), length, arguments_[index]};
}

int64_t wholeField(napi_env env, napi_value object, const char* field, int64_t low, int64_t high) {
  return wholeNumber(env, fieldOf(env, object, field), field, low, high);
}

std::string textField(napi_env env, napi_value object, const char* field) {
  return textOf(env, fieldOf(env, object, field), field);
}

bool hasField(napi_env env, napi_value object, const char* field) {
  return typeOf(env, fieldOf(env, object, field)) != napi_undefined;
}

napi_value undefined(napi_env env) {
  napi_value value = nullptr;
  must(napi_get_undefined(env, &value));
  return value;
}

napi_value boolean(napi_env env, bool value) {
  napi_value result = nullptr;
  must(napi_get_boolean(env, value, &result));
  return result;
}

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  must(napi_create_double(env, value, &result));
  return result;
}

napi_value text(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  must(napi_create_string_utf8(env, value.data(), value.size(), &result));
  return result;
}

napi_value object(napi_env env) {
  napi_value result = nullptr;
  must(napi_create_object(env, &result));
  return result;
}

void setField(napi_env env, napi_value object, const char* field, napi_value value) {
  must(napi_set_named_property(env, object, field, value));
}

void throwError(napi_env env, Error::Kind kind, const char* message) noexcept {
  switch (kind) {
    case Error::kTypeError: napi_throw_type_error(env, nullptr, message); return;
    case Error::kRangeError: napi_throw_range_error(env, nullptr, message); return;
    case Error::kError: napi_throw_error(env, nullptr, message); return;
  }
}

}  // namespace blockstitch::js
