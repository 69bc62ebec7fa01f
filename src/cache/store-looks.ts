/**
 * Reads of the store under way, by key. A read may refuse its value long after it asked for it: what was saved since must
 * not be deleted with it. Knows keys and time order; reading, deleting and saving are `stored-blocks.ts`'s.
 */
import type { BlockKey } from './tiers.js';

/** One read under way. */
interface Look {
  /** A save has begun since the read began. */
  overtaken: boolean;
  /** The delete of what was refused. */
  removal: Promise<unknown> | undefined;
}

export class StoreLooks {
  readonly #looks = new Map<BlockKey, Set<Look>>();

  /** @param read gets a function that deletes what was refused, unless a save of the key has begun since */
  async during<T>(key: BlockKey, read: (refuse: (remove: () => Promise<unknown>) => Promise<void>) => Promise<T>) {
    const look: Look = { overtaken: false, removal: undefined };
    const ofKey = this.#looks.get(key) ?? new Set();
    this.#looks.set(key, ofKey.add(look));
    try {
      return await read(async (remove) => {
        if (!look.overtaken) look.removal = remove();
        await look.removal;
      });
    } finally {
      ofKey.delete(look);
      if (ofKey.size === 0) this.#looks.delete(key);
    }
  }

  /** Call before a save. Resolves when no delete of a refused value can come any more. */
  async overtake(key: BlockKey): Promise<void> {
    const looks = [...(this.#looks.get(key) ?? [])];
    for (const look of looks) look.overtaken = true;
    for (const look of looks) await look.removal;
  }
}
