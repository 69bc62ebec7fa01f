/**
 * Checks the files of an embedded store before LMDB maps them into memory. Remembers whether the store was closed, and
 * its size then. After a clean close of a large store it checks the quick part only; after any other end it checks all.
 * Knows files. `lmdb-trees.ts` knows the trees in them, `lmdb-store.ts` the values.
 */
import { existsSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { damageIn } from './lmdb-trees.js';

/** Free disk space that LMDB needs to make its files: more than its lock file takes. */
const LOCK_FILE_BYTES = 256 * 1024;
/** Up to this size all is checked at each start: that takes 0.05 s, or 0.6 s from a cold disk. */
const QUICK_BYTES = 1024 ** 3;

interface Ending {
  /** False while a process has the store open. */
  closed: boolean;
  /** Bytes of data.mdb at the close. */
  bytes: number;
}

export class LmdbFiles {
  readonly #directory: string;
  #open: string | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * @param onUnclosed called if the store was not closed: the check of a large store then takes a while
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

  /** Call when LMDB has opened them. */
  mapped(): void {
    this.#open = this.#identity();
  }

  /**
   * What is written to a file that has left its directory is gone with the process.
   * @throws Error if the file that is open is no longer there
   */
  requirePresent(): void {
    if (this.#identity() === this.#open) return;
    throw new Error(
      `${this.#path('data.mdb')} is gone, or another file: nothing is kept until the server is started again`,
    );
  }

  /** Call when LMDB has closed them. */
  closed(): void {
    if (this.#identity() !== this.#open) return;
    this.#write({ closed: true, bytes: statSync(this.#path('data.mdb')).size });
  }

  /** Device and inode; undefined if there is no such file. */
  #identity(): string | undefined {
    const found = statSync(this.#path('data.mdb'), { bigint: true, throwIfNoEntry: false });
    return found && `${found.dev}:${found.ino}`;
  }

  /**
   * LMDB maps its lock file and writes to the map. Without room on the disk this would kill the process.
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

  /** On a full disk the note stays empty, so the next start checks all. */
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
