// Runs page copies off the JavaScript thread; see page_copy.h.
#include "page_copy.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace blockstitch {

namespace {

class PageCopy {
 public:
  PageCopy(napi_env env, CopyDirection direction, PagePool pool, std::vector<int32_t> pages, size_t tokens, uint8_t* bytes)
      : env_(env), direction_(direction), pool_(std::move(pool)), pages_(std::move(pages)), tokens_(tokens), bytes_(bytes) {}
  PageCopy(const PageCopy&) = delete;
  PageCopy& operator=(const PageCopy&) = delete;

  /// On the JavaScript thread. Results are not looked at: an environment that ends frees its references itself.
  ~PageCopy() {
    if (payload_ != nullptr) napi_delete_reference(env_, payload_);
    if (work_ != nullptr) napi_delete_async_work(env_, work_);
  }

  /// @returns the promise; from then on the copy deletes itself. @throws js::Refused, and nothing was started
  static napi_value start(std::unique_ptr<PageCopy> copy, napi_value payload) {
    napi_value name = nullptr;
    napi_value promise = nullptr;
    js::must(napi_create_reference(copy->env_, payload, 1, &copy->payload_));
    js::must(napi_create_string_utf8(copy->env_, "blockstitch.pageCopy", NAPI_AUTO_LENGTH, &name));
    js::must(napi_create_async_work(copy->env_, nullptr, name, &execute, &complete, copy.get(), &copy->work_));
    js::must(napi_create_promise(copy->env_, &copy->deferred_, &promise));
    js::must(napi_queue_async_work(copy->env_, copy->work_));
    copy.release();
    return promise;
  }

 private:
  /// On a thread of libuv's pool: an exception must not leave, and JavaScript must not be touched.
  static void execute(napi_env, void* data) noexcept { static_cast<PageCopy*>(data)->copy(); }

  void copy() noexcept {
    try {
      const std::string wrong = direction_ == CopyDirection::kOutOfPages ? pool_.read(pages_.data(), tokens_, bytes_, &sum_)
                                                                         : pool_.write(pages_.data(), tokens_, bytes_, &sum_);
      if (!wrong.empty()) fail(wrong.c_str());
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("the page copy failed for an unknown reason");
    }
  }

  void fail(const char* reason) noexcept { std::snprintf(wrong_, sizeof wrong_, "%s", reason); }

  /// On the JavaScript thread, also while its environment ends: Node-API then refuses, and that is the end of it.
  static void complete(napi_env env, napi_status status, void* data) noexcept {
    const std::unique_ptr<PageCopy> copy(static_cast<PageCopy*>(data));
    if (status == napi_ok && copy->wrong_[0] == '\0') {
      napi_value sum = nullptr;
      if (napi_create_uint32(env, copy->sum_, &sum) == napi_ok) napi_resolve_deferred(env, copy->deferred_, sum);
      return;
    }
    const char* reason = status == napi_ok ? copy->wrong_ : "the page copy was cancelled";
    napi_value message = nullptr;
    napi_value error = nullptr;
    if (napi_create_string_utf8(env, reason, NAPI_AUTO_LENGTH, &message) == napi_ok &&
        napi_create_error(env, nullptr, message, &error) == napi_ok) {
      napi_reject_deferred(env, copy->deferred_, error);
    }
  }

  const napi_env env_;
  const CopyDirection direction_;
  const PagePool pool_;
  const std::vector<int32_t> pages_;
  const size_t tokens_;
  uint8_t* const bytes_;
  uint32_t sum_ = 0;
  char wrong_[512] = "";
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
  napi_ref payload_ = nullptr;
};

}  // namespace

napi_value startPageCopy(napi_env env, CopyDirection direction, PagePool pool, std::vector<int32_t> pages, size_t tokens,
                         const js::Elements<uint8_t>& payload) {
  auto copy = std::make_unique<PageCopy>(env, direction, std::move(pool), std::move(pages), tokens, payload.data);
  return PageCopy::start(std::move(copy), payload.array);
}

}  // namespace blockstitch
