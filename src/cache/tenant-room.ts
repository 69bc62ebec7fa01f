/**
 * How many bytes a tenant may still store. Whoever is about to store blocks reserves their room, in one step with the
 * look at what is there, so two that come at once do not both take the last of it. What is stored keeps its reservation
 * until the store's own count is younger than the write.
 * Knows tags, keys and bytes of this process; other replicas' writes show in the store's count.
 */
import { formatBytes } from '../units.js';
import { TAG_DIGITS } from './block-key.js';
import type { BlockKey } from './tiers.js';

/** What a tenant has in the store, at a time of `performance.now()`. */
export interface CountedUsage {
  bytes: number;
  asOfMs: number;
}

export interface TenantRoomOptions {
  /** Most bytes of a tenant; undefined for no limit. */
  limitOf(tag: string): number | undefined;
  /** Undefined if the store does not say: then nothing is refused. */
  usage(tag: string): Promise<CountedUsage | undefined>;
}

/** `stored`: with what others have reserved. */
export interface RoomLack {
  stored: number;
  wanted: number;
  limit: number;
}

export type RoomAnswer = { ok: true; release(): void } | ({ ok: false } & RoomLack);

interface Reserved {
  bytes: number;
  holders: number;
  /** When it was stored. */
  storedMs?: number;
}

const NOTHING_HELD: RoomAnswer = { ok: true, release: () => undefined };

export class TenantRoom {
  readonly #options: TenantRoomOptions;
  /** By tenant, then by key. */
  readonly #reserved = new Map<string, Map<BlockKey, Reserved>>();

  constructor(options: TenantRoomOptions) {
    this.#options = options;
  }

  /**
   * Reserves room for blocks that the store does not have. A block that others have reserved needs no more room.
   * @param blocks bytes of each by its key
   * @returns `release` gives back what was not stored; call it once
   */
  async reserve(tag: string, blocks: ReadonlyMap<BlockKey, number>): Promise<RoomAnswer> {
    const limit = this.#options.limitOf(tag);
    const usage = limit === undefined || blocks.size === 0 ? undefined : await this.#options.usage(tag);
    if (limit === undefined || usage === undefined) return NOTHING_HELD;
    // From here to the end nobody else gets a turn.
    const reserved = this.#swept(tag, usage.asOfMs);
    const stored = [...reserved.values()].reduce((sum, { bytes }) => sum + bytes, usage.bytes);
    let wanted = 0;
    for (const [key, bytes] of blocks) wanted += reserved.has(key) ? 0 : bytes;
    if (wanted > 0 && stored + wanted > limit) return { ok: false, stored, wanted, limit };
    const held: [BlockKey, Reserved][] = [];
    for (const [key, bytes] of blocks) {
      const entry = reserved.get(key) ?? { bytes, holders: 0 };
      entry.holders += 1;
      reserved.set(key, entry);
      held.push([key, entry]);
    }
    this.#reserved.set(tag, reserved);
    return { ok: true, release: () => this.#release(tag, held) };
  }

  /**
   * Saves one block if its tenant has room for it.
   * @param save tells why the block is not stored; undefined if it is
   * @returns the same, or that there is no room
   */
  async saving(key: BlockKey, bytes: number, save: () => Promise<string | undefined>): Promise<string | undefined> {
    const tag = key.slice(0, TAG_DIGITS);
    const room = await this.reserve(tag, new Map([[key, bytes]]));
    if (!room.ok) {
      return `the stored blocks of this tenant have ${formatBytes(room.stored)} of at most ${formatBytes(room.limit)}`;
    }
    try {
      const reason = await save();
      const entry = this.#reserved.get(tag)?.get(key);
      // Its room stays taken until the store counts it.
      if (reason === undefined && entry !== undefined) entry.storedMs = performance.now();
      return reason;
    } finally {
      room.release();
    }
  }

  #release(tag: string, held: readonly [BlockKey, Reserved][]): void {
    const reserved = this.#reserved.get(tag);
    for (const [key, entry] of held) {
      entry.holders -= 1;
      if (entry.holders === 0 && entry.storedMs === undefined && reserved?.get(key) === entry) reserved.delete(key);
    }
    if (reserved?.size === 0) this.#reserved.delete(tag);
  }

  /** The reservations without those that the store counts by now. */
  #swept(tag: string, asOfMs: number): Map<BlockKey, Reserved> {
    const reserved = this.#reserved.get(tag) ?? new Map<BlockKey, Reserved>();
    for (const [key, { storedMs }] of reserved) if (storedMs !== undefined && storedMs < asOfMs) reserved.delete(key);
    if (reserved.size === 0) this.#reserved.delete(tag);
    return reserved;
  }
}
