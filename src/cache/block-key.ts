/**
 * The name of a block's KV: SHA-256 over everything that the numbers depend on.
 * Knows the fields and their unambiguous order: every field is preceded by its length.
 */
import { createHash, type Hash } from 'node:crypto';
import type { KvDtype } from '../kernels/native-addon.js';
import type { BlockKey } from './block-store.js';

/** Raised whenever equal inputs would give other bytes in a stored value. */
export const BLOCK_FORMAT_VERSION = 1;

export interface BlockKeyFields {
  /** Hex SHA-256 of config, weights and weight format. */
  fingerprint: string;
  kvDtype: KvDtype;
  sinkTokenIds: Int32Array;
  /** Separates tenants; absent is the same as empty. */
  cacheSalt?: string;
  tokenIds: Int32Array;
}

/** @returns 64 lower-case hex digits */
export function blockKey(fields: BlockKeyFields): BlockKey {
  const hash = createHash('sha256');
  addText(hash, `blockstitch/${BLOCK_FORMAT_VERSION}`);
  addText(hash, fields.fingerprint);
  addText(hash, fields.kvDtype);
  addIds(hash, fields.sinkTokenIds);
  addText(hash, fields.cacheSalt ?? '');
  addIds(hash, fields.tokenIds);
  return hash.digest('hex');
}

function addText(hash: Hash, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  addLength(hash, bytes.length);
  hash.update(bytes);
}

function addIds(hash: Hash, ids: Int32Array): void {
  addLength(hash, ids.length);
  hash.update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
}

function addLength(hash: Hash, length: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(length);
  hash.update(bytes);
}
