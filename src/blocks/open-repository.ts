/**
 * The tiers below the pool, in one: host memory, then a store behind a circuit breaker, one load per key at a time.
 * Knows keys and values; a store that fails is a miss, counted, and requests go on by recomputing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { decodeBlock, encodeBlock } from './block-codec.js';
import type {
  BlockKey,
  BlockRepository,
  BlockShape,
  BlockValue,
  ByteStore,
  CacheTier,
  LoadOutcome,
  RepositoryStatistics,
  TierStatistics,
} from './block-store.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { HostTier } from './host-tier.js';

export interface RepositoryOptions {
  shape: BlockShape;
  store?: ByteStore;
  /** Payload bytes in host memory at most. */
  hostBytes: number;
  /** Told once per key of a value that a check refused. */
  onCorrupt?: (key: BlockKey, reason: string) => void;
  /** How long a prefill in another replica is waited for. */
  lockMs?: number;
}

type LowerTier = Exclude<CacheTier, 'pool'>;

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
  readonly #breaker = new CircuitBreaker();
  readonly #flights = new Map<BlockKey, Promise<LoadOutcome>>();
  readonly #reported = new Set<BlockKey>();
  readonly #hostCounts = noStatistics();
  readonly #storeCounts = noStatistics();

  constructor(options: RepositoryOptions) {
    this.#options = options;
    this.#host = new HostTier(options.hostBytes);
  }

  async load(key: BlockKey, signal?: AbortSignal): Promise<LoadOutcome> {
    const flight = this.#flights.get(key);
    if (flight !== undefined) {
      const outcome = await flight;
      // The right to compute belongs to the first caller; the others compute only where that one gave up.
      return outcome.found ? outcome : { found: false, release: async () => {} };
    }
    const load = this.#load(key, signal).finally(() => this.#flights.delete(key));
    this.#flights.set(key, load);
    return load;
  }

  async save(key: BlockKey, value: BlockValue): Promise<boolean> {
    this.#host.put(key, value);
    const { store, shape } = this.#options;
    if (store === undefined) return false;
    const saved = await this.#breaker.run(() => store.put([{ key, value: encodeBlock(shape, value) }]));
    return saved !== undefined;
  }

  async locate(keys: readonly BlockKey[]): Promise<(LowerTier | undefined)[]> {
    const { store } = this.#options;
    const missing = keys.filter((key) => !this.#host.has(key));
    const answer = store && missing.length > 0 ? await this.#breaker.run(() => store.has(missing)) : undefined;
    const stored = new Set(missing.filter((_, index) => answer?.result[index] === true));
    return keys.map((key) => (this.#host.has(key) ? 'host' : stored.has(key) ? store?.tier : undefined));
  }

  async delete(keys: readonly BlockKey[]): Promise<number> {
    const { store } = this.#options;
    const gone = new Set(keys.filter((key) => this.#host.delete(key)));
    if (store === undefined) return gone.size;
    const answer = await this.#breaker.run(async () => {
      const found = await store.has(keys);
      await store.delete(keys);
      return keys.filter((_, index) => found[index]);
    });
    for (const key of answer?.result ?? []) gone.add(key);
    return gone.size;
  }

  async clear(): Promise<number> {
    const hosted = this.#host.clear();
    const { store } = this.#options;
    const cleared = store && (await this.#breaker.run(() => store.clear()));
    return Math.max(hosted, cleared?.result ?? 0);
  }

  async statistics(): Promise<RepositoryStatistics> {
    const host = { ...this.#hostCounts, entries: this.#host.entries, bytes: this.#host.bytes };
    const { store } = this.#options;
    if (store === undefined) return { host };
    const sizes = (await this.#breaker.run(() => store.statistics()))?.result ?? { entries: 0, bytes: 0 };
    const { state: breaker, failures } = this.#breaker;
    return { host, store: { ...this.#storeCounts, ...sizes, tier: store.tier, breaker, failures } };
  }

  async close(): Promise<void> {
    await this.#options.store?.close();
  }

  async #load(key: BlockKey, signal?: AbortSignal): Promise<LoadOutcome> {
    const startMs = performance.now();
    const hosted = this.#host.get(key);
    if (hosted !== undefined) {
      this.#hostCounts.hits++;
      return { found: true, tier: 'host', value: hosted, loadMs: performance.now() - startMs };
    }
    this.#hostCounts.misses++;
    const { store, lockMs = 2_000 } = this.#options;
    if (store === undefined) return { found: false, release: async () => {} };
    for (const giveUpMs = startMs + lockMs; ; ) {
      const value = await this.#read(store, key);
      if (value !== undefined) {
        const loadMs = performance.now() - startMs;
        this.#storeCounts.hits++;
        this.#storeCounts.loadedBytes += value.payload.byteLength;
        this.#storeCounts.loadSeconds += loadMs / 1000;
        this.#host.put(key, value);
        return { found: true, tier: store.tier, value, loadMs };
      }
      const answer = await this.#breaker.run(() => store.lock(key, lockMs));
      const mayCompute = answer === undefined || answer.result !== undefined;
      if (mayCompute || signal?.aborted || performance.now() >= giveUpMs) {
        this.#storeCounts.misses++;
        const lock = answer?.result;
        return { found: false, release: async () => void (lock && (await this.#breaker.run(() => lock.release()))) };
      }
      await delay(10);
    }
  }

  async #read(store: ByteStore, key: BlockKey): Promise<BlockValue | undefined> {
    const bytes = (await this.#breaker.run(() => store.get([key])))?.result[0];
    if (bytes === undefined) return undefined;
    const decoded = decodeBlock(this.#options.shape, bytes);
    if (decoded.ok) return decoded.value;
    this.#storeCounts.corrupt++;
    if (!this.#reported.has(key)) {
      this.#reported.add(key);
      this.#options.onCorrupt?.(key, decoded.reason);
    }
    await this.#breaker.run(() => store.delete([key]));
    return undefined;
  }
}
