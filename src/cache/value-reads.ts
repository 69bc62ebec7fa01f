/**
 * Reads values out of a store and checks them. What a check refuses is deleted, unless a save has overtaken the read.
 * Knows the codec and the memory of values. `stored-blocks.ts` knows who waits, and for how long.
 */
import { type Decoded, decodeBlock, type PlacePayload } from './block-codec.js';
import type { ByteStore } from './byte-store.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import { StoreLooks } from './store-looks.js';
import type { StoreMacs } from './store-macs.js';
import type { BlockKey, BlockShape, BlockValue } from './tiers.js';

/** Keys that are remembered before the list starts over. */
const MAX_REPORTED = 10_000;

export interface ValueReadsOptions {
  shape: BlockShape;
  macs?: StoreMacs | undefined;
  store: Pick<ByteStore, 'get' | 'lend'>;
  run: CircuitBreaker['run'];
  remove: (key: BlockKey) => Promise<unknown>;
  /** Called once per key if a check refused its value. */
  onCorrupt: ((key: BlockKey, reason: string) => void) | undefined;
}

/** A sound value. */
export interface Loaded {
  tokens: number;
  /** Of its payload, in the form of the pool. */
  bytes: number;
  /** Absent if it was placed, and is nowhere else. */
  value?: BlockValue;
  placed: boolean;
}

type Read = { ok: true; loaded: Loaded } | Extract<Decoded, { ok: false }>;

export class ValueReads {
  readonly #options: ValueReadsOptions;
  readonly #looks = new StoreLooks();
  readonly #reported = new Set<BlockKey>();
  /** Values that a check refused. */
  corrupt = 0;

  constructor(options: ValueReadsOptions) {
    this.#options = options;
  }

  /**
   * @param place   copies the payload to where the caller wants it
   * @param dropped aborted when nobody wants the value any more
   * @returns undefined where there is no value, no sound one, or no answer
   */
  async read(key: BlockKey, place?: PlacePayload, dropped?: AbortSignal): Promise<Loaded | undefined> {
    const { run, remove } = this.#options;
    return this.#looks.during(key, async (refuse) => {
      const answer = await run((late) => this.#read(key, place, dropped ? AbortSignal.any([dropped, late]) : late));
      const read = answer.ok ? answer.result : undefined;
      if (read === undefined) return undefined;
      if (read.ok) return read.loaded;
      this.#refused(key, read.reason);
      await refuse(() => remove(key));
      return undefined;
    });
  }

  /** Call before a save. Resolves when no delete of a refused value can come any more. */
  async overtake(key: BlockKey): Promise<void> {
    await this.#looks.overtake(key);
  }

  async #read(key: BlockKey, place: PlacePayload | undefined, signal: AbortSignal): Promise<Read | undefined> {
    const { store, shape, macs } = this.#options;
    // A read that was given up may still go on, beside the next one: it must not write over what that one places.
    const placed: typeof place = place && (async (...value) => (signal.aborted ? undefined : place(...value)));
    const check = async (bytes: Uint8Array, lent: boolean): Promise<Read> => {
      const decoded = await decodeBlock(shape, key, bytes, macs, placed);
      return decoded.ok ? { ok: true, loaded: loadedOf(decoded, lent ? bytes : undefined) } : decoded;
    };
    if (place !== undefined && store.lend !== undefined) {
      return store.lend(key, (bytes) => check(bytes, true), signal);
    }
    const [bytes] = await store.get([key], signal);
    return bytes && check(bytes, false);
  }

  #refused(key: BlockKey, reason: string): void {
    this.corrupt++;
    if (this.#reported.has(key)) return;
    if (this.#reported.size >= MAX_REPORTED) this.#reported.clear();
    this.#reported.add(key);
    this.#options.onCorrupt?.(key, reason);
  }
}

/** @param lent the memory in which the value was read, if it goes back to the store: what stays is copied out of it */
function loadedOf({ value, placed }: Extract<Decoded, { ok: true }>, lent: Uint8Array | undefined): Loaded {
  const { tokens, payload } = value;
  const loaded = { tokens, bytes: payload.byteLength, placed };
  if (lent === undefined || payload.buffer !== lent.buffer) return { ...loaded, value };
  return placed ? loaded : { ...loaded, value: { ...value, payload: new Uint8Array(payload) } };
}
