/**
 * The blocks with KV in the pool: their pages, who holds them, and which may leave (the least recently used of those
 * that nobody holds). Knows pages, keys and pins. The scheduler decides when to compute, load or preempt.
 *
 * Every page is in one of three places: free in the pool, cached (a ready block that nobody holds), or active (a held
 * block, a block being loaded or computed, a tail). A block takes its pages once, when it enters. A prefill writes its
 * tail into these very pages, so nothing is copied when the block becomes ready.
 */
import { type BlockKey, type BlockSelection, type CacheTier, covering, type LowerTier } from '../../cache/tiers.js';
import type { LoadTimes } from '../wire/messages.js';
import type { PagePool } from './page-pool.js';

/** `loading`: the tiers below are asked. `missing`: it must be computed. `ready`: others may attend to it. */
export type BlockState = 'loading' | 'missing' | 'ready';

/** One block in the pool. The scheduler reads the fields and writes `computed`; the table writes all others. */
export interface PoolBlock {
  /** Number of this stay in the pool, for messages. A later stay of the same key has another number. */
  readonly stay: number;
  readonly key: BlockKey;
  readonly tokenIds: Int32Array;
  readonly pages: Int32Array;
  /** The sinks that a prefill of this block attends to. They are held until the block is ready. */
  readonly sinks: PoolBlock | undefined;
  state: BlockState;
  /** Tokens that have their KV in the pages. The scheduler counts up while the block is computed. */
  computed: number;
  /** Milliseconds of the steps that computed it, each by its share of the step's rows. The worker counts up. */
  prefillMs: number;
  /** Where its KV came from; defined when the block is ready. */
  origin: LowerTier | 'computed' | undefined;
  pins: number;
  /** How long the tiers below took to answer; absent if they were not asked. */
  took?: LoadTimes;
  /** Whether the tiers below keep such blocks. Then they are asked for it first, and it is saved when computed. */
  readonly stored: boolean;
  /** An ingestion brought it: it waits for another replica that computes the block. A request would compute it, too. */
  readonly patient: boolean;
  /** Forgotten while held: its key no longer finds it, and it leaves when it is released. */
  doomed: boolean;
  /** Tiers that were told to forget the block since it entered: its save must keep away from them. */
  readonly forgotten: Set<LowerTier>;
  /** Whether other replicas wait for its computation (a lease), until it is saved or given up. */
  leased: boolean;
}

export interface NewBlock {
  key: BlockKey;
  tokenIds: Int32Array;
  sinks: PoolBlock | undefined;
  /** Whether the tiers below keep it. Then they are asked first. */
  stored: boolean;
  /** Whether an ingestion brings it. */
  patient?: boolean;
}

/** Changes since the last look, in order. The HTTP thread mirrors the pool with them and gives leases back. */
export interface TableChanges {
  /** Blocks that became findable and ready. With `tokens` 0: blocks that no longer are. */
  findable: { key: BlockKey; tokens: number }[];
  /** Stays of leased blocks that were given up before they were computed. */
  abandoned: number[];
}

export class BlockTable {
  readonly #pool: PagePool;
  /** Token slots per page. */
  readonly pageTokens: number;
  readonly #byKey = new Map<BlockKey, PoolBlock>();
  readonly #byStay = new Map<number, PoolBlock>();
  /** Ready blocks that nobody holds. They leave in the order of insertion. */
  readonly #idle = new Map<number, PoolBlock>();
  #idlePages = 0;
  #nextStay = 1;
  #readyBlocks = 0;
  #changes: TableChanges = { findable: [], abandoned: [] };

  /** @param pageTokens token slots per page */
  constructor(pool: PagePool, pageTokens: number) {
    this.#pool = pool;
    this.pageTokens = pageTokens;
  }

  get freePages(): number {
    return this.#pool.freePages;
  }

  /** Pages of ready blocks that nobody holds. */
  get cachedPages(): number {
    return this.#idlePages;
  }

  /** Pages that an allocation can get: free pages, and cached pages by eviction. */
  get availablePages(): number {
    return this.#pool.freePages + this.#idlePages;
  }

  /** Ready blocks, held or not; sinks are not counted. */
  get readyBlocks(): number {
    return this.#readyBlocks;
  }

  pagesFor(tokens: number): number {
    return Math.ceil(tokens / this.pageTokens);
  }

  find(key: BlockKey): PoolBlock | undefined {
    return this.#byKey.get(key);
  }

  byStay(stay: number): PoolBlock | undefined {
    return this.#byStay.get(stay);
  }

  /** Pages that are no longer available once `block` is pinned. */
  idlePagesOf(block: PoolBlock): number {
    return this.#idle.has(block.stay) ? block.pages.length : 0;
  }

  /** Takes pages. Evicts the least recently used blocks if it must. @returns undefined if there is no room */
  allocate(count: number): Int32Array | undefined {
    if (count > this.availablePages) return undefined;
    while (this.#pool.freePages < count) {
      const oldest = this.#idle.values().next().value;
      if (oldest === undefined) return undefined;
      this.#remove(oldest);
    }
    return this.#pool.allocate(count);
  }

  free(pages: Int32Array): void {
    this.#pool.free(pages);
  }

  /** Adds a block; the caller holds it once. @returns undefined if there is no room */
  add(block: NewBlock): PoolBlock | undefined {
    if (this.#byKey.has(block.key)) throw new Error(`block ${block.key} is in the pool already`);
    if (block.sinks !== undefined) this.pin(block.sinks);
    const pages = this.allocate(this.pagesFor(block.tokenIds.length));
    if (pages === undefined) {
      if (block.sinks !== undefined) this.unpin(block.sinks);
      return undefined;
    }
    const entry: PoolBlock = {
      stay: this.#nextStay++,
      key: block.key,
      tokenIds: block.tokenIds,
      pages,
      sinks: block.sinks,
      state: block.stored ? 'loading' : 'missing',
      stored: block.stored,
      patient: block.patient ?? false,
      computed: 0,
      prefillMs: 0,
      origin: undefined,
      pins: 1,
      doomed: false,
      forgotten: new Set(),
      leased: false,
    };
    this.#byKey.set(entry.key, entry);
    this.#byStay.set(entry.stay, entry);
    return entry;
  }

  pin(block: PoolBlock): void {
    block.pins++;
    if (this.#idle.delete(block.stay)) this.#idlePages -= block.pages.length;
  }

  /** Releases a block. A ready block stays cached, or leaves if doomed. A half computed one frees its pages at once. */
  unpin(block: PoolBlock): void {
    if (block.pins < 1) throw new Error(`block ${block.key} is released but not held`);
    block.pins--;
    if (block.pins > 0 || block.state === 'loading') return;
    if (block.state === 'missing' || block.doomed) this.#remove(block);
    else this.#rest(block);
  }

  /**
   * Takes the answer of the tiers below for a loading block.
   * @param tier the tier that had its KV: its pages are filled. Undefined: it must be computed, under a lease
   */
  settle(block: PoolBlock, tier: LowerTier | undefined, took?: LoadTimes): void {
    if (block.state !== 'loading') throw new Error(`block ${block.key} is settled but not loading`);
    if (took !== undefined) block.took = took;
    if (tier === undefined) {
      block.state = 'missing';
      block.leased = true;
      if (block.pins === 0) this.#remove(block);
    } else {
      this.#becomeReady(block, tier);
      if (block.pins === 0) {
        if (block.doomed) this.#remove(block);
        else this.#rest(block);
      }
    }
  }

  /** A held block's last token was computed. */
  complete(block: PoolBlock): void {
    if (block.state !== 'missing' || block.pins < 1) throw new Error(`block ${block.key} cannot become ready`);
    this.#becomeReady(block, 'computed');
  }

  /** The lease was handed on with the save. */
  leaseHandedOn(block: PoolBlock): void {
    block.leased = false;
  }

  /**
   * Forgets blocks. If `tiers` has `pool`, ready blocks that nobody holds leave at once. The others are no longer
   * found, and leave when they are released. Blocks that are being loaded or computed are not saved to the tiers named.
   * The same holds for a dropped block if its save was not yet ordered.
   */
  forget(selection: BlockSelection, tiers: ReadonlySet<CacheTier>): void {
    const covers = covering(selection);
    const lower = (['host', 'store'] as const).filter((tier) => tiers.has(tier));
    const drops = tiers.has('pool');
    for (const block of [...this.#byStay.values()]) {
      if (!covers(block.key)) continue;
      if (drops || block.state !== 'ready') for (const tier of lower) block.forgotten.add(tier);
      if (drops && !block.doomed) this.#drop(block);
    }
  }

  /** Drops blocks from the pool alone. A failed step may have left wrong KV in their pages: nobody may find it. */
  drop(blocks: Iterable<PoolBlock>): void {
    for (const block of blocks) if (!block.doomed) this.#drop(block);
  }

  /** Hands out the changes since the last call. */
  takeChanges(): TableChanges {
    const changes = this.#changes;
    this.#changes = { findable: [], abandoned: [] };
    return changes;
  }

  #becomeReady(block: PoolBlock, origin: NonNullable<PoolBlock['origin']>): void {
    block.state = 'ready';
    block.computed = block.tokenIds.length;
    block.origin = origin;
    if (block.sinks !== undefined) this.unpin(block.sinks);
    if (!block.stored) return;
    this.#readyBlocks++;
    if (!block.doomed) this.#changes.findable.push({ key: block.key, tokens: block.tokenIds.length });
  }

  #drop(block: PoolBlock): void {
    if (this.#idle.has(block.stay)) {
      this.#remove(block);
    } else {
      block.doomed = true;
      this.#forget(block);
    }
  }

  #rest(block: PoolBlock): void {
    this.#idle.set(block.stay, block);
    this.#idlePages += block.pages.length;
  }

  #forget(block: PoolBlock): void {
    if (this.#byKey.get(block.key) !== block) return;
    this.#byKey.delete(block.key);
    if (block.state === 'ready' && block.stored) this.#changes.findable.push({ key: block.key, tokens: 0 });
  }

  #remove(block: PoolBlock): void {
    if (this.#idle.delete(block.stay)) this.#idlePages -= block.pages.length;
    this.#forget(block);
    this.#byStay.delete(block.stay);
    this.#pool.free(block.pages);
    if (block.state === 'ready' && block.stored) this.#readyBlocks--;
    if (block.leased) this.#changes.abandoned.push(block.stay);
    block.leased = false;
    if (block.state !== 'ready' && block.sinks !== undefined) this.unpin(block.sinks);
  }
}
