/**
 * Keeps a forgotten block forgotten. Every load and save under way is on record here, and so is every forget.
 * A forget marks the operations that began before it. A marked operation keeps nothing in the tiers of its marks.
 * Knows keys, tiers and time order. The cache moves the bytes.
 */
import { type BlockKey, type BlockSelection, type CacheTier, covering, type LowerTier } from './tiers.js';

/** One load or save under way. */
export class Operation {
  readonly key: BlockKey;
  /** Tiers that were told to forget the block since this began: it must not keep it there. */
  readonly forgotten: Set<LowerTier>;
  /** The part that writes to the store, while it runs. */
  storeWrite: Promise<unknown> | undefined;
  /** Made when it is asked for: most operations have nothing to stop. */
  #stop: AbortController | undefined;

  constructor(key: BlockKey, forgotten: Iterable<LowerTier>) {
    this.key = key;
    this.forgotten = new Set(forgotten);
  }

  /** Aborted when the store is told to forget. */
  get signal(): AbortSignal {
    this.#stop ??= new AbortController();
    if (this.forgotten.has('store')) this.#stop.abort();
    return this.#stop.signal;
  }

  forget(tiers: Iterable<LowerTier>): void {
    for (const tier of tiers) this.forgotten.add(tier);
    if (this.forgotten.has('store')) this.#stop?.abort();
  }
}

interface Forget {
  covers: (key: BlockKey) => boolean;
  lower: readonly LowerTier[];
}

export class Forgetting {
  readonly #operations = new Map<BlockKey, Set<Operation>>();
  readonly #forgets = new Set<Forget>();

  /**
   * Puts a load or a save on record; call `end` when it is over. A forget under way marks it at once, because the
   * operation may work on a value from before.
   *
   * @param forgotten tiers that the block's computation was told to keep away from
   */
  begin(key: BlockKey, forgotten: Iterable<LowerTier> = []): Operation {
    const operation = new Operation(key, forgotten);
    for (const { covers, lower } of this.#forgets) if (covers(key)) operation.forget(lower);
    const ofKey = this.#operations.get(key) ?? new Set();
    this.#operations.set(key, ofKey.add(operation));
    return operation;
  }

  end(operation: Operation): void {
    const ofKey = this.#operations.get(operation.key);
    ofKey?.delete(operation);
    if (ofKey?.size === 0) this.#operations.delete(operation.key);
  }

  /**
   * Runs a forget. Marks every operation that began before it or begins beside it.
   *
   * @param work drops the blocks; it gets the operations that were marked
   */
  async during<T>(
    selection: BlockSelection,
    tiers: ReadonlySet<CacheTier>,
    work: (marked: readonly Operation[]) => Promise<T>,
  ): Promise<T> {
    const covers = covering(selection);
    const lower = (['host', 'store'] as const).filter((tier) => tiers.has(tier));
    const forget: Forget = { covers, lower };
    const marked: Operation[] = [];
    this.#forgets.add(forget);
    for (const [key, operations] of this.#operations) {
      if (!covers(key)) continue;
      for (const operation of operations) {
        operation.forget(lower);
        marked.push(operation);
      }
    }
    try {
      return await work(marked);
    } finally {
      this.#forgets.delete(forget);
    }
  }
}
