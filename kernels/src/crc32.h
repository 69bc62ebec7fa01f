// CRC-32 as zlib has it (reflected polynomial 0xedb88320): the checksum of stored payloads.
// Knows bytes. docs/decisions/088-values-go-straight-into-pages.md says why it is not zlib's own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace blockstitch {

/// @param sum of the bytes before these, 0 at the start @returns the sum of all so far
uint32_t crc32(uint32_t sum, const uint8_t* bytes, size_t length);

}  // namespace blockstitch
