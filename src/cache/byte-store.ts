/**
 * The interfaces of block storage: what a stored block is, what a store must do, what the tiers offer the engine.
 * Knows bytes and keys; it knows neither pages nor models (the engine does).
 */
import type { KvDtype } from '../kernels/native-addon.js';

/** Lower-case hex SHA-256 of (format version | model fingerprint | kv dtype | sink ids | cache salt | token ids). */
export type BlockKey = string;

/** Shape of every block of one model; part of the stored header and checked on load. */
export interface BlockShape {
  /** Hex SHA-256 of config, weights and weight format of the imported model. */
  fingerprint: string;
  layers: number;
  kvHeads: number;
  headDim: number;
  dtype: KvDtype;
}

/** One block's KV, `payload` laid out `[layer][k|v][kv head][token][dim]` (int8: float32 scales behind it). */
export interface BlockValue {
  tokens: number;
  payload: Uint8Array;
}

/** Where a block's KV was found. `pool` is the engine's own; the others belong to src/blocks. */
export type CacheTier = 'pool' | 'host' | 'lmdb' | 'redis';

/**
 * A place that keeps encoded values under keys. Values are opaque here: the codec is above.
 * Every method may reject with a store error; callers treat that as "store down", never as "no hit".
 */
export interface ByteStore {
  readonly tier: 'lmdb' | 'redis';
  /** Values in the order of `keys`, undefined where absent. */
  get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Resolves when the values are durable by the store's own standard. */
  put(entries: readonly { key: string; value: Uint8Array }[]): Promise<void>;
  has(keys: readonly string[]): Promise<boolean[]>;
  delete(keys: readonly string[]): Promise<number>;
  /** Deletes every block value (not documents). @returns how many */
  clear(): Promise<number>;
  /** Takes a short lock for one prefill across replicas. @returns undefined when another holder has it */
  lock(key: string, ttlMs: number): Promise<{ release(): Promise<void> } | undefined>;
  statistics(): Promise<{ entries: number; bytes: number }>;
  close(): Promise<void>;
}

export type LoadOutcome =
  | { found: true; tier: Exclude<CacheTier, 'pool'>; value: BlockValue; loadMs: number }
  /** Nobody has it. The caller holds the right (across replicas) to compute it and must call `release`. */
  | { found: false; release(): Promise<void> };

/** What is known of a block that is asked for; all of it is optional. */
export interface LoadWanted {
  tokens?: number;
  /** Milliseconds that prefilling it would take. */
  computeMs?: number | undefined;
  signal?: AbortSignal;
}

/** `durable` in the store, by the store's own standard; else why not. */
export type SaveOutcome = { durable: true } | { durable: false; reason: string };

/** The tiers below the pool, in one. All failures of the store are absorbed here (circuit breaker): a miss, counted. */
export interface BlockRepository {
  /**
   * Single flight per key: concurrent callers share one load. Waits for another replica's prefill, and for the store
   * itself, no longer than computing the block takes.
   */
  load(key: BlockKey, wanted?: LoadWanted): Promise<LoadOutcome>;
  save(key: BlockKey, value: BlockValue): Promise<SaveOutcome>;
  locate(keys: readonly BlockKey[]): Promise<(Exclude<CacheTier, 'pool'> | undefined)[]>;
  delete(keys: readonly BlockKey[]): Promise<number>;
  clear(): Promise<number>;
  statistics(): Promise<RepositoryStatistics>;
  close(): Promise<void>;
}

export interface TierStatistics {
  entries: number;
  bytes: number;
  hits: number;
  misses: number;
  /** Values refused by a check (checksum, header, fingerprint). */
  corrupt: number;
  loadedBytes: number;
  loadSeconds: number;
}

export interface RepositoryStatistics {
  host: TierStatistics;
  store?: TierStatistics & {
    tier: 'lmdb' | 'redis';
    breaker: 'closed' | 'open' | 'half-open';
    failures: number;
    /** Blocks not loaded since computing them was faster, by measure. */
    passedOver: number;
    /** Loads given up since they took as long as computing. */
    late: number;
  };
}
