/**
 * Blocks in the process's memory, least recently used out first, bounded by bytes.
 * Knows keys and values; it shares the payloads it is given (nobody writes to a payload after handing it over).
 */
import type { BlockKey, BlockValue } from './block-store.js';

export class HostTier {
  readonly #limitBytes: number;
  /** In order of use, oldest first (a Map keeps insertion order). */
  readonly #values = new Map<BlockKey, BlockValue>();
  #bytes = 0;

  /** @param limitBytes payload bytes at most; 0 keeps nothing */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get entries(): number {
    return this.#values.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: BlockKey): BlockValue | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.#values.delete(key);
      this.#values.set(key, value);
    }
    return value;
  }

  /** Looks without counting it as a use. */
  has(key: BlockKey): boolean {
    return this.#values.has(key);
  }

  /** Keeps a value, dropping others for it. @returns false where it is larger than the whole tier */
  put(key: BlockKey, value: BlockValue): boolean {
    this.delete(key);
    const { byteLength } = value.payload;
    if (byteLength > this.#limitBytes) return false;
    for (const oldest of this.#values.keys()) {
      if (this.#bytes + byteLength <= this.#limitBytes) break;
      this.delete(oldest);
    }
    this.#values.set(key, value);
    this.#bytes += byteLength;
    return true;
  }

  delete(key: BlockKey): boolean {
    const value = this.#values.get(key);
    if (value === undefined) return false;
    this.#values.delete(key);
    this.#bytes -= value.payload.byteLength;
    return true;
  }

  /** @returns how many were dropped */
  clear(): number {
    const dropped = this.#values.size;
    this.#values.clear();
    this.#bytes = 0;
    return dropped;
  }
}
