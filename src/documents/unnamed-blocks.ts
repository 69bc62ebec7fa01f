/**
 * Blocks that are stored and that no record names yet: those of running ingestions.
 * An ingestion that fails drops what only it brought into the store. What was there before, and what another ingestion
 * counts on, stays; so does what the store could not be asked for. What cannot be dropped now is remembered and tried again later.
 */
import type { BlockCache } from '../cache/block-cache.js';
import type { BlockKey } from '../cache/tiers.js';

export type DocumentCache = Pick<BlockCache, 'find' | 'forget' | 'reserveRoom'>;

/** One running ingestion. Call `end` in any case. */
export interface Claim {
  /** A record names the blocks now: nobody drops them any more. */
  named(): void;
  /** Looks again which blocks are absent: somebody deleted some, so this ingestion brings them. */
  again(): Promise<void>;
  /** Drops what only this ingestion brought. Never rejects. @param except keys that a record names meanwhile */
  drop(except?: ReadonlySet<BlockKey>): Promise<void>;
  end(): void;
}

/** Keys that wait for a store which takes deletes again. */
const MAX_LEFT = 100_000;

export class UnnamedBlocks {
  readonly #cache: DocumentCache;
  /** For each running ingestion the keys that it brought. */
  readonly #running = new Set<Set<BlockKey>>();
  readonly #left = new Set<BlockKey>();

  constructor(cache: DocumentCache) {
    this.#cache = cache;
  }

  /**
   * Call before blocks are computed.
   * @param named keys that a record names already
   */
  async claim(keys: readonly BlockKey[], named: ReadonlySet<BlockKey>): Promise<Claim> {
    await this.retry(keys);
    const brought = new Set<BlockKey>();
    const others = [...this.#running];
    this.#running.add(brought);
    const look = async () => {
      const places = await this.#cache.find(keys);
      for (const [index, key] of keys.entries()) {
        if (named.has(key)) continue;
        const place = places[index];
        // Where the store gave no answer, another document may have the block.
        const isNew = !place?.unknown?.includes('store') && !place?.tiers.includes('store');
        if (isNew || others.some((other) => other.has(key))) brought.add(key);
      }
    };
    await look();
    return {
      again: look,
      named: () => {
        for (const running of this.#running) for (const key of keys) running.delete(key);
      },
      drop: async (except = new Set()) => {
        this.#running.delete(brought);
        const own = [...brought].filter(
          (key) => !except.has(key) && ![...this.#running].some((other) => other.has(key)),
        );
        await this.drop(own);
      },
      end: () => void this.#running.delete(brought),
    };
  }

  /** Drops what was left over before. @param except keys that are wanted again */
  async retry(except: readonly BlockKey[] = []): Promise<void> {
    for (const key of except) this.#left.delete(key);
    if (this.#left.size > 0) await this.drop([...this.#left]);
  }

  /** Drops blocks that no record names (any more). If the store refuses, drops them later. Never rejects. */
  async drop(keys: readonly BlockKey[]): Promise<void> {
    if (keys.length === 0) return;
    const { failure } = await this.#cache.forget({ keys });
    for (const key of keys) {
      if (failure === undefined) this.#left.delete(key);
      else if (this.#left.size < MAX_LEFT) this.#left.add(key);
    }
  }
}
