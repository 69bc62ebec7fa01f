/**
 * Blocks in host memory, the least recently used leaving first. Knows bytes and keys.
 */
import type { BlockKey, BlockValue } from './block-store.js';

export class HostTier {
  readonly #limitBytes: number;
  /** In order of use: a Map keeps the order of insertion. */
  readonly #values = new Map<BlockKey, BlockValue>();
  #bytes = 0;

  /** @param limitBytes payload bytes kept at most; 0 keeps nothing */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get entries(): number {
    return this.#values.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(key: BlockKey): boolean {
    return this.#values.has(key);
  }

  get(key: BlockKey): BlockValue | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  /** A value larger than the whole tier is not kept. */
  put(key: BlockKey, value: BlockValue): void {
    this.delete(key);
    if (value.payload.byteLength > this.#limitBytes) return;
    this.#values.set(key, value);
    this.#bytes += value.payload.byteLength;
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= this.#limitBytes) break;
      this.delete(oldest);
    }
  }

  delete(key: BlockKey): boolean {
    const value = this.#values.get(key);
    if (value === undefined) return false;
    this.#values.delete(key);
    this.#bytes -= value.payload.byteLength;
    return true;
  }

  clear(): number {
    const count = this.#values.size;
    this.#values.clear();
    this.#bytes = 0;
    return count;
  }
}
