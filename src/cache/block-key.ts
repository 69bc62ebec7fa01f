/**
 * The name of a block's KV: who may share it, then SHA-256 over everything that the numbers depend on.
 * Knows the fields and their order. Each field's length comes before it, so no two sets of fields look alike.
 *
 * The first 16 of the 64 hex digits are the tenant's tag, the other 48 are the hash (192 bits). So the key itself names
 * its tenant, and a store that is ordered by key keeps all keys of a tenant together.
 */
import { createHash, type Hash } from 'node:crypto';
import type { KvDtype } from '../kernels/native-addon.js';
import { type BlockKey, type CacheScope, COMMON_SCOPE } from './tiers.js';

/** Raise it when equal inputs give another key, or other bytes in a stored value. */
export const BLOCK_FORMAT_VERSION = 2;

/** Digits at the front of a key that name its tenant. */
export const TAG_DIGITS = 16;

export interface BlockKeyFields {
  /** Hex SHA-256 of config, weights and weight format. */
  fingerprint: string;
  kvDtype: KvDtype;
  sinkTokenIds: Int32Array;
  /** Default: the common scope. */
  scope?: CacheScope;
  tokenIds: Int32Array;
}

/** @returns 64 lower-case hex digits */
export function blockKey(fields: BlockKeyFields): BlockKey {
  const { tenant, salt } = fields.scope ?? COMMON_SCOPE;
  const hash = createHash('sha256');
  addText(hash, `blockstitch/${BLOCK_FORMAT_VERSION}`);
  addText(hash, fields.fingerprint);
  addText(hash, fields.kvDtype);
  addIds(hash, fields.sinkTokenIds);
  addText(hash, tenant);
  addText(hash, salt);
  addIds(hash, fields.tokenIds);
  return tenantTag(tenant) + hash.digest('hex').slice(0, 64 - TAG_DIGITS);
}

/** What all keys of a tenant begin with: 16 lower-case hex digits. */
export function tenantTag(tenant: string): string {
  let tag = tags.get(tenant);
  if (tag === undefined) {
    tag = createHash('sha256').update(`tenant:${tenant}`, 'utf8').digest('hex').slice(0, TAG_DIGITS);
    if (tags.size >= MAX_TAGS) tags.clear();
    tags.set(tenant, tag);
  }
  return tag;
}

/** A name for a scope that reveals neither the tenant nor the salt. 32 hex digits. */
export function scopeDigest({ tenant, salt }: CacheScope): string {
  const hash = createHash('sha256');
  addText(hash, tenant);
  addText(hash, salt);
  return hash.digest('hex').slice(0, 32);
}

/** Every block asks for its tag, so tags are kept: as many as a server has tenants at once. */
const tags = new Map<string, string>();
const MAX_TAGS = 10_000;

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
