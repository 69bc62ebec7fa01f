/**
 * The embedded store: LMDB in one directory, read through a memory map. A value is durable when `put` resolves.
 * Knows bytes under keys. Values above 16 MiB are split in parts. Documents and jobs live beside the blocks.
 *
 * The index (`lmdb-index.ts`) is written in the same transaction as the parts. At its limit the store makes room: what was
 * used longest ago goes first, and blocks that documents need go last.
 */
import { randomUUID } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { BlockstitchError } from '../errors.js';
import { makeDirectory } from '../make-directory.js';
import { type ByteStore, LockEnded, type StoreEntry, type StoreListing, type StoreLock } from './byte-store.js';
import { LentBuffers } from './lent-buffers.js';
import { LmdbFiles } from './lmdb-files.js';
import { LmdbIndex } from './lmdb-index.js';

const PART_BYTES = 16 * 1024 * 1024;
/** Milliseconds of copying in one turn of the event loop; then others get a turn. */
const READ_SLICE_MS = 5;
/** Values that are lent at once: as many as Node has threads for copies. */
const LENT_VALUES = 4;
/** Keys removed in one transaction: some milliseconds. */
const KEYS_PER_REMOVAL = 256;
/** Uses are written with the next value, or after this time. */
const WRITE_USES_MS = 30_000;
/** A use within this time after the last one is not written. */
const USE_GRAIN_MS = 60_000;
/** Values listed in one turn of the event loop. */
const LISTED_PER_TURN = 1_024;

export interface LmdbStoreOptions {
  /** Most bytes of blocks; 0 sets no limit but the disk. Beyond it, what was used longest ago goes. */
  maxBytes?: number;
  /** A use is written only if the last one was so long ago. */
  useGrainMs?: number;
  /** Unix time, milliseconds. */
  now?: () => number;
  /** Called if the store was not closed: its files are checked first, and a large store takes a while. */
  onCheck?: () => void;
}

export class LmdbStore implements ByteStore {
  readonly brand = 'lmdb';
  readonly #directory: string;
  readonly #files: LmdbFiles;
  readonly #maxBytes: number;
  readonly #root: RootDatabase<Buffer, string>;
  readonly #blocks: Database<Buffer, string>;
  readonly #index: LmdbIndex;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  /** Values that went to make room, since the start. */
  #evicted = 0;
  /** Records of the document registry; write them within `write`. */
  readonly documents: Database<Buffer, string>;
  /** Jobs of src/documents; write them within `write`. */
  readonly jobs: Database<Buffer, string>;
  /** Who holds each lock, and when it ends, by `performance.now()`. */
  readonly #locks = new Map<string, { token: string; untilMs: number }>();
  /** Whether the last commit failed. */
  #failed = false;
  readonly #buffers = new LentBuffers(LENT_VALUES);
  #readMs = 0;
  #nextTurn: Promise<void> | undefined;

  /**
   * @param directory made when absent
   * @throws BlockstitchError `store_damaged`; `config_invalid` when the directory cannot be used
   */
  static async open(directory: string, options: LmdbStoreOptions = {}): Promise<LmdbStore> {
    try {
      await makeDirectory(directory);
      const files = new LmdbFiles(directory);
      await files.check(options.onCheck);
      files.opened();
      return new LmdbStore(directory, files, options);
    } catch (cause) {
      if (cause instanceof BlockstitchError) throw cause;
      const reason = `${directory} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw new BlockstitchError('config_invalid', { setting: '--store-dir', reason }, { cause });
    }
  }

  private constructor(
    directory: string,
    files: LmdbFiles,
    { maxBytes = 0, useGrainMs = USE_GRAIN_MS, now = Date.now }: LmdbStoreOptions,
  ) {
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
    files.mapped();
    const database = (name: string) => this.#root.openDB<Buffer, string>({ name, encoding: 'binary' });
    this.#blocks = database('blocks');
    this.#now = now;
    this.#index = new LmdbIndex(this.#root, { grainMs: useGrainMs, now });
    this.documents = database('documents');
    this.jobs = database('jobs');
    if (this.#index.isMissing) this.#indexAll();
    this.#timer = setInterval(() => void this.#writeUses().catch(() => undefined), WRITE_USES_MS);
    this.#timer.unref();
  }

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const values: (Uint8Array | undefined)[] = [];
    for (const key of keys) values.push(await this.#inSlices(() => this.#read(key)));
    return values;
  }

  async lend<T>(key: string, use: (bytes: Uint8Array) => Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
    const { bytes } = this.#index.read(key) ?? {};
    if (bytes === undefined) return undefined;
    return this.#buffers.lend(bytes, async (buffer) => {
      signal?.throwIfAborted();
      const read = await this.#inSlices(() => this.#readInto(key, buffer));
      return read === undefined ? undefined : use(buffer.subarray(0, read));
    });
  }

  async put(entries: readonly StoreEntry[], signal?: AbortSignal): Promise<void> {
    const bytes = entries.reduce((sum, { value }) => sum + value.byteLength, 0);
    const keys = new Set(entries.map(({ key }) => key));
    await this.write(() => {
      signal?.throwIfAborted();
      for (const { key, fence } of entries) {
        if (fence !== undefined && this.#locks.get(key)?.token !== fence) throw new LockEnded();
      }
      const totals = this.#index.totals();
      const replaced = [...keys].reduce((sum, key) => sum + (this.#index.read(key)?.bytes ?? 0), 0);
      // Uses are written whatever becomes of the values: they say what goes.
      this.#index.writeUses();
      const excess = this.#maxBytes > 0 ? totals.bytes - replaced + bytes - this.#maxBytes : 0;
      const spared = (key: string) => keys.has(key) || entries.some(({ wanted }) => wanted?.has(key));
      // Nothing goes for values that cannot fit at all.
      const victims = excess > 0 && bytes > this.#maxBytes ? undefined : this.#index.victims(excess, spared);
      if (victims === undefined) {
        throw new Error(`the store holds ${totals.bytes} of at most ${this.#maxBytes} bytes, ${bytes} more do not fit`);
      }
      return () => {
        for (const key of victims) this.#remove(key);
        this.#evicted += victims.length;
        for (const entry of entries) this.#write(entry);
      };
    });
  }

  async has(keys: readonly string[]): Promise<boolean[]> {
    return keys.map((key) => this.#index.has(key));
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
    if (prefix !== '') return this.delete(this.#index.keysWith(prefix));
    const cleared = await this.write(() => () => {
      const { entries } = this.#index.totals();
      this.#blocks.clearSync();
      this.#index.clear();
      return entries;
    });
    await this.#freePages();
    return cleared;
  }

  used(keys: readonly string[]): void {
    for (const key of keys) this.#index.use(key);
  }

  async keep(keys: readonly string[]): Promise<void> {
    const unmarked = keys.filter((key) => this.#index.read(key)?.kept === false);
    if (unmarked.length > 0) await this.write(() => () => this.#index.keep(unmarked));
  }

  async usage(tag: string): Promise<{ entries: number; bytes: number }> {
    return this.#index.totalsOf(tag);
  }

  async *list(prefix = ''): AsyncGenerator<StoreListing> {
    let listed = 0;
    for (const [key, record] of this.#index.entries(prefix)) {
      yield { key, ...record };
      listed += 1;
      if (listed % LISTED_PER_TURN === 0) await new Promise(setImmediate);
    }
  }

  /** Locks within this process only: one process owns an embedded store. */
  async lock(key: string, ttlMs: number): Promise<StoreLock | undefined> {
    const nowMs = performance.now();
    if ((this.#locks.get(key)?.untilMs ?? 0) > nowMs) return undefined;
    const own = { token: randomUUID(), untilMs: nowMs + ttlMs };
    this.#locks.set(key, own);
    return {
      token: own.token,
      renew: async (ms) => {
        if (this.#locks.get(key) !== own) return false;
        own.untilMs = performance.now() + ms;
        return true;
      },
      release: async () => {
        if (this.#locks.get(key) === own) this.#locks.delete(key);
      },
    };
  }

  /** Values that went to make room, since the start. */
  get evicted(): number {
    return this.#evicted;
  }

  async statistics(): Promise<{ entries: number; bytes: number; evicted: number }> {
    return { ...this.#index.totals(), evicted: this.#evicted };
  }

  /** LMDB waits for its last commit, and for ever if that one failed. So an empty commit that succeeds goes last. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#failed) await this.#writeUses().catch(() => undefined);
    if (this.#failed) await this.#root.transaction(() => undefined).catch(() => undefined);
    await this.#root.close();
    this.#files.closed();
  }

  /**
   * Runs writes as one transaction: all of them or none. Resolves when they are on disk.
   *
   * LMDB commits what a callback wrote before it threw. So there are two steps. `prepare` reads; it may throw, and then
   * nothing is written. The function that it returns writes and must not throw.
   * @throws Error saying why nothing was written; it names a full disk, and files that were removed meanwhile
   */
  async write<T>(prepare: () => () => T): Promise<T> {
    try {
      const result = await this.#root.transaction(() => prepare()());
      await this.#root.flushed;
      this.#failed = false;
      this.#files.requirePresent();
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
    await this.write(() => () => this.#index.rewrite());
  }

  async #writeUses(): Promise<void> {
    if (this.#index.hasUses) await this.write(() => () => this.#index.writeUses());
  }

  /** Runs a read when its turn of the event loop has time for it. */
  async #inSlices<T>(read: () => T): Promise<T> {
    while (this.#readMs > READ_SLICE_MS) await this.#turn();
    const startMs = performance.now();
    const result = read();
    this.#readMs += performance.now() - startMs;
    return result;
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
    const bytes = this.#index.read(key)?.bytes;
    if (bytes === undefined) return undefined;
    this.#index.use(key);
    const parts: Buffer[] = [];
    for (let part = 0; part < partsOf(bytes); part++) {
      const value = this.#blocks.getBinary(partKey(key, part));
      if (value !== undefined) parts.push(value);
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** @returns bytes that were copied; undefined if the value is gone, or has grown out of the buffer meanwhile */
  #readInto(key: string, buffer: Uint8Array): number | undefined {
    const bytes = this.#index.read(key)?.bytes;
    if (bytes === undefined || bytes > buffer.byteLength) return undefined;
    this.#index.use(key);
    let at = 0;
    for (let part = 0; part < partsOf(bytes); part++) {
      // The library reads into one buffer of its own again and again. Its `length` is the value's, its memory is larger.
      const value = this.#blocks.getBinaryFast(partKey(key, part));
      if (value === undefined || at + value.length > buffer.byteLength) continue;
      buffer.set(value.subarray(0, value.length), at);
      at += value.length;
    }
    return at;
  }

  /** Call within a transaction. */
  #write({ key, value, wanted, usedMs = this.#now() }: StoreEntry): void {
    const before = this.#remove(key);
    for (let part = 0, at = 0; part === 0 || at < value.byteLength; part++, at += PART_BYTES) {
      const length = Math.min(PART_BYTES, value.byteLength - at);
      this.#blocks.put(partKey(key, part), Buffer.from(value.buffer, value.byteOffset + at, length));
    }
    const kept = wanted?.has(key) === true || before?.kept === true;
    this.#index.add(key, { bytes: value.byteLength, usedMs, kept });
  }

  /** Call within a transaction. @returns what was there */
  #remove(key: string) {
    const record = this.#index.remove(key);
    if (record === undefined) return undefined;
    for (let part = 0; part < partsOf(record.bytes); part++) this.#blocks.remove(partKey(key, part));
    return record;
  }

  /** Makes the index, once: for a new store, or for a store that an older version wrote. */
  #indexAll(): void {
    this.#root.transactionSync(() => {
      const bytes = new Map<string, number>();
      for (const { key, value } of this.#blocks.getRange()) {
        const name = key.slice(0, key.lastIndexOf(':'));
        bytes.set(name, (bytes.get(name) ?? 0) + value.byteLength);
      }
      this.#index.make(bytes, bytes.size === 0 ? new Set() : this.#keysInDocuments());
    });
  }

  /** Block keys in the records of documents, whatever else those hold. */
  #keysInDocuments(): Set<string> {
    const keys = new Set<string>();
    for (const { value } of this.documents.getRange()) {
      for (const [, key = ''] of value.toString('latin1').matchAll(/"([0-9a-f]{64})"/g)) keys.add(key);
    }
    return keys;
  }
}

const partKey = (key: string, part: number) => `${key}:${part}`;
const partsOf = (bytes: number) => Math.max(1, Math.ceil(bytes / PART_BYTES));
