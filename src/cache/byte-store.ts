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
  /** When the value was used last, Unix ms, if it takes its own place again (under a new signature); now if absent. */
  usedMs?: number;
  /** Token of the lock under which the value was computed. The put is refused if that lock is not held any more. */
  fence?: string;
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
  /** Names this holder, and no other one ever. */
  readonly token: string;
  /** The lock lives so long from now on. @returns false if it had ended; it stays so */
  renew(ttlMs: number): Promise<boolean>;
  release(): Promise<void>;
}

/** A put was refused: the lock that it names has ended, and another replica may compute the block. */
export class LockEnded extends Error {
  constructor() {
    super('the lock has ended under which the block was computed');
  }
}

export interface ByteStore {
  readonly brand: StoreBrand;
  /**
   * Values in the order of `keys`, undefined where absent.
   * @param signal aborted when nobody waits for them any more: the store may drop what is on its way, and rejects then
   */
  get(keys: readonly string[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]>;
  /**
   * Reads one value into memory that is used again: `use` has it until its promise settles, and may write to it. So many
   * are read at once that memory stays bounded; others wait. A store whose values are in this machine's memory anyway has
   * this method: what was placed in a pool is not kept a third time. Other stores have `get`.
   * @returns what `use` returns; undefined where there is no value
   */
  lend?<T>(key: string, use: (bytes: Uint8Array) => Promise<T>, signal?: AbortSignal): Promise<T | undefined>;
  /**
   * Resolves when the values are durable by the store's own standard. A refused put leaves the old values as they were.
   * An aborted put may leave the value there or not; the caller deletes it then.
   * @throws LockEnded if a fence refuses it
   */
  put(entries: readonly StoreEntry[], signal?: AbortSignal): Promise<void>;
  has(keys: readonly string[]): Promise<boolean[]>;
  /** @returns how many of the keys were there */
  delete(keys: readonly string[]): Promise<number>;
  /** Deletes every block value (not documents) whose key begins with `prefix`. @returns how many */
  clear(prefix?: string): Promise<number>;
  /** Takes the lock of a block, for one prefill across replicas. @returns undefined when another holder has it */
  lock(key: string, ttlMs: number): Promise<StoreLock | undefined>;
  statistics(): Promise<{ entries: number; bytes: number; evicted?: number }>;
  /**
   * Sizes of the values whose keys begin with a tenant's tag (see `block-key.ts`). `asOfMs`: when they were counted, by
   * `performance.now()`; just now if absent.
   */
  usage(tag: string): Promise<{ entries: number; bytes: number; asOfMs?: number }>;
  /** Every value whose key begins with `prefix`, in no order that callers may count on. */
  list(prefix?: string): AsyncIterable<StoreListing>;
  /** Told of values that were used without being read. Asks nobody and waits for nothing. */
  used?(keys: readonly string[]): void;
  /** Told that documents need values: those are dropped last. */
  keep?(keys: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
