/**
 * The tiers below the pool, in one: host memory, then a store behind circuit breakers, one load per key at a time.
 * Knows keys and values; a store that fails, hangs or is slower than computing is a miss, counted, and requests go on
 * by recomputing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { decodeBlock, encodeBlock, HEADER_BYTES, payloadBytes } from './block-codec.js';
import type {
  BlockKey,
  BlockRepository,
  BlockShape,
  BlockValue,
  ByteStore,
  CacheTier,
  LoadOutcome,
  LoadWanted,
  RepositoryStatistics,
  SaveOutcome,
  TierStatistics,
} from './block-store.js';
import { type BreakerOptions, CircuitBreaker } from './circuit-breaker.js';
import { HostTier } from './host-tier.js';
import { type LoadClock, LoadCostModel, type LoadCostOptions } from './load-cost-model.js';

type StoreCalls = 'reads' | 'writes' | 'locks';

export interface RepositoryOptions {
  shape: BlockShape;
  store?: ByteStore;
  /** Payload bytes in host memory at most. */
  hostBytes: number;
  /** Told once per key of a value that a check refused. */
  onCorrupt?: (key: BlockKey, reason: string) => void;
  /** Told when the store is given up for a while, and when it is well again. */
  onStoreChange?: (state: 'open' | 'closed', calls: StoreCalls, reason: string) => void;
  breaker?: Pick<BreakerOptions, 'threshold' | 'restMs' | 'timeoutMs'>;
  cost?: LoadCostOptions;
}

type LowerTier = Exclude<CacheTier, 'pool'>;

/** A lock outlives its prefill by this factor before it is taken for its dead holder's. */
const LOCK_TTL_FACTOR = 4;
const LOCK_TTL_MS = { least: 1_000, most: 30_000, unknown: 5_000 };
/** Wait for another replica's prefill while nothing is known of what ours would cost. */
const UNKNOWN_WAIT_MS = 250;
/** Pauses between looks at another replica's prefill, doubled each time. */
const POLL_MS = { first: 2, most: 50 };
/** Keys that a set remembers before it begins anew. */
const MAX_REMEMBERED = 10_000;

const NOT_FOUND: LoadOutcome = { found: false, release: async () => {} };

export function openBlockRepository(options: RepositoryOptions): BlockRepository {
  return new TieredRepository(options);
}

const noStatistics = (): TierStatistics => ({
  entries: 0,
  bytes: 0,
  hits: 0,
  misses: 0,
  corrupt: 0,
  loadedBytes: 0,
  loadSeconds: 0,
});

class TieredRepository implements BlockRepository {
  readonly #options: RepositoryOptions;
  readonly #host: HostTier;
  /** Apart: a full disk must not keep blocks from being read, nor locks that work hide that writes fail. */
  readonly #reads: CircuitBreaker;
  readonly #writes: CircuitBreaker;
  readonly #locks: CircuitBreaker;
  readonly #cost: LoadCostModel;
  readonly #flights = new Map<BlockKey, Promise<LoadOutcome>>();
  /** Blocks being computed although the store may have them: they need not be written again. */
  readonly #passedOver = new Set<BlockKey>();
  readonly #reported = new Set<BlockKey>();
  readonly #hostCounts = noStatistics();
  readonly #storeCounts = { ...noStatistics(), passedOver: 0, late: 0 };

  constructor(options: RepositoryOptions) {
    this.#options = options;
    this.#host = new HostTier(options.hostBytes);
    const breaker = (calls: StoreCalls) =>
      new CircuitBreaker({
        // Nobody waits for a write but who ingests; large blocks take their time.
        ...(calls === 'writes' ? { timeoutMs: 30_000 } : {}),
        ...options.breaker,
        onChange: (state, reason) => options.onStoreChange?.(state, calls, reason),
      });
    this.#reads = breaker('reads');
    this.#writes = breaker('writes');
    this.#locks = breaker('locks');
    this.#cost = new LoadCostModel(options.cost);
  }

  async load(key: BlockKey, wanted: LoadWanted = {}): Promise<LoadOutcome> {
    const flight = this.#flights.get(key);
    if (flight !== undefined) {
      const outcome = await flight;
      // The right to compute belongs to the first caller; the others compute only where that one gave up.
      return outcome.found ? outcome : NOT_FOUND;
    }
    const load = this.#load(key, wanted).finally(() => this.#flights.delete(key));
    this.#flights.set(key, load);
    return load;
  }

  async save(key: BlockKey, value: BlockValue): Promise<SaveOutcome> {
    this.#host.put(key, value);
    const { store, shape } = this.#options;
    if (store === undefined) return { durable: false, reason: 'there is no store' };
    if (this.#passedOver.delete(key)) {
      const there = await this.#reads.run(() => store.has([key]));
      if (there.ok && there.result[0] === true) return { durable: true };
    }
    const encoded = await encodeBlock(shape, value);
    const saved = await this.#writes.run(() => store.put([{ key, value: encoded }]));
    return saved.ok ? { durable: true } : { durable: false, reason: saved.reason };
  }

  async locate(keys: readonly BlockKey[]): Promise<(LowerTier | undefined)[]> {
    const { store } = this.#options;
    const missing = keys.filter((key) => !this.#host.has(key));
    const answer = store && missing.length > 0 ? await this.#reads.run(() => store.has(missing)) : undefined;
    const stored = new Set(answer?.ok ? missing.filter((_, index) => answer.result[index] === true) : []);
    return keys.map((key) => (this.#host.has(key) ? 'host' : stored.has(key) ? store?.tier : undefined));
  }

  async delete(keys: readonly BlockKey[]): Promise<number> {
    const { store } = this.#options;
    const gone = new Set(keys.filter((key) => this.#host.delete(key)));
    if (store === undefined) return gone.size;
    const answer = await this.#writes.run(async () => {
      const found = await store.has(keys);
      await store.delete(keys);
      return keys.filter((_, index) => found[index]);
    });
    for (const key of answer.ok ? answer.result : []) gone.add(key);
    return gone.size;
  }

  async clear(): Promise<number> {
    const hosted = this.#host.clear();
    const { store } = this.#options;
    const cleared = store && (await this.#writes.run(() => store.clear()));
    return Math.max(hosted, cleared?.ok ? cleared.result : 0);
  }

  async statistics(): Promise<RepositoryStatistics> {
    const host = { ...this.#hostCounts, entries: this.#host.entries, bytes: this.#host.bytes };
    const { store } = this.#options;
    if (store === undefined) return { host };
    const answer = await this.#reads.run(() => store.statistics());
    const sizes = answer.ok ? answer.result : { entries: 0, bytes: 0 };
    const failures = this.#reads.failures + this.#writes.failures + this.#locks.failures;
    return {
      host,
      store: { ...this.#storeCounts, ...sizes, tier: store.tier, breaker: this.#breakerState(), failures },
    };
  }

  async close(): Promise<void> {
    await this.#options.store?.close();
  }

  #breakerState(): CircuitBreaker['state'] {
    const states = [this.#reads.state, this.#writes.state, this.#locks.state];
    return states.includes('open') ? 'open' : states.includes('half-open') ? 'half-open' : 'closed';
  }

  async #load(key: BlockKey, wanted: LoadWanted): Promise<LoadOutcome> {
    const startMs = performance.now();
    const hosted = this.#host.get(key);
    if (hosted !== undefined) {
      this.#hostCounts.hits++;
      return { found: true, tier: 'host', value: hosted, loadMs: performance.now() - startMs };
    }
    this.#hostCounts.misses++;
    const { store, shape } = this.#options;
    if (store === undefined) return NOT_FOUND;
    const { tokens, computeMs } = wanted;
    if (tokens !== undefined && !this.#cost.worthLoading(HEADER_BYTES + payloadBytes(shape, tokens), computeMs)) {
      this.#storeCounts.passedOver++;
      remember(this.#passedOver, key);
      return NOT_FOUND;
    }
    return this.#loadInTime(key, store, wanted);
  }

  /** The store's answer, or none when it takes longer than computing the block would. */
  async #loadInTime(key: BlockKey, store: ByteStore, wanted: LoadWanted): Promise<LoadOutcome> {
    const clock = this.#cost.begin(wanted.computeMs);
    const waited = new AbortController();
    const stop = wanted.signal === undefined ? waited.signal : AbortSignal.any([waited.signal, wanted.signal]);
    const search = this.#search(key, store, wanted.computeMs, stop, clock);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, clock.waitMs, undefined);
    });
    const outcome = await Promise.race([search, late]);
    clearTimeout(timer);
    if (outcome !== undefined) return outcome;
    this.#storeCounts.late++;
    clock.giveUp();
    waited.abort();
    // It may still come, for the host tier; a right to compute that comes now is nobody's.
    void search.then((after) => (after.found ? undefined : after.release()));
    return NOT_FOUND;
  }

  /** Reads the value; where nobody has it takes the lock, or waits for whoever computes it. Never rejects. */
  async #search(
    key: BlockKey,
    store: ByteStore,
    computeMs: number | undefined,
    stop: AbortSignal,
    clock: LoadClock,
  ): Promise<LoadOutcome> {
    const startMs = performance.now();
    const giveUpMs = startMs + (computeMs ?? UNKNOWN_WAIT_MS);
    for (let pauseMs = POLL_MS.first; ; pauseMs = Math.min(pauseMs * 2, POLL_MS.most)) {
      const value = await this.#read(store, key);
      // Only the first look tells what a load costs: later ones have waited for somebody's prefill.
      if (pauseMs === POLL_MS.first) clock.end(value && HEADER_BYTES + value.payload.byteLength);
      if (value !== undefined) {
        const loadMs = performance.now() - startMs;
        this.#storeCounts.hits++;
        this.#storeCounts.loadedBytes += value.payload.byteLength;
        this.#storeCounts.loadSeconds += loadMs / 1000;
        this.#host.put(key, value);
        return { found: true, tier: store.tier, value, loadMs };
      }
      const lock = await this.#locks.run(() => store.lock(key, lockTtlMs(computeMs)));
      const mayCompute = !lock.ok || lock.result !== undefined;
      if (mayCompute || stop.aborted || performance.now() >= giveUpMs) {
        this.#storeCounts.misses++;
        const held = lock.ok ? lock.result : undefined;
        return { found: false, release: async () => void (held && (await this.#locks.run(() => held.release()))) };
      }
      await delay(pauseMs);
    }
  }

  async #read(store: ByteStore, key: BlockKey): Promise<BlockValue | undefined> {
    const answer = await this.#reads.run(() => store.get([key]));
    const bytes = answer.ok ? answer.result[0] : undefined;
    if (bytes === undefined) return undefined;
    const decoded = await decodeBlock(this.#options.shape, bytes);
    if (decoded.ok) return decoded.value;
    this.#storeCounts.corrupt++;
    if (!this.#reported.has(key)) {
      remember(this.#reported, key);
      this.#options.onCorrupt?.(key, decoded.reason);
    }
    await this.#writes.run(() => store.delete([key]));
    return undefined;
  }
}

function remember(keys: Set<BlockKey>, key: BlockKey): void {
  if (keys.size >= MAX_REMEMBERED) keys.clear();
  keys.add(key);
}

function lockTtlMs(computeMs: number | undefined): number {
  if (computeMs === undefined) return LOCK_TTL_MS.unknown;
  return Math.ceil(Math.min(Math.max(computeMs * LOCK_TTL_FACTOR, LOCK_TTL_MS.least), LOCK_TTL_MS.most));
}
