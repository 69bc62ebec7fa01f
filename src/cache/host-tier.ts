/** Blocks in host memory. The least recently used block leaves first. Knows bytes and keys. */
import { LRUCache } from 'lru-cache';
import type { BlockKey, BlockValue } from './tiers.js';

export class HostTier {
  /** Absent if nothing is kept. */
  readonly #values: LRUCache<BlockKey, BlockValue> | undefined;

  /** @param limitBytes most payload bytes that are kept; 0 keeps nothing */
  constructor(limitBytes: number) {
    if (limitBytes < 1) return;
    this.#values = new LRUCache({
      maxSize: Math.floor(limitBytes),
      sizeCalculation: ({ payload }) => Math.max(1, payload.byteLength),
    });
  }

  get entries(): number {
    return this.#values?.size ?? 0;
  }

  get bytes(): number {
    return this.#values?.calculatedSize ?? 0;
  }

  has(key: BlockKey): boolean {
    return this.#values?.has(key) ?? false;
  }

  get(key: BlockKey): BlockValue | undefined {
    return this.#values?.get(key);
  }

  /** A value larger than the whole tier is not kept. */
  put(key: BlockKey, value: BlockValue): void {
    this.#values?.set(key, value);
  }

  delete(key: BlockKey): boolean {
    return this.#values?.delete(key) ?? false;
  }

  *keys(): Generator<BlockKey> {
    yield* this.#values?.keys() ?? [];
  }
}
