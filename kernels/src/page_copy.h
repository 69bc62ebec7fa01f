// One copy between a pool's pages and a payload, on a thread of libuv's pool; JavaScript gets a promise.
// Knows the life of such a copy; what is copied is page_pool.h.
#pragma once

#include <cstdint>
#include <vector>

#include "js_call.h"
#include "page_pool.h"

namespace blockstitch {

enum class CopyDirection { kOutOfPages, kIntoPages };

/// Starts the copy of `tokens` tokens. Pages and lengths fit the pool: the caller has checked them.
/// Where the environment ends before the copy does, the copy is completed and nobody is told.
/// @param payload stays alive until the copy is complete; nobody may transfer its buffer meanwhile
/// @returns a promise of the payload's CRC-32, rejected with an Error that says what went wrong
napi_value startPageCopy(napi_env env, CopyDirection direction, PagePool pool, std::vector<int32_t> pages, size_t tokens,
                         const js::Elements<uint8_t>& payload);

}  // namespace blockstitch
