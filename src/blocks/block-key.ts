/**
 * The content hash under which a block's KV is kept: equal inputs, equal key, on every replica and after every restart.
 * Knows the encoding only; which ids are sinks and what the fingerprint covers is decided above.
 */
import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import type { KvDtype } from '../kernels/native-addon.js';
import type { BlockKey } from './block-store.js';

/** Raised when the encoding below or the stored layout changes in a way that makes old values wrong. */
export const KEY_VERSION = 1;

export interface BlockKeyParts {
  /** Hex SHA-256 of the imported model (`ImportedModel.fingerprint`). */
  fingerprint: string;
  kvDtype: KvDtype;
  /** Ids that stand in front of the block; their KV flows into the block's own. */
  sinkTokenIds: Int32Array;
  /** Separates tenants; absent and empty are the same. */
  cacheSalt?: string | undefined;
  tokenIds: Int32Array;
}

/**
 * SHA-256 over the fields in a fixed order, each behind its length (uint32, bytes), ids as little-endian int32:
 * no two different inputs share an encoding.
 *
 * @returns 64 lower-case hex digits
 */
export function blockKey({ fingerprint, kvDtype, sinkTokenIds, cacheSalt = '', tokenIds }: BlockKeyParts): BlockKey {
  const hash = createHash('sha256');
  const fields = [
    Buffer.from('blockstitch-block'),
    littleEndian(Int32Array.of(KEY_VERSION)),
    Buffer.from(fingerprint),
    Buffer.from(kvDtype),
    littleEndian(sinkTokenIds),
    // UTF-16, so that lone surrogates (which UTF-8 would fold into one character) stay different.
    Buffer.from(cacheSalt, 'utf16le'),
    littleEndian(tokenIds),
  ];
  const length = Buffer.alloc(4);
  for (const field of fields) {
    length.writeUInt32LE(field.byteLength);
    hash.update(length).update(field);
  }
  return hash.digest('hex');
}

const LITTLE_ENDIAN_HOST = endianness() === 'LE';

function littleEndian(ids: Int32Array): Buffer {
  const bytes = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength);
  return LITTLE_ENDIAN_HOST ? bytes : Buffer.from(bytes).swap32();
}
