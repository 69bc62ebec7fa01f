/**
 * The one owner of where a block's KV may be: the pools of the engines, host memory, the store.
 *
 *   find      which tiers have a block
 *   hold      its value from the tiers below, or the right to compute it
 *   computed  keeps what a prefill wrote
 *   forget    drops blocks from exactly the tiers named, and reports what it could not do
 *
 * A load or a save that began before a forget keeps nothing in the tiers that the forget named. Nobody else saves, loads
 * or deletes blocks. Knows keys, values and tiers. Engines know pages; the rooms above know requests and documents.
 */
import { HEADER_BYTES, payloadBytes } from './block-codec.js';
import type { ByteStore } from './byte-store.js';
import { Forgetting, type Operation } from './forgetting.js';
import { HostTier } from './host-tier.js';
import { type HoldWanted, StoredBlocks, type StoredBlocksOptions } from './stored-blocks.js';
import type { RoomAnswer } from './tenant-room.js';
import {
  type BlockKey,
  type BlockSelection,
  type BlockShape,
  type BlockValue,
  CACHE_TIERS,
  type CacheStatistics,
  type CacheTier,
  covering,
  type LowerTier,
  type StoreBrand,
} from './tiers.js';

/** What the cache asks of one engine's pool. */
export interface Pool {
  /** Blocks that requests find there, with their tokens. */
  readonly blocks: ReadonlyMap<BlockKey, number>;
  /** Bytes of a block of so many tokens. */
  payloadBytes(tokens: number): number;
  /**
   * Drops blocks if `tiers` has `pool`. Blocks in use are no longer found; they leave when they are released. Blocks in
   * the middle of a load or a computation keep away from the tiers named. Resolves when every save that the engine
   * ordered before is on record.
   */
  forget(selection: BlockSelection, tiers: ReadonlySet<CacheTier>): Promise<void>;
}

export interface BlockPlace {
  tiers: CacheTier[];
  /** Tiers that gave no answer: the block may be there. */
  unknown?: CacheTier[];
  /** Known if a pool has the block. */
  tokens?: number;
  bytes?: number;
}

export type HoldOutcome =
  /** `placed`: `wanted.place` has copied the value. It may be nowhere else then. */
  | { found: true; tier: LowerTier; value: BlockValue; placed: boolean; loadMs: number }
  | { found: true; tier: LowerTier; value: undefined; placed: true; loadMs: number }
  /** Nobody has it. The caller holds the right (across replicas) to compute it and must call `release`. */
  | { found: false; release(): Promise<void> };

/**
 * `durable`: the store has it, by the store's own standard. Else `reason` says why not; `forgotten` if the store was
 * told to forget the block meanwhile.
 */
export type SaveOutcome = { durable: true } | { durable: false; reason: string; forgotten?: true };

export interface Forgotten {
  /** Blocks that were dropped from at least one tier, and that none of the named tiers has any more. */
  blocks: number;
  /** Why the store may still have some of them; absent if it has none. */
  failure?: string;
}

export interface BlockCacheOptions extends Omit<StoredBlocksOptions, 'store'> {
  store?: ByteStore;
  /** Most payload bytes in host memory. */
  hostBytes: number;
}

const NOT_FOUND: HoldOutcome = { found: false, release: async () => {} };
const FORGOTTEN: SaveOutcome = { durable: false, reason: 'it was deleted while it was computed', forgotten: true };
const EVERY_TIER: ReadonlySet<CacheTier> = new Set(CACHE_TIERS);

export class BlockCache {
  /** Of stored values. */
  readonly #form: BlockShape;
  readonly #host: HostTier;
  readonly #store: StoredBlocks | undefined;
  readonly #pools = new Set<Pool>();
  readonly #forgetting = new Forgetting();
  /** Loads under way that others may join. */
  readonly #flights = new Map<BlockKey, Promise<HoldOutcome>>();
  /** How many ingestions count on a block. */
  readonly #watched = new Map<BlockKey, number>();
  readonly #hostCounts = { hits: 0, misses: 0, corrupt: 0, loadedBytes: 0, loadSeconds: 0 };

  constructor({ store, hostBytes, ...options }: BlockCacheOptions) {
    this.#form = { ...options.shape, dtype: options.storedDtype ?? options.shape.dtype };
    this.#host = new HostTier(hostBytes);
    this.#store = store === undefined ? undefined : new StoredBlocks({ ...options, store });
  }

  get brand(): StoreBrand | undefined {
    return this.#store?.brand;
  }

  /** Adds a pool: its blocks are found and forgotten with the others. @returns a function that removes the pool */
  addPool(pool: Pool): () => void {
    this.#pools.add(pool);
    return () => void this.#pools.delete(pool);
  }

  async find(keys: readonly BlockKey[]): Promise<BlockPlace[]> {
    const stored = this.#store === undefined ? new Set<BlockKey>() : await this.#store.has(keys);
    return keys.map((key) => {
      const place: BlockPlace = { tiers: this.nearTiers(key) };
      if (stored === undefined) place.unknown = ['store'];
      else if (stored.has(key)) place.tiers.push('store');
      const pool = [...this.#pools].find(({ blocks }) => blocks.has(key));
      const tokens = pool?.blocks.get(key);
      if (pool === undefined || tokens === undefined) return place;
      return { ...place, tokens, bytes: pool.payloadBytes(tokens) };
    });
  }

  /** Which tiers of this process have a block. Asks no store, so the answer is there at once. */
  nearTiers(key: BlockKey): CacheTier[] {
    const tiers: CacheTier[] = [...this.#pools].some(({ blocks }) => blocks.has(key)) ? ['pool'] : [];
    if (this.#host.has(key)) tiers.push('host');
    return tiers;
  }

  /** Loads a key once at a time: concurrent callers share the load. A store failure is a miss, and is counted. */
  async hold(key: BlockKey, wanted: HoldWanted = {}): Promise<HoldOutcome> {
    const flight = this.#flights.get(key);
    if (flight !== undefined) {
      const outcome = await flight;
      // The first caller holds the right to compute. The others hold nothing, so they have nothing to release.
      if (!outcome.found) return NOT_FOUND;
      // It went where the first caller wanted it, and nowhere else.
      if (outcome.value === undefined) return this.hold(key, wanted);
      return { ...outcome, placed: false };
    }
    const load = this.#load(key, wanted).finally(() => {
      if (this.#flights.get(key) === load) this.#flights.delete(key);
    });
    this.#flights.set(key, load);
    return load;
  }

  /**
   * Keeps a computed block in host memory and in the store. Never rejects.
   *
   * @param read      copies the block out of its pages. It throws if the copy was given up. It gives undefined if
   *                  another save has made the block durable meanwhile
   * @param forgotten tiers that were told to forget the block since its computation began
   */
  async computed(
    key: BlockKey,
    read: () => Promise<BlockValue | undefined>,
    forgotten: readonly LowerTier[] = [],
  ): Promise<SaveOutcome> {
    const operation = this.#forgetting.begin(key, forgotten);
    try {
      const value = await read();
      if (value === undefined) return operation.forgotten.has('store') ? FORGOTTEN : { durable: true };
      if (!operation.forgotten.has('host')) this.#host.put(key, value);
      if (this.#store === undefined) return { durable: false, reason: 'there is no store' };
      if (operation.forgotten.has('store')) return FORGOTTEN;
      const write = this.#store.save(key, value, operation.signal, this.#watched);
      operation.storeWrite = write;
      const reason = await write;
      if (operation.forgotten.has('store')) return FORGOTTEN;
      return reason === undefined ? { durable: true } : { durable: false, reason };
    } catch (error) {
      return { durable: false, reason: error instanceof Error ? error.message : String(error) };
    } finally {
      this.#forgetting.end(operation);
    }
  }

  /**
   * Watches blocks that a document needs until somebody is told that they are durable.
   * @returns `forgotten` says whether the store was told to forget one of them since; call `end` when the watch is over
   */
  watch(keys: readonly BlockKey[]): { forgotten(): boolean; end(): void } {
    const operations = keys.map((key) => this.#forgetting.begin(key));
    for (const key of keys) this.#watched.set(key, (this.#watched.get(key) ?? 0) + 1);
    this.#store?.keep(keys);
    return {
      forgotten: () => operations.some(({ forgotten }) => forgotten.has('store')),
      end: () => {
        for (const operation of operations) this.#forgetting.end(operation);
        for (const key of keys) {
          const left = (this.#watched.get(key) ?? 1) - 1;
          if (left === 0) this.#watched.delete(key);
          else this.#watched.set(key, left);
        }
      },
    };
  }

  /** Drops blocks from exactly the tiers named (default: every tier). Works without an engine too. Never rejects. */
  async forget(selection: BlockSelection, tiers: ReadonlySet<CacheTier> = EVERY_TIER): Promise<Forgotten> {
    const covers = covering(selection);
    return this.#forgetting.during(selection, tiers, async (marked) => {
      for (const { key } of marked) this.#flights.delete(key);
      const near = this.#near(covers, tiers);
      await Promise.all([...this.#pools].map((pool) => pool.forget(selection, tiers)));
      if (tiers.has('host')) for (const key of [...this.#host.keys()]) if (covers(key)) this.#host.delete(key);
      if (!tiers.has('store') || this.#store === undefined) return { blocks: near.size };
      return this.#forgetStored(this.#store, selection, near, marked);
    });
  }

  /** `failing` from the calls that opened a breaker until one succeeds. */
  get storeState(): 'ok' | 'failing' {
    return this.#store?.state ?? 'ok';
  }

  /** Told of blocks that a pool had: the store drops what was used longest ago. */
  used(keys: readonly BlockKey[]): void {
    this.#store?.used(keys);
  }

  /**
   * Sizes of a tenant's blocks in the store, and the most bytes that it may have there; undefined if there is no store, or
   * it does not say.
   * @param tag see `tenantTag`
   */
  async usage(tag: string): Promise<{ entries: number; bytes: number; limit: number | undefined } | undefined> {
    const usage = await this.#store?.usage(tag);
    return usage && { entries: usage.entries, bytes: usage.bytes, limit: this.#store?.limitOf(tag) };
  }

  /** Bytes of a block's value in a store. */
  bytesOf(tokens: number): number {
    return HEADER_BYTES + payloadBytes(this.#form, tokens);
  }

  /**
   * Reserves room in the store for blocks of a tenant that are computed and saved next; those that are stored need none.
   * @param tag see `tenantTag`
   * @param blocks tokens of each by its key
   * @returns what is stored or reserved, what the blocks would add, and the limit that this passes; or `release`, to be
   *   called once when the blocks are saved or given up
   */
  async reserveRoom(tag: string, blocks: ReadonlyMap<BlockKey, number>): Promise<RoomAnswer> {
    if (this.#store?.limitOf(tag) === undefined) return { ok: true, release: () => undefined };
    const stored = (await this.#store.has([...blocks.keys()])) ?? new Set<BlockKey>();
    const missing = [...blocks].filter(([key]) => !stored.has(key));
    return this.#store.room.reserve(tag, new Map(missing.map(([key, tokens]) => [key, this.bytesOf(tokens)])));
  }

  async statistics(): Promise<CacheStatistics> {
    const host = { ...this.#hostCounts, entries: this.#host.entries, bytes: this.#host.bytes };
    return this.#store === undefined ? { host } : { host, store: await this.#store.statistics() };
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  /** The covered blocks in the pools and in host memory, if `tiers` names these. */
  #near(covers: (key: BlockKey) => boolean, tiers: ReadonlySet<CacheTier>): Set<BlockKey> {
    const near = new Set<BlockKey>();
    const add = (keys: Iterable<BlockKey>) => {
      for (const key of keys) if (covers(key)) near.add(key);
    };
    if (tiers.has('pool')) for (const pool of this.#pools) add(pool.blocks.keys());
    if (tiers.has('host')) add(this.#host.keys());
    return near;
  }

  /** Waits for the writes that began before (they are aborted), then deletes from the store. */
  async #forgetStored(
    store: StoredBlocks,
    selection: BlockSelection,
    near: ReadonlySet<BlockKey>,
    marked: readonly Operation[],
  ): Promise<Forgotten> {
    await Promise.allSettled(marked.map(({ storeWrite }) => storeWrite));
    const asked = 'keys' in selection ? [...new Set(selection.keys)] : [...near];
    const known = (await store.has(asked)) ?? new Set<BlockKey>();
    const deleted = 'keys' in selection ? await store.delete(asked) : await store.clear(selection.prefix);
    const elsewhere = [...near].filter((key) => !known.has(key)).length;
    if (!deleted.ok) return { blocks: elsewhere, failure: deleted.reason };
    return { blocks: elsewhere + deleted.count };
  }

  async #load(key: BlockKey, wanted: HoldWanted): Promise<HoldOutcome> {
    const startMs = performance.now();
    const operation = this.#forgetting.begin(key);
    let late: Promise<{ value?: BlockValue } | undefined> = Promise.resolve(undefined);
    const keep = (value: BlockValue | undefined) => {
      const { forgotten } = operation;
      if (value !== undefined && !forgotten.has('host') && !forgotten.has('store')) this.#host.put(key, value);
    };
    try {
      const hosted = operation.forgotten.has('host') ? undefined : this.#host.get(key);
      if (hosted !== undefined) {
        this.#hostCounts.hits++;
        this.#store?.used([key]);
        return { found: true, tier: 'host', value: hosted, placed: false, loadMs: performance.now() - startMs };
      }
      this.#hostCounts.misses++;
      if (this.#store === undefined || operation.forgotten.has('store')) return NOT_FOUND;
      const load = await this.#store.load(key, wanted);
      late = load.late;
      const { answer } = load;
      if (answer.loaded === undefined) return { found: false, release: answer.release };
      if (operation.forgotten.has('store')) return NOT_FOUND;
      const { loaded, loadMs } = answer;
      keep(loaded.value);
      if (loaded.value !== undefined)
        return { found: true, tier: 'store', value: loaded.value, placed: loaded.placed, loadMs };
      return { found: true, tier: 'store', value: undefined, placed: true, loadMs };
    } finally {
      // A value that comes late is kept only if nothing has forgotten it until then.
      void late.then((loaded) => keep(loaded?.value)).finally(() => this.#forgetting.end(operation));
    }
  }
}
