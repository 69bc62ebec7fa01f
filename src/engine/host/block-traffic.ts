/**
 * Moves blocks between the pool's pages and the cache, on the HTTP thread: the cache's I/O is asynchronous, page copies
 * run off the JS thread, and payloads never cross to the worker.
 * Knows pages and payloads. The worker's scheduler decides which blocks move; the cache decides where they are kept.
 */
import type { BlockCache, SaveOutcome } from '../../cache/block-cache.js';
import type { BlockKey, BlockValue } from '../../cache/tiers.js';
import type { NativeAddon } from '../../kernels/native-addon.js';
import type { EngineCommand, LoadOrder, SaveOrder } from '../wire/messages.js';

export interface BlockTrafficOptions {
  addon: Pick<NativeAddon, 'readPages' | 'writePages' | 'payloadBytes'>;
  poolId: number;
  cache: Pick<BlockCache, 'hold' | 'computed'>;
  post: (command: EngineCommand) => void;
  /** Milliseconds to prefill this many tokens, if measured. The cache compares loads with it. */
  prefillMs: (tokens: number) => number | undefined;
  /** Most bytes of payloads on their way to the store. Above it, saves that nobody waits for are dropped. */
  maxSavingBytes: number;
}

const NOT_SAVED: SaveOutcome = { durable: false, reason: 'nobody asked for a save' };

export class BlockTraffic {
  readonly #options: BlockTrafficOptions;
  /** Rights to compute a block, by its stay in the pool. */
  readonly #leases = new Map<number, () => Promise<void>>();
  readonly #loads = new Map<number, AbortController>();
  readonly #saves = new Map<BlockKey, Promise<SaveOutcome>>();
  /** Copies into pages that are under way. */
  readonly #writes = new Set<Promise<unknown>>();
  readonly #turns: (() => void)[] = [];
  #savingBytes = 0;
  #closed = false;

  constructor(options: BlockTrafficOptions) {
    this.#options = options;
  }

  /** Asks the cache for a block, fills its pages if the cache has it, and tells the worker. */
  async load(order: LoadOrder): Promise<void> {
    const { stay, key, tokens, patient } = order;
    const { cache, post, prefillMs } = this.#options;
    const cancel = new AbortController();
    this.#loads.set(stay, cancel);
    const asked = performance.now();
    let answered = asked;
    const target = this.#target(order);
    const took = () => ({ findMs: answered - asked, loadMs: performance.now() - answered });
    try {
      const wanted = { tokens, computeMs: prefillMs(tokens), patient, signal: cancel.signal, place: target.place };
      const outcome = await cache.hold(key, wanted);
      answered = performance.now();
      // Whatever is said of these pages next, nothing writes to them beside it.
      await target.close();
      if (!outcome.found) {
        if (this.#closed) await outcome.release();
        else this.#leases.set(stay, () => outcome.release());
        post({ type: 'settled', stay, tier: undefined, took: { ...took(), loadMs: 0 } });
        return;
      }
      const filled = outcome.placed || (await this.#fill(order, outcome.value));
      post({ type: 'settled', stay, tier: filled ? outcome.tier : undefined, took: took() });
    } catch {
      // The cache never rejects for a store failure. Any error here means that the pages were not filled.
      await target.close();
      post({ type: 'settled', stay, tier: undefined });
    } finally {
      this.#loads.delete(stay);
    }
  }

  /**
   * The pages of a load, for a value that is on its way. `place` fills them if the value fits, until `close`; copies go one
   * after another, in the order of the calls. `close` waits for the copy under way.
   */
  #target(order: LoadOrder) {
    let open = true;
    let last: Promise<number | undefined> = Promise.resolve(undefined);
    const copied = async (tokens: number, payload: Uint8Array) => {
      if (!open || !this.#fits(order, { tokens, payload })) return undefined;
      const { addon, poolId } = this.#options;
      try {
        return await this.#write(addon.writePages(poolId, order.pages, tokens, payload));
      } catch {
        return undefined;
      }
    };
    const place = (tokens: number, payload: Uint8Array) => {
      last = last.then(() => copied(tokens, payload));
      return last;
    };
    const close = async () => {
      open = false;
      await last;
    };
    return { place, close };
  }

  /** @returns false if the value does not fit */
  async #fill(order: LoadOrder, value: BlockValue): Promise<boolean> {
    if (!this.#fits(order, value)) return false;
    const { addon, poolId } = this.#options;
    await this.#write(addon.writePages(poolId, order.pages, order.tokens, value.payload));
    return true;
  }

  #fits({ tokens }: LoadOrder, value: BlockValue): boolean {
    const { addon, poolId } = this.#options;
    if (this.#closed) return false;
    return value.tokens === tokens && value.payload.byteLength === addon.payloadBytes(poolId, tokens);
  }

  /** Copies a block out of its pages, tells the worker to release them, and gives the block to the cache. */
  save(order: SaveOrder): void {
    const pending = this.#saves.get(order.key);
    if (order.durable) {
      this.#track(order.key, this.#saveNow(order, pending));
      return;
    }
    const bytes = this.#options.addon.payloadBytes(this.#options.poolId, order.tokens);
    if (pending !== undefined || this.#savingBytes + bytes > this.#options.maxSavingBytes)
      void this.#drop(order, NOT_SAVED);
    else this.#track(order.key, this.#saveNow(order));
  }

  /** @returns when the save under way has ended; at once if there is none */
  saved(key: BlockKey): Promise<SaveOutcome> {
    return this.#saves.get(key) ?? Promise.resolve(NOT_SAVED);
  }

  /** Gives back the lease of a block that will not be computed. */
  async abandon(stay: number): Promise<void> {
    const release = this.#leases.get(stay);
    this.#leases.delete(stay);
    await release?.().catch(() => undefined);
  }

  /** Waits for all saves under way. */
  async settle(): Promise<void> {
    await Promise.all(this.#saves.values());
  }

  /** Ends loads, gives all leases back, and waits for copies and saves under way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#loads.values()) cancel.abort();
    await Promise.all([...this.#leases.keys()].map((stay) => this.abandon(stay)));
    await Promise.allSettled(this.#writes);
    await this.settle();
  }

  /** Releases a block without saving it (again). @returns `outcome` */
  async #drop(order: SaveOrder, outcome: SaveOutcome): Promise<SaveOutcome> {
    this.#options.post({ type: 'copied', stay: order.stay });
    await this.abandon(order.stay);
    return outcome;
  }

  async #write<T>(copy: Promise<T>): Promise<T> {
    this.#writes.add(copy);
    try {
      return await copy;
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

  /**
   * Saves a block. Never rejects. The cache has the save on record from now on, also while it waits for its turn.
   * @param before a save of the same block that is under way: if it succeeds, this one has nothing to do
   */
  async #saveNow(order: SaveOrder, before?: Promise<SaveOutcome>): Promise<SaveOutcome> {
    const { addon, poolId, cache } = this.#options;
    const bytes = addon.payloadBytes(poolId, order.tokens);
    let taken = 0;
    const read = async () => {
      try {
        if ((await before)?.durable === true) return undefined;
        await this.#turn(bytes);
        taken = bytes;
        this.#savingBytes += bytes;
        return await this.#copyOut(order, bytes);
      } finally {
        this.#options.post({ type: 'copied', stay: order.stay });
      }
    };
    try {
      return await cache.computed(order.key, read, order.forgotten);
    } finally {
      await this.abandon(order.stay);
      this.#savingBytes -= taken;
      this.#turns.shift()?.();
    }
  }

  /** Waits until this many more bytes may be on their way to the store. */
  async #turn(bytes: number): Promise<void> {
    const full = () => this.#savingBytes > 0 && this.#savingBytes + bytes > this.#options.maxSavingBytes;
    while (full()) await new Promise<void>((resolve) => this.#turns.push(resolve));
  }

  async #copyOut({ pages, tokens }: SaveOrder, bytes: number): Promise<BlockValue> {
    const { addon, poolId } = this.#options;
    if (this.#closed) throw new Error('the engine is closing');
    const payload = new Uint8Array(bytes);
    const crc32 = await addon.readPages(poolId, pages, tokens, payload);
    return { tokens, payload, crc32 };
  }
}
