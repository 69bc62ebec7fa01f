/**
 * The files of an embedded store, before LMDB maps them into memory. Remembers whether the store was closed, and with how
 * many bytes: after any other end all of it is checked, else what is checked quickly.
 * Knows files; the trees in them are `lmdb-trees.ts`'s, what stands there is `lmdb-store.ts`'s.
 */
import { existsSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { damageIn } from './lmdb-trees.js';

/** Room asked for before LMDB makes its files: more than its lock file takes. */
const LOCK_FILE_BYTES = 256 * 1024;
/** Up to this size all is checked whatever the end was: 0.05 s, from a cold disk 0.6 s. */
const QUICK_BYTES = 1024 ** 3;

interface Ending {
  /** False while a process has the store open. */
  closed: boolean;
  /** Bytes of data.mdb at the close. */
  bytes: number;
}

export class LmdbFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * @param onUnclosed told where the store was not closed: checking a large one takes a while then
   * @throws BlockstitchError `store_damaged`; Error naming a full disk
   */
  async check(onUnclosed: () => void = () => undefined): Promise<void> {
    this.#requireSpace();
    const data = this.#path('data.mdb');
    if (!existsSync(data)) return;
    const { size } = statSync(data);
    if (size === 0) throw this.#damaged('data.mdb is empty (0 bytes)');
    const ending = this.#ending();
    const closed = ending?.closed === true && ending.bytes === size;
    if (!closed) onUnclosed();
    const reason = await damageIn(data, !closed || size <= QUICK_BYTES);
    if (reason !== undefined) throw this.#damaged(reason);
  }

  /** Call before LMDB opens the files. */
  opened(): void {
    this.#write({ closed: false, bytes: 0 });
  }

  /** Call when LMDB has closed them. */
  closed(): void {
    this.#write({ closed: true, bytes: statSync(this.#path('data.mdb')).size });
  }

  /**
   * LMDB maps its lock file and writes to the map: where the disk has no room for it, the process would be killed.
   * @throws Error naming the disk
   */
  #requireSpace(): void {
    const { bavail, bsize } = statfsSync(this.#directory);
    if (bavail * bsize < LOCK_FILE_BYTES && !existsSync(this.#path('lock.mdb'))) {
      throw new Error(`the disk of ${this.#directory} is full (${bavail * bsize} bytes free)`);
    }
  }

  #ending(): Ending | undefined {
    try {
      const ending = JSON.parse(readFileSync(this.#path('ending.json'), 'utf8')) as Partial<Ending>;
      return { closed: ending.closed === true, bytes: Number(ending.bytes) };
    } catch {
      return undefined;
    }
  }

  /** On a full disk nothing is remembered, and the next start checks all. */
  #write(ending: Ending): void {
    try {
      writeFileSync(this.#path('ending.json'), JSON.stringify(ending));
    } catch {
      // As above.
    }
  }

  #damaged(reason: string): BlockstitchError {
    return new BlockstitchError('store_damaged', { directory: this.#directory, reason });
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}
