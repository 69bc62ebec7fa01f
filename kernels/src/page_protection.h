// Writes to memory that is protected, and gives each page back the protection it had.
// Knows mappings (/proc/self/maps); what is written is the caller's.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace blockstitch {

/// Makes the pages of `bytes` bytes from `memory` on writable, calls `write`, and gives every page its own protection back.
/// @returns an empty string; or what is wrong. `write` was then not called, unless the text says that the protection could
///   not be given back
std::string writeProtected(void* memory, size_t bytes, const std::function<void()>& write);

}  // namespace blockstitch
