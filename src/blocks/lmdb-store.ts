/**
 * The embedded store: LMDB in one directory, read by memory map, durable when `put` resolves, across restarts.
 * Knows bytes under keys. Values above 16 MiB are split in parts; documents live beside the blocks, see open().
 */
import { mkdirSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { ByteStore } from './block-store.js';

const PART_BYTES = 16 * 1024 * 1024;

export class LmdbStore implements ByteStore {
  readonly tier = 'lmdb';
  readonly #root: RootDatabase<Buffer, string>;
  readonly #blocks: Database<Buffer, string>;
  /** JSON values of the document registry. */
  readonly documents: Database<Buffer, string>;
  readonly #locks = new Set<string>();

  /**
   * @param directory made when absent
   * @throws Error when the directory cannot be written
   */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true });
    this.#root = open<Buffer, string>({ path: directory, encoding: 'binary', maxDbs: 4, noMemInit: true });
    this.#blocks = this.#root.openDB<Buffer, string>({ name: 'blocks', encoding: 'binary' });
    this.documents = this.#root.openDB<Buffer, string>({ name: 'documents', encoding: 'binary' });
  }

  async get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.#read(key));
  }

  async put(entries: readonly { key: string; value: Uint8Array }[]): Promise<void> {
    await this.#blocks.transaction(() => {
      for (const { key, value } of entries) {
        this.#removeParts(key);
        for (let part = 0, at = 0; part === 0 || at < value.byteLength; part++, at += PART_BYTES) {
          this.#blocks.put(partKey(key, part), Buffer.from(value.subarray(at, at + PART_BYTES)));
        }
      }
    });
    await this.#root.flushed;
  }

  async has(keys: readonly string[]): Promise<boolean[]> {
    return keys.map((key) => this.#blocks.doesExist(partKey(key, 0)));
  }

  async delete(keys: readonly string[]): Promise<number> {
    return this.#blocks.transaction(() => keys.filter((key) => this.#removeParts(key)).length);
  }

  async clear(): Promise<number> {
    const { entries } = await this.statistics();
    await this.#blocks.clearAsync();
    return entries;
  }

  /** Within this process: one process owns an embedded store. */
  async lock(key: string): Promise<{ release(): Promise<void> } | undefined> {
    if (this.#locks.has(key)) return undefined;
    this.#locks.add(key);
    return {
      release: async () => {
        this.#locks.delete(key);
      },
    };
  }

  async statistics(): Promise<{ entries: number; bytes: number }> {
    let entries = 0;
    let bytes = 0;
    for (const { key, value } of this.#blocks.getRange()) {
      if (key.endsWith(':0')) entries++;
      bytes += value.byteLength;
    }
    return { entries, bytes };
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  /** A copy: memory of the map is only valid within its transaction. */
  #read(key: string): Uint8Array | undefined {
    const parts: Buffer[] = [];
    for (let part = 0; ; part++) {
      const value = this.#blocks.getBinary(partKey(key, part));
      if (value === undefined) break;
      parts.push(value);
      if (value.byteLength < PART_BYTES) break;
    }
    if (parts.length === 0) return undefined;
    return Uint8Array.from(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  }

  #removeParts(key: string): boolean {
    let part = 0;
    for (; this.#blocks.doesExist(partKey(key, part)); part++) this.#blocks.remove(partKey(key, part));
    return part > 0;
  }
}

const partKey = (key: string, part: number) => `${key}:${part}`;
