/**
 * The index of the embedded store: for each block its bytes, when it was used last, and whether a document needs it; sums
 * for the store and for each tenant. So nobody walks the store to count, and room is made by use.
 * Knows records and their order; `lmdb-store.ts` has the values, and calls what writes within its transactions.
 *
 * `sizes`: key -> float64 bytes, float64 last use (Unix ms), float64 1 if kept; `totals` and `tenant:TAG` -> float64
 * entries, float64 bytes. `uses`: kept digit, last use in 14 digits, key. What goes first stands first.
 */
import type { Database, RootDatabase } from 'lmdb';
import { TAG_DIGITS } from './block-key.js';

export interface Totals {
  entries: number;
  bytes: number;
}

export interface IndexRecord {
  bytes: number;
  usedMs: number;
  /** A document needs it: it goes after all that no document needs. */
  kept: boolean;
}

/** Never the keys of blocks: those are hex digits. */
const TOTALS = 'totals';
const FORM = 'form';
const TENANT = 'tenant:';
/** Raise it when records change: the index is made again then. */
const CURRENT_FORM = 2;
/** Sorts after every key that begins with the prefix: keys are ASCII. */
const AFTER_PREFIX = '\u007f';
const USE_DIGITS = 14;
/** Uses that are remembered before they are written. */
const MOST_TOUCHED = 50_000;

export interface LmdbIndexOptions {
  /** A use is written only if the last one was so long ago. */
  grainMs: number;
  now: () => number;
}

export class LmdbIndex {
  readonly #sizes: Database<Buffer, string>;
  readonly #uses: Database<Buffer, string>;
  readonly #options: LmdbIndexOptions;
  /** Uses that are not written yet. */
  readonly #touched = new Map<string, number>();

  constructor(root: RootDatabase<Buffer, string>, options: LmdbIndexOptions) {
    this.#sizes = root.openDB<Buffer, string>({ name: 'sizes', encoding: 'binary' });
    this.#uses = root.openDB<Buffer, string>({ name: 'uses', encoding: 'binary' });
    this.#options = options;
  }

  /** Whether the index must be made: the store is new, or an older version wrote it. */
  get isMissing(): boolean {
    return !this.#sizes.doesExist(TOTALS) || this.#sizes.getBinary(FORM)?.readDoubleLE(0) !== CURRENT_FORM;
  }

  /** Makes the index anew; call within a transaction. @param kept keys that documents need */
  make(bytesByKey: ReadonlyMap<string, number>, kept: ReadonlySet<string>): void {
    this.clear();
    for (const [key, bytes] of bytesByKey) this.add(key, { bytes, usedMs: 0, kept: kept.has(key) });
  }

  has(key: string): boolean {
    return this.#sizes.doesExist(key);
  }

  read(key: string): IndexRecord | undefined {
    const record = this.#sizes.getBinary(key);
    if (record === undefined) return undefined;
    const [bytes = 0, usedMs = 0, kept = 0] = numbersOf(record);
    return { bytes, usedMs, kept: kept === 1 };
  }

  totals(): Totals {
    return this.#totalsAt(TOTALS);
  }

  totalsOf(tag: string): Totals {
    return this.#totalsAt(TENANT + tag);
  }

  keysWith(prefix: string): string[] {
    return [...this.entries(prefix)].map(([key]) => key);
  }

  *entries(prefix: string): Generator<[string, IndexRecord]> {
    for (const name of this.#sizes.getKeys({ start: prefix, end: prefix + AFTER_PREFIX })) {
      const key = String(name);
      const record = isBlock(key) ? this.read(key) : undefined;
      if (record !== undefined) yield [key, record];
    }
  }

  /**
   * What must go so that `bytes` are free, first what no document needs, in the order of last use.
   * @returns undefined if there is not enough that may go
   */
  victims(bytes: number, spared: (key: string) => boolean): string[] | undefined {
    const victims: string[] = [];
    let free = 0;
    if (bytes <= 0) return victims;
    for (const place of this.#uses.getKeys()) {
      const key = String(place).slice(1 + USE_DIGITS);
      const record = spared(key) ? undefined : this.read(key);
      if (record === undefined) continue;
      victims.push(key);
      free += record.bytes;
      if (free >= bytes) return victims;
    }
    return undefined;
  }

  /** Call within a transaction; the key has no record. */
  add(key: string, record: IndexRecord): void {
    this.#put(key, record);
    this.#sum(key, 1, record.bytes);
  }

  /** Call within a transaction. @returns the record that was there */
  remove(key: string): IndexRecord | undefined {
    const record = this.read(key);
    if (record === undefined) return undefined;
    this.#sizes.remove(key);
    this.#uses.remove(placeOf(key, record));
    this.#touched.delete(key);
    this.#sum(key, -1, -record.bytes);
    return record;
  }

  /** Call within a transaction. */
  clear(): void {
    this.#sizes.clearSync();
    this.#uses.clearSync();
    this.#touched.clear();
    this.#sizes.put(TOTALS, numbers(0, 0));
    this.#sizes.put(FORM, numbers(CURRENT_FORM));
  }

  /** Writes the sums as they are: a commit that changes nothing. Call within a transaction. */
  rewrite(): void {
    const { entries, bytes } = this.totals();
    this.#sizes.put(TOTALS, numbers(entries, bytes));
  }

  /** Remembers a use; `writeUses` writes it. */
  use(key: string): void {
    if (this.#touched.size < MOST_TOUCHED || this.#touched.has(key)) this.#touched.set(key, this.#options.now());
  }

  get hasUses(): boolean {
    return this.#touched.size > 0;
  }

  /** Call within a transaction. */
  writeUses(): void {
    for (const [key, usedMs] of this.#touched) {
      const record = this.read(key);
      if (record === undefined || usedMs - record.usedMs < this.#options.grainMs) continue;
      this.#uses.remove(placeOf(key, record));
      this.#put(key, { ...record, usedMs });
    }
    this.#touched.clear();
  }

  /** Marks that documents need the blocks. Call within a transaction. */
  keep(keys: readonly string[]): void {
    for (const key of keys) {
      const record = this.read(key);
      if (record === undefined || record.kept) continue;
      this.#uses.remove(placeOf(key, record));
      this.#put(key, { ...record, kept: true });
    }
  }

  #put(key: string, record: IndexRecord): void {
    this.#sizes.put(key, numbers(record.bytes, record.usedMs, record.kept ? 1 : 0));
    this.#uses.put(placeOf(key, record), Buffer.alloc(0));
  }

  #sum(key: string, entries: number, bytes: number): void {
    for (const place of [TOTALS, TENANT + key.slice(0, TAG_DIGITS)]) {
      const totals = this.#totalsAt(place);
      const after = { entries: totals.entries + entries, bytes: totals.bytes + bytes };
      if (after.entries === 0 && place !== TOTALS) this.#sizes.remove(place);
      else this.#sizes.put(place, numbers(after.entries, after.bytes));
    }
  }

  #totalsAt(place: string): Totals {
    const [entries = 0, bytes = 0] = numbersOf(this.#sizes.getBinary(place));
    return { entries, bytes };
  }
}

const isBlock = (key: string) => key !== TOTALS && key !== FORM && !key.startsWith(TENANT);

function placeOf(key: string, { usedMs, kept }: Pick<IndexRecord, 'usedMs' | 'kept'>): string {
  return `${kept ? 1 : 0}${String(Math.trunc(usedMs)).padStart(USE_DIGITS, '0')}${key}`;
}

/** float64 little-endian: whole numbers up to 2^53. */
function numbers(...values: number[]): Buffer {
  const record = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) record.writeDoubleLE(value, index * 8);
  return record;
}

function numbersOf(record: Buffer | undefined): number[] {
  return record === undefined
    ? []
    : Array.from({ length: record.length / 8 }, (_, index) => record.readDoubleLE(index * 8));
}
