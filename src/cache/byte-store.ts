/**
 * What a store must do: keep encoded values under keys. Values are opaque here; the codec is `block-codec.ts`.
 * Every method may reject. The cache takes a rejection for "store down", never for "not found".
 */
import type { StoreBrand } from './tiers.js';

export interface StoreEntry {
  key: string;
  value: Uint8Array;
  /**
   * Keys that ingestions count on now. A store that makes room by itself spares them; if this key is one of them, a
   * document needs it, and it goes last from then on.
   */
  wanted?: { has(key: string): boolean };
}

/** What a store knows of a value without reading it. */
export interface StoreListing {
  key: string;
  bytes: number;
  /** Unix time of the last use, milliseconds; 0 or absent if the store does not know. */
  usedMs?: number;
  /** Whether a document needs it; absent if the store does not know. */
  kept?: boolean;
}

export interface StoreLock {
  release(): Promise<void>;
}

export interface ByteStore {
  readonly brand: StoreBrand;
  /**
   * Values in the order of `keys`, undefined where absent.
   * @param signal aborted when nobody waits for them any more: the store may drop what is on its way, and rejects then
   */
  get(keys: readonly string[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]>;
  /**
   * Resolves when the values are durable by the store's own standard. A refused put leaves the old values as they were.
   * An aborted put may leave the value there or not; the caller deletes it then.
   */
  put(entries: readonly StoreEntry[], signal?: AbortSignal): Promise<void>;
  has(keys: readonly string[]): Promise<boolean[]>;
  /** @returns how many of the keys were there */
  delete(keys: readonly string[]): Promise<number>;
  /** Deletes every block value (not documents) whose key begins with `prefix`. @returns how many */
  clear(prefix?: string): Promise<number>;
  /** Takes a short lock for one prefill across replicas. @returns undefined when another holder has it */
  lock(key: string, ttlMs: number): Promise<StoreLock | undefined>;
  statistics(): Promise<{ entries: number; bytes: number; evicted?: number }>;
  /** Sizes of the values whose keys begin with a tenant's tag (see `block-key.ts`). */
  usage(tag: string): Promise<{ entries: number; bytes: number }>;
  /** Every value whose key begins with `prefix`, in no order that callers may count on. */
  list(prefix?: string): AsyncIterable<StoreListing>;
  /** Told of values that were used without being read. Asks nobody and waits for nothing. */
  used?(keys: readonly string[]): void;
  /** Told that documents need values: those are dropped last. */
  keep?(keys: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
