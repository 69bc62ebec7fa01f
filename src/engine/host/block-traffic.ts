/**
 * Moves blocks between the pool's pages and the tiers below, on the HTTP thread: the repository's I/O is asynchronous,
 * page copies run off the JS thread, and payloads never cross to the worker.
 * Knows pages and payloads; which blocks move is the worker's scheduler, where they are kept the repository's.
 */
import type { BlockKey, BlockRepository, SaveOutcome } from '../../cache/block-store.js';
import type { NativeAddon } from '../../kernels/native-addon.js';
import type { EngineCommand, PageTransfer, SaveOrder } from '../wire/messages.js';

export interface BlockTrafficOptions {
  addon: Pick<NativeAddon, 'readPages' | 'writePages' | 'payloadBytes'>;
  poolId: number;
  repository: BlockRepository;
  post: (command: EngineCommand) => void;
  /** Milliseconds to prefill so many tokens, where measured: what a load is weighed against. */
  prefillMs: (tokens: number) => number | undefined;
  /** Bytes of payloads on their way to the store at most; saves nobody waits for are dropped beyond it. */
  maxSavingBytes: number;
}

const NOT_SAVED: SaveOutcome = { durable: false, reason: 'it was not asked to be saved' };

export class BlockTraffic {
  readonly #options: BlockTrafficOptions;
  /** Rights to compute a block, by the handle of its stay in the pool. */
  readonly #leases = new Map<number, () => Promise<void>>();
  readonly #loads = new Map<number, AbortController>();
  readonly #saves = new Map<BlockKey, Promise<SaveOutcome>>();
  /** Copies into pages under way. */
  readonly #writes = new Set<Promise<void>>();
  readonly #turns: (() => void)[] = [];
  #savingBytes = 0;
  #closed = false;

  constructor(options: BlockTrafficOptions) {
    this.#options = options;
  }

  /** Asks the tiers below for a block, fills its pages where they have it, and tells the worker. */
  async load({ handle, key, pages, tokens }: PageTransfer): Promise<void> {
    const { addon, poolId, repository, post, prefillMs } = this.#options;
    const cancel = new AbortController();
    this.#loads.set(handle, cancel);
    try {
      const outcome = await repository.load(key, { tokens, computeMs: prefillMs(tokens), signal: cancel.signal });
      if (!outcome.found) {
        if (this.#closed) await outcome.release();
        else this.#leases.set(handle, () => outcome.release());
        post({ type: 'settled', handle, tier: undefined });
        return;
      }
      const { value, tier } = outcome;
      const fits = value.tokens === tokens && value.payload.byteLength === addon.payloadBytes(poolId, tokens);
      if (fits && !this.#closed) await this.#write(addon.writePages(poolId, pages, tokens, value.payload));
      post({ type: 'settled', handle, tier: fits ? tier : undefined });
    } catch {
      // The repository absorbs store failures; whatever is left means: not to be had from there.
      post({ type: 'settled', handle, tier: undefined });
    } finally {
      this.#loads.delete(handle);
    }
  }

  /** Copies a block out of its pages, frees the worker's hold on them, and saves it. */
  save(order: SaveOrder): void {
    const pending = this.#saves.get(order.key);
    if (order.durable) {
      const save = pending?.then((saved) => (saved.durable ? this.#drop(order, saved) : this.#saveNow(order)));
      this.#track(order.key, save ?? this.#saveNow(order));
      return;
    }
    const bytes = this.#options.addon.payloadBytes(this.#options.poolId, order.tokens);
    if (pending !== undefined || this.#savingBytes + bytes > this.#options.maxSavingBytes)
      void this.#drop(order, NOT_SAVED);
    else this.#track(order.key, this.#saveNow(order));
  }

  /** Lets a block go without saving it (again). @returns `outcome` */
  async #drop(order: SaveOrder, outcome: SaveOutcome): Promise<SaveOutcome> {
    this.#options.post({ type: 'copied', handle: order.handle });
    await this.abandon(order.handle);
    return outcome;
  }

  /** @returns once the block is durable, or could not be stored, or when nobody asked for it to be */
  saved(key: BlockKey): Promise<SaveOutcome> {
    return this.#saves.get(key) ?? Promise.resolve(NOT_SAVED);
  }

  /** A block will not be computed: its lease goes back. */
  async abandon(handle: number): Promise<void> {
    const release = this.#leases.get(handle);
    this.#leases.delete(handle);
    await release?.().catch(() => undefined);
  }

  /** Waits for saves under way: of some keys, or of all. */
  async settle(keys?: readonly BlockKey[]): Promise<void> {
    const pending = keys === undefined ? [...this.#saves.values()] : keys.map((key) => this.#saves.get(key));
    await Promise.all(pending);
  }

  /** Ends loads and gives all leases back; saves under way are waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#loads.values()) cancel.abort();
    await Promise.all([...this.#leases.keys()].map((handle) => this.abandon(handle)));
    await Promise.allSettled(this.#writes);
    await this.settle();
  }

  async #write(copy: Promise<void>): Promise<void> {
    this.#writes.add(copy);
    try {
      await copy;
    } finally {
      this.#writes.delete(copy);
    }
  }

  #track(key: BlockKey, save: Promise<SaveOutcome>): void {
    this.#saves.set(key, save);
    void save.then(() => {
      if (this.#saves.get(key) === save) this.#saves.delete(key);
    });
  }

  /** Never rejects. */
  async #saveNow({ handle, key, pages, tokens }: SaveOrder): Promise<SaveOutcome> {
    const { addon, poolId, repository, post, maxSavingBytes } = this.#options;
    const bytes = addon.payloadBytes(poolId, tokens);
    while (this.#savingBytes > 0 && this.#savingBytes + bytes > maxSavingBytes) {
      await new Promise<void>((resolve) => this.#turns.push(resolve));
    }
    this.#savingBytes += bytes;
    try {
      const payload = new Uint8Array(bytes);
      try {
        if (this.#closed) return { durable: false, reason: 'the engine is closing' };
        await addon.readPages(poolId, pages, tokens, payload);
      } finally {
        post({ type: 'copied', handle });
      }
      return await repository.save(key, { tokens, payload });
    } catch (error) {
      return { durable: false, reason: error instanceof Error ? error.message : String(error) };
    } finally {
      await this.abandon(handle);
      this.#savingBytes -= bytes;
      this.#turns.shift()?.();
    }
  }
}
