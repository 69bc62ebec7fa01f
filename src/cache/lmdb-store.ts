/**
 * The embedded store: LMDB in one directory, read through a memory map. A value is durable when `put` resolves.
 * Knows bytes under keys. Values above 16 MiB are split in parts. Documents and jobs live beside the blocks.
 *
 * `sizes` is the index: key -> bytes of the value. It is written in the same transaction as the parts, and it holds the
 * totals for statistics. So nobody walks the store to count.
 */
import { statfsSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { makeDirectory } from '../make-directory.js';
import type { ByteStore, StoreEntry, StoreLock } from './byte-store.js';
import { LmdbFiles } from './lmdb-files.js';

const PART_BYTES = 16 * 1024 * 1024;
/** Milliseconds of copying in one turn of the event loop; then others get a turn. */
const READ_SLICE_MS = 5;
/** Keys removed in one transaction: some milliseconds. */
const KEYS_PER_REMOVAL = 256;
/** Never the key of a block: those are hex digits. */
const TOTALS = 'totals';
/** Sorts after every key that begins with the prefix: keys are ASCII. */
const AFTER_PREFIX = '\u007f';

export interface LmdbStoreOptions {
  /** Most bytes of blocks; 0 sets no limit but the disk. */
  maxBytes?: number;
  /** Called if the store was not closed: its files are checked first, and a large store takes a while. */
  onCheck?: () => void;
}

interface Totals {
  entries: number;
  bytes: number;
}

export class LmdbStore implements ByteStore {
  readonly brand = 'lmdb';
  readonly #directory: string;
  readonly #files: LmdbFiles;
  readonly #maxBytes: number;
  readonly #root: RootDatabase<Buffer, string>;
  readonly #blocks: Database<Buffer, string>;
  readonly #sizes: Database<Buffer, string>;
  /** Records of the document registry; write them within `write`. */
  readonly documents: Database<Buffer, string>;
  /** Jobs of src/documents; write them within `write`. */
  readonly jobs: Database<Buffer, string>;
  /** When each lock ends, by `performance.now()`. */
  readonly #locks = new Map<string, { untilMs: number }>();
  /** Whether the last commit failed. */
  #failed = false;
  #readMs = 0;
  #nextTurn: Promise<void> | undefined;

  /**
   * @param directory made when absent
   * @throws BlockstitchError `store_damaged`; Error when the directory cannot be written
   */
  static async open(directory: string, options: LmdbStoreOptions = {}): Promise<LmdbStore> {
    await makeDirectory(directory);
    const files = new LmdbFiles(directory);
    await files.check(options.onCheck);
    files.opened();
    return new LmdbStore(directory, files, options);
  }

  private constructor(directory: string, files: LmdbFiles, { maxBytes = 0 }: LmdbStoreOptions) {
    this.#directory = directory;
    this.#files = files;
    this.#maxBytes = maxBytes;
    this.#root = open<Buffer, string>({
      path: directory,
      encoding: 'binary',
      maxDbs: 8,
      noMemInit: true,
      // Batches make promises that nobody can await. A failed commit would end the process through them.
      eventTurnBatching: false,
    });
    const database = (name: string) => this.#root.openDB<Buffer, string>({ name, encoding: 'binary' });
    this.#blocks = database('blocks');
    this.#sizes = database('sizes');
    this.documents = database('documents');
    this.jobs = database('jobs');
    if (!this.#sizes.doesExist(TOTALS)) this.#indexAll();
  }

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const values: (Uint8Array | undefined)[] = [];
    for (const key of keys) {
      while (this.#readMs > READ_SLICE_MS) await this.#turn();
      const startMs = performance.now();
      values.push(this.#read(key));
      this.#readMs += performance.now() - startMs;
    }
    return values;
  }

  async put(entries: readonly StoreEntry[], signal?: AbortSignal): Promise<void> {
    const bytes = entries.reduce((sum, { value }) => sum + value.byteLength, 0);
    await this.write(() => {
      signal?.throwIfAborted();
      const totals = this.#totals();
      const replaced = entries.reduce((sum, { key }) => sum + (this.#sizeOf(key) ?? 0), 0);
      const after = totals.bytes - replaced + bytes;
      if (this.#maxBytes > 0 && after > this.#maxBytes) {
        throw new Error(`the store holds ${totals.bytes} of at most ${this.#maxBytes} bytes, ${bytes} more do not fit`);
      }
      return () => {
        for (const { key, value } of entries) this.#write(key, value);
      };
    });
  }

  async has(keys: readonly string[]): Promise<boolean[]> {
    return keys.map((key) => this.#sizes.doesExist(key));
  }

  async delete(keys: readonly string[]): Promise<number> {
    let deleted = 0;
    for (let at = 0; at < keys.length; at += KEYS_PER_REMOVAL) {
      const slice = keys.slice(at, at + KEYS_PER_REMOVAL);
      deleted += await this.write(() => () => slice.filter((key) => this.#remove(key)).length);
    }
    if (deleted > 0) await this.#freePages();
    return deleted;
  }

  async clear(prefix = ''): Promise<number> {
    if (prefix !== '') return this.delete(this.#keysWith(prefix));
    const cleared = await this.write(() => () => {
      const { entries } = this.#totals();
      this.#blocks.clearSync();
      this.#sizes.clearSync();
      this.#sizes.put(TOTALS, numbers(0, 0));
      return entries;
    });
    await this.#freePages();
    return cleared;
  }

  /** Locks within this process only: one process owns an embedded store. */
  async lock(key: string, ttlMs: number): Promise<StoreLock | undefined> {
    const nowMs = performance.now();
    if ((this.#locks.get(key)?.untilMs ?? 0) > nowMs) return undefined;
    const own = { untilMs: nowMs + ttlMs };
    this.#locks.set(key, own);
    return {
      release: async () => {
        if (this.#locks.get(key) === own) this.#locks.delete(key);
      },
    };
  }

  async statistics(): Promise<{ entries: number; bytes: number }> {
    return this.#totals();
  }

  /** LMDB waits for its last commit, and for ever if that one failed. So an empty commit that succeeds goes last. */
  async close(): Promise<void> {
    if (this.#failed) await this.#root.transaction(() => undefined).catch(() => undefined);
    await this.#root.close();
    this.#files.closed();
  }

  /**
   * Runs writes as one transaction: all of them or none. Resolves when they are on disk.
   *
   * LMDB commits what a callback wrote before it threw. So there are two steps. `prepare` reads; it may throw, and then
   * nothing is written. The function that it returns writes and must not throw.
   * @throws Error saying why nothing was written; it names a full disk
   */
  async write<T>(prepare: () => () => T): Promise<T> {
    try {
      const result = await this.#root.transaction(() => prepare()());
      await this.#root.flushed;
      this.#failed = false;
      return result;
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  async #failure(error: unknown): Promise<unknown> {
    const commitError = (error as { commitError?: Promise<unknown> } | null)?.commitError;
    if (commitError === undefined) return error;
    this.#failed = true;
    const cause = await commitError.catch((reason: unknown) => reason);
    const { bavail, bsize } = statfsSync(this.#directory);
    const reason = cause instanceof Error ? cause.message : String(cause);
    const free = bavail * bsize;
    // A full disk also shows as an input/output error. The free space tells the two apart.
    const full = free < PART_BYTES ? `the disk of ${this.#directory} is full (${free} bytes free): ` : '';
    return new Error(`${full}${reason}`, { cause });
  }

  /** LMDB reuses the pages that a commit freed only from the second commit on. On a full disk, this makes the room. */
  async #freePages(): Promise<void> {
    await this.write(() => {
      const { entries, bytes } = this.#totals();
      return () => this.#sizes.put(TOTALS, numbers(entries, bytes));
    });
  }

  #turn(): Promise<void> {
    this.#nextTurn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#nextTurn = undefined;
        this.#readMs = 0;
        resolve();
      });
    });
    return this.#nextTurn;
  }

  /** Returns a copy: memory of the map is valid only within its transaction. */
  #read(key: string): Uint8Array | undefined {
    const bytes = this.#sizeOf(key);
    if (bytes === undefined) return undefined;
    const parts: Buffer[] = [];
    for (let part = 0; part < partsOf(bytes); part++) {
      const value = this.#blocks.getBinary(partKey(key, part));
      if (value !== undefined) parts.push(value);
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** Call within a transaction. */
  #write(key: string, value: Uint8Array): void {
    this.#remove(key);
    for (let part = 0, at = 0; part === 0 || at < value.byteLength; part++, at += PART_BYTES) {
      const length = Math.min(PART_BYTES, value.byteLength - at);
      this.#blocks.put(partKey(key, part), Buffer.from(value.buffer, value.byteOffset + at, length));
    }
    this.#sizes.put(key, numbers(value.byteLength));
    const totals = this.#totals();
    this.#sizes.put(TOTALS, numbers(totals.entries + 1, totals.bytes + value.byteLength));
  }

  /** Call within a transaction. @returns whether the value was there */
  #remove(key: string): boolean {
    const bytes = this.#sizeOf(key);
    if (bytes === undefined) return false;
    for (let part = 0; part < partsOf(bytes); part++) this.#blocks.remove(partKey(key, part));
    this.#sizes.remove(key);
    const totals = this.#totals();
    this.#sizes.put(TOTALS, numbers(totals.entries - 1, totals.bytes - bytes));
    return true;
  }

  #keysWith(prefix: string): string[] {
    return Array.from(this.#sizes.getKeys({ start: prefix, end: prefix + AFTER_PREFIX }), String);
  }

  #sizeOf(key: string): number | undefined {
    return this.#sizes.getBinary(key)?.readDoubleLE(0);
  }

  #totals(): Totals {
    const record = this.#sizes.getBinary(TOTALS);
    return record === undefined
      ? { entries: 0, bytes: 0 }
      : { entries: record.readDoubleLE(0), bytes: record.readDoubleLE(8) };
  }

  /** Makes the index, once: for a new store, or for a store that was written before there was an index. */
  #indexAll(): void {
    this.#root.transactionSync(() => {
      const sizes = new Map<string, number>();
      for (const { key, value } of this.#blocks.getRange()) {
        const name = key.slice(0, key.lastIndexOf(':'));
        sizes.set(name, (sizes.get(name) ?? 0) + value.byteLength);
      }
      let total = 0;
      for (const [key, bytes] of sizes) {
        this.#sizes.putSync(key, numbers(bytes));
        total += bytes;
      }
      this.#sizes.putSync(TOTALS, numbers(sizes.size, total));
    });
  }
}

const partKey = (key: string, part: number) => `${key}:${part}`;
const partsOf = (bytes: number) => Math.max(1, Math.ceil(bytes / PART_BYTES));

/** float64 little-endian: whole numbers up to 2^53. */
function numbers(...values: number[]): Buffer {
  const record = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) record.writeDoubleLE(value, index * 8);
  return record;
}
