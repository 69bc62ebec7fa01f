/**
 * Where records are kept: bytes under (tenant, id), listed in the order of their ids.
 * A shelf knows bytes and names, and alone knows which store it is. `document-record.ts` knows what the bytes say.
 */
import { createHash } from 'node:crypto';
import { scopeDigest } from '../cache/block-key.js';
import type { CacheScope } from '../cache/tiers.js';

/** Bytes at the beginning of a value by which one version of it is told from another: its checksum is among them. */
export const HEAD_BYTES = 96;

/** The head of what a writer has read; `undefined` where it found nothing. */
export type Head = Buffer | undefined;

export interface DocumentShelf {
  get(tenant: string, id: string): Promise<Buffer | undefined>;
  /**
   * Writes a value if the shelf still has the state that the writer has read. Durable when it resolves.
   * @returns false if another writer was faster; nothing is written then
   */
  put(tenant: string, id: string, value: Buffer, read: Head): Promise<boolean>;
  /** Removes a value if the shelf still has the state that the writer has read. @returns false if another was faster */
  remove(tenant: string, id: string, read: Head): Promise<boolean>;
  /** At most `limit` ids in their order, those after `after`. */
  listIds(tenant: string, after: string | undefined, limit: number): Promise<string[]>;
  /** The names of all that have values here; see `shelfName`. For whoever looks after the store. */
  tenants(): AsyncIterable<string>;
  /** Takes an id off the list where nothing is kept under it. */
  unlist(tenant: string, id: string): Promise<void>;
}

export function headOf(value: Buffer | undefined): Head {
  return value?.subarray(0, HEAD_BYTES);
}

export function sameHead(one: Head, other: Head): boolean {
  return one === undefined || other === undefined ? one === other : one.equals(other);
}

/**
 * The name of a scope on a shelf: 32 characters that tell neither tenant nor salt.
 * Without a tenant it is what versions before tenants used: the digest of the salt. The server hashes a salt where it
 * enters, so a salt of 64 hex digits is such a digest already. Names of tenants begin with `t`, which is no hex digit.
 */
export function shelfName(scope: CacheScope): string {
  if (scope.tenant !== '') return `t${scopeDigest(scope).slice(0, 31)}`;
  const { salt } = scope;
  const digest = /^[0-9a-f]{64}$/.test(salt) ? salt : createHash('sha256').update(salt, 'utf8').digest('hex');
  return digest.slice(0, 32);
}

/** Hex keeps any id within the alphabet of keys, and in the order of its UTF-8 bytes. */
export function idKey(id: string): string {
  return Buffer.from(id, 'utf8').toString('hex');
}

export function idOf(key: string): string {
  return Buffer.from(key, 'hex').toString('utf8');
}

/** Names a document for everything that happens to it in order. */
export function orderKey(scope: CacheScope, id: string): string {
  return `${shelfName(scope)}/${idKey(id)}`;
}
