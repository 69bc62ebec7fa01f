/**
 * The guarded tier `store`. Circuit breakers stand in front of it, the codec behind it. Replicas compute a missing
 * block once between them, and nobody waits longer than computing takes.
 * Knows keys, values and time. `forgetting.ts` knows what must not be kept; `block-cache.ts` has host memory.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KvDtype } from '../kernels/native-addon.js';
import { encodeBlock, HEADER_BYTES, type PlacePayload, payloadBytes } from './block-codec.js';
import { BlockLeases } from './block-leases.js';
import { type ByteStore, LockEnded, type StoreEntry } from './byte-store.js';
import { type Answer, type BreakerOptions, CircuitBreaker } from './circuit-breaker.js';
import { type LoadClock, LoadCostModel, type LoadCostOptions } from './load-cost-model.js';
import type { StoreMacs } from './store-macs.js';
import { TenantRoom } from './tenant-room.js';
import type { BlockKey, BlockShape, BlockValue, CacheStatistics } from './tiers.js';
import { type Loaded, ValueReads } from './value-reads.js';
import { within } from './within.js';

export type StoreCalls = 'reads' | 'writes' | 'locks';

export interface StoredBlocksOptions {
  shape: BlockShape;
  store: ByteStore;
  /** Called once per key if a check refused its value. */
  onCorrupt?: (key: BlockKey, reason: string) => void;
  /** Called when the store is given up for a while, and when it is well again. */
  onStoreChange?: (state: 'open' | 'closed', calls: StoreCalls, reason: string) => void;
  /** Element type of stored values; that of the pool by default. Values of any type are read. */
  storedDtype?: KvDtype;
  /** Signs values, and believes no others. */
  macs?: StoreMacs;
  /** Most bytes that a tenant may have in the store, by its tag; undefined for no limit. */
  storedBytesOf?: (tag: string) => number | undefined;
  breaker?: Pick<BreakerOptions, 'threshold' | 'restMs' | 'timeoutMs'>;
  cost?: LoadCostOptions;
  /** Milliseconds that a delete may take before it is reported as failed. */
  deleteTimeoutMs?: number;
  /** Milliseconds for which a replica that is gone holds up the others. */
  leaseMs?: number;
}

/** What the caller knows of the block that it asks for. All of it is optional. */
export interface HoldWanted {
  tokens?: number;
  /** Milliseconds to prefill it. */
  computeMs?: number | undefined;
  /** The caller would rather wait than compute what the store has, or what another replica computes just now. */
  patient?: boolean;
  signal?: AbortSignal;
  /** Takes the payload of a stored value at once, before it is believed. It may be called again, one call after another. */
  place?: PlacePayload;
}

/** Whoever is told `undefined` holds the right (across replicas) to compute the block, and must call `release`. */
export type StoreAnswer = { loaded: Loaded; loadMs: number } | { loaded: undefined; release(): Promise<void> };

/** A search under way. */
interface Search {
  /** When it stops waiting for another replica, by `performance.now()`. */
  untilMs: number;
  /** Measures the load. */
  clock?: LoadClock;
  /** Aborted when the caller waits no longer. */
  stop?: AbortSignal | undefined;
  /** Aborted when nobody wants the value any more. */
  dropped?: AbortSignal;
}

export interface StoreLoad {
  answer: StoreAnswer;
  /** A value that comes after the wait was given up; resolves when the load is over, however it ended. */
  late: Promise<Loaded | undefined>;
}

export type Deleted = { ok: true; count: number } | { ok: false; reason: string };

/** Wait for another replica's prefill while the cost of our own is not known. */
const UNKNOWN_WAIT_MS = 250;
/** Pauses between looks at another replica's prefill, doubled each time. */
const POLL_MS = { first: 2, most: 50 };
/** Blocks that are remembered before the list starts over. */
const MAX_REMEMBERED = 10_000;
/** Only ingestions wait for a write, and large blocks take their time. */
const WRITE_TIMEOUT_MS = 30_000;
const DELETE_TIMEOUT_MS = 15_000;
const STATISTICS_TIMEOUT_MS = 1_000;
/** A load that was given up may still come for so long, for host memory. Then it is dropped: others need the line. */
const LATE_MS = 2_000;

const NOTHING_LATE = Promise.resolve(undefined);
const NOBODY_HAS_IT: StoreLoad = { answer: { loaded: undefined, release: async () => {} }, late: NOTHING_LATE };

export class StoredBlocks {
  readonly room: TenantRoom;
  readonly #options: StoredBlocksOptions;
  readonly #store: ByteStore;
  /** One breaker each: a full disk must not stop reads, and working locks must not hide failing writes. */
  readonly #reads: CircuitBreaker;
  readonly #writes: CircuitBreaker;
  readonly #locks: CircuitBreaker;
  readonly #leases: BlockLeases;
  readonly #cost: LoadCostModel;
  /** Blocks that are computed although the store may have them. They need not be written again. */
  readonly #passedOver = new Set<BlockKey>();
  readonly #values: ValueReads;
  readonly #counts = { hits: 0, misses: 0, loadedBytes: 0, loadSeconds: 0, passedOver: 0, late: 0 };
  #sizes: { entries: number; bytes: number; evicted?: number } = { entries: 0, bytes: 0 };
  #measuring: Promise<void> | undefined;
  #failedDeletes = 0;

  constructor(options: StoredBlocksOptions) {
    this.#options = options;
    this.#store = options.store;
    this.room = new TenantRoom({ limitOf: (tag) => this.limitOf(tag), usage: (tag) => this.usage(tag) });
    const breaker = (calls: StoreCalls) =>
      new CircuitBreaker({
        ...(calls === 'writes' ? { timeoutMs: WRITE_TIMEOUT_MS } : {}),
        ...options.breaker,
        onChange: (state, reason) => options.onStoreChange?.(state, calls, reason),
      });
    this.#reads = breaker('reads');
    this.#writes = breaker('writes');
    this.#locks = breaker('locks');
    const run = this.#locks.run.bind(this.#locks) as CircuitBreaker['run'];
    this.#leases = new BlockLeases({ store: options.store, run, leaseMs: options.leaseMs });
    this.#cost = new LoadCostModel(options.cost);
    this.#values = new ValueReads({
      ...{ shape: options.shape, macs: options.macs, store: options.store },
      run: this.#reads.run.bind(this.#reads) as CircuitBreaker['run'],
      remove: (key) => this.delete([key]),
      onCorrupt: options.onCorrupt,
    });
  }

  get brand(): ByteStore['brand'] {
    return this.#store.brand;
  }

  get state(): 'ok' | 'failing' {
    return [this.#reads, this.#writes, this.#locks].every(({ state }) => state === 'closed') ? 'ok' : 'failing';
  }

  /** Which of the keys the store has; undefined if it cannot be asked. */
  async has(keys: readonly BlockKey[]): Promise<ReadonlySet<BlockKey> | undefined> {
    if (keys.length === 0) return new Set();
    const answer = await this.#reads.run(() => this.#store.has(keys));
    return answer.ok ? new Set(keys.filter((_, index) => answer.result[index] === true)) : undefined;
  }

  /**
   * The block's value, or the right to compute it. Waits for the store and for another replica's prefill, but no longer
   * than computing takes; a patient caller waits for as long as that replica holds its right. Never rejects.
   */
  async load(key: BlockKey, wanted: HoldWanted): Promise<StoreLoad> {
    const { tokens, computeMs, patient = false } = wanted;
    if (patient) {
      const untilMs = Number.POSITIVE_INFINITY;
      const answer = await this.#search(key, wanted, {
        untilMs,
        clock: this.#cost.begin(computeMs),
        stop: wanted.signal,
      });
      return { answer, late: NOTHING_LATE };
    }
    if (tokens !== undefined && !this.#cost.worthLoading(this.#storedBytes(tokens), computeMs)) {
      this.#counts.passedOver++;
      if (this.#passedOver.size >= MAX_REMEMBERED) this.#passedOver.clear();
      this.#passedOver.add(key);
      return NOBODY_HAS_IT;
    }
    const clock = this.#cost.begin(computeMs);
    const waited = new AbortController();
    const stop = wanted.signal === undefined ? waited.signal : AbortSignal.any([waited.signal, wanted.signal]);
    const dropped = new AbortController();
    const untilMs = performance.now() + (computeMs ?? UNKNOWN_WAIT_MS);
    const search = this.#search(key, wanted, { untilMs, clock, stop, dropped: dropped.signal });
    let timer: NodeJS.Timeout | undefined;
    const outOfTime = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, clock.waitMs, undefined);
    });
    const answer = await Promise.race([search, outOfTime]);
    clearTimeout(timer);
    if (answer !== undefined) return { answer, late: NOTHING_LATE };
    this.#counts.late++;
    clock.giveUp();
    waited.abort();
    const patience = setTimeout(
      () => dropped.abort(new Error(`no value within ${LATE_MS} ms after its time`)),
      LATE_MS,
    );
    // The value may still come, for the host tier. Nobody wants a right to compute that comes now: it is released.
    const late = search.then(async (after) => {
      clearTimeout(patience);
      if (after.loaded === undefined) await after.release();
      return after.loaded;
    });
    return { answer: NOBODY_HAS_IT.answer, late };
  }

  /**
   * Writes a block.
   *
   * @param signal aborted when the block was forgotten meanwhile
   * @param wanted keys that ingestions count on now
   * @returns why it is not durable; undefined if it is
   */
  async save(
    key: BlockKey,
    value: BlockValue,
    signal: AbortSignal,
    wanted: { has(key: BlockKey): boolean },
  ): Promise<string | undefined> {
    if (this.#passedOver.delete(key) && (await this.has([key]))?.has(key)) return undefined;
    const { shape, storedDtype = shape.dtype } = this.#options;
    const bytes = HEADER_BYTES + payloadBytes({ ...shape, dtype: storedDtype }, value.tokens);
    return this.room.saving(key, bytes, () => this.#saveInRoom(key, value, signal, wanted));
  }

  async #saveInRoom(
    key: BlockKey,
    value: BlockValue,
    signal: AbortSignal,
    wanted: { has(key: BlockKey): boolean },
  ): Promise<string | undefined> {
    const { shape, macs, storedDtype } = this.#options;
    const encoded = await encodeBlock(shape, key, value, macs, storedDtype ?? shape.dtype);
    for (let again: (StoreAnswer & { loaded: undefined }) | undefined; ; ) {
      const saved = await this.#write({ key, value: encoded, wanted }, signal);
      await again?.release();
      if (!saved.ok) return saved.reason;
      if (!saved.result.lockEnded) return undefined;
      // Another replica may have the right by now, and saves the block. Else this one takes it anew.
      const answer = await this.#search(key, {}, { untilMs: Number.POSITIVE_INFINITY, stop: signal });
      if (answer.loaded !== undefined) return undefined;
      again = answer;
    }
  }

  async #write(unfenced: StoreEntry, signal: AbortSignal): Promise<Answer<{ lockEnded: boolean }>> {
    await this.#values.overtake(unfenced.key);
    const stopped = new AbortController();
    const either = AbortSignal.any([signal, stopped.signal]);
    const fence = this.#leases.fence(unfenced.key);
    const entry = fence === undefined ? unfenced : { ...unfenced, fence };
    const saved = await this.#writes.run(async () => {
      try {
        if (!either.aborted) await this.#store.put([entry], either);
      } catch (error) {
        if (error instanceof LockEnded) return { lockEnded: true };
        // A write that was called off says nothing about the store.
        if (!signal.aborted) throw error;
      }
      return { lockEnded: false };
    });
    // A write that took too long must not go on after a later delete.
    stopped.abort();
    return saved;
  }

  limitOf(tag: string): number | undefined {
    return this.#options.storedBytesOf?.(tag);
  }

  /** Sizes of a tenant's blocks; undefined if the store does not say. Has no vote in the breakers. */
  async usage(tag: string): Promise<{ entries: number; bytes: number; asOfMs: number } | undefined> {
    const asOfMs = performance.now();
    const usage = await within(this.#store.usage(tag), STATISTICS_TIMEOUT_MS).catch(() => undefined);
    return usage && { asOfMs, ...usage };
  }

  /** Tells the store of blocks that were used in a nearer tier. */
  used(keys: readonly BlockKey[]): void {
    this.#store.used?.(keys);
  }

  /** Tells the store that documents need blocks. What fails here costs an order of leaving only. */
  keep(keys: readonly BlockKey[]): void {
    this.#store.keep?.(keys).catch(() => undefined);
  }

  /** Deletes do not share the breaker of writes: a store that refuses writes must still make room. */
  async delete(keys: readonly BlockKey[]): Promise<Deleted> {
    return this.#deleting(() => this.#store.delete(keys));
  }

  async clear(prefix: string): Promise<Deleted> {
    return this.#deleting(() => this.#store.clear(prefix));
  }

  /** If the store gives no answer, sizes are the last known ones. These questions have no vote in the breakers. */
  async statistics(): Promise<NonNullable<CacheStatistics['store']>> {
    const states = [this.#reads.state, this.#writes.state, this.#locks.state];
    await this.#measure();
    return {
      ...this.#counts,
      corrupt: this.#values.corrupt,
      ...this.#sizes,
      evicted: this.#sizes.evicted ?? 0,
      brand: this.brand,
      breaker: states.includes('open') ? 'open' : states.includes('half-open') ? 'half-open' : 'closed',
      failures: this.#reads.failures + this.#writes.failures + this.#locks.failures + this.#failedDeletes,
    };
  }

  async close(): Promise<void> {
    this.#leases.close();
    await this.#store.close();
  }

  /** Waits a moment for the sizes. A slow count goes on in the background; its result is used when it is there. */
  async #measure(): Promise<void> {
    if (this.#measuring !== undefined) return;
    this.#measuring = this.#store
      .statistics()
      .then((sizes) => {
        this.#sizes = sizes;
      })
      .catch(() => undefined)
      .finally(() => {
        this.#measuring = undefined;
      });
    await within(this.#measuring, STATISTICS_TIMEOUT_MS).catch(() => undefined);
  }

  async #deleting(call: () => Promise<number>): Promise<Deleted> {
    try {
      return { ok: true, count: await within(call(), this.#options.deleteTimeoutMs ?? DELETE_TIMEOUT_MS) };
    } catch (error) {
      this.#failedDeletes++;
      return { ok: false, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** Reads the value. If nobody has it, takes the right to compute it, or waits for the replica that has the right. */
  async #search(
    key: BlockKey,
    { tokens, place }: HoldWanted,
    { untilMs, clock, stop, dropped }: Search,
  ): Promise<StoreAnswer> {
    const startMs = performance.now();
    for (let pauseMs = POLL_MS.first; ; pauseMs = Math.min(pauseMs * 2, POLL_MS.most)) {
      const loaded = await this.#values.read(key, place, dropped);
      // Only the first look measures a load. Later looks have waited for another replica's prefill.
      if (pauseMs === POLL_MS.first) {
        if (dropped?.aborted && tokens !== undefined) clock?.drop(this.#storedBytes(tokens));
        else clock?.end(loaded && HEADER_BYTES + loaded.bytes);
      }
      if (loaded !== undefined) return this.#found(loaded, startMs);
      const lock = await this.#leases.take(key);
      const held = lock.ok ? lock.result : undefined;
      if (held !== undefined) {
        // The lock's last holder may have saved the block since the look above.
        const late = await this.#values.read(key, place, dropped);
        if (late !== undefined) {
          await this.#leases.giveBack(held);
          return this.#found(late, startMs);
        }
      }
      if (!lock.ok || held !== undefined || stop?.aborted || performance.now() >= untilMs) {
        this.#counts.misses++;
        return { loaded: undefined, release: async () => void (held && (await this.#leases.giveBack(held))) };
      }
      await delay(pauseMs);
    }
  }

  #storedBytes(tokens: number): number {
    return HEADER_BYTES + payloadBytes(this.#options.shape, tokens);
  }

  #found(loaded: Loaded, startMs: number): StoreAnswer {
    const loadMs = performance.now() - startMs;
    this.#counts.hits++;
    this.#counts.loadedBytes += loaded.bytes;
    this.#counts.loadSeconds += loadMs / 1000;
    return { loaded, loadMs };
  }
}
