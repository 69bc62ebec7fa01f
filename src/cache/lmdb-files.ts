/**
 * The files of an embedded store, before LMDB maps them into memory: a map of a damaged file ends the process with a
 * signal and without a word. Remembers whether the store was closed, and with how many bytes. After any other end a
 * process of its own walks the trees first.
 * Knows files and processes; what stands in them is `lmdb-store.ts`'s.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Room asked for before LMDB makes its files: more than its lock file takes. */
const LOCK_FILE_BYTES = 256 * 1024;
/** A walk that takes longer goes round in circles: a damaged tree can. */
const WALK_LIMIT_MS = 15 * 60_000;

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
   * @param onWalk told before a walk, which takes a while for a large store
   * @throws Error naming the directory, what is wrong, and what to do
   */
  async check(onWalk: () => void = () => undefined): Promise<void> {
    this.#requireSpace();
    const data = this.#path('data.mdb');
    if (!existsSync(data)) return;
    const { size } = statSync(data);
    if (size === 0) throw this.#damaged('data.mdb is empty (0 bytes)');
    const ending = this.#ending();
    if (ending?.closed === true && ending.bytes === size) return;
    onWalk();
    const reason = await walk(this.#directory);
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

  /** On a full disk nothing is remembered, and the next start walks the store. */
  #write(ending: Ending): void {
    try {
      writeFileSync(this.#path('ending.json'), JSON.stringify(ending));
    } catch {
      // As above.
    }
  }

  #damaged(reason: string): Error {
    const remedy =
      'Move the directory away, or delete it, and start again: blocks are computed anew, documents must be';
    return new Error(`the store in ${this.#directory} is damaged: ${reason}. ${remedy} sent again.`);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

/** @returns what is wrong with the trees; undefined where nothing is */
function walk(directory: string): Promise<string | undefined> {
  const child = spawn(process.execPath, [walkScript(), directory], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  child.stderr.resume();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), WALK_LIMIT_MS);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(undefined);
      else resolve(said.trim() || `reading it ends a process with ${signal ?? `code ${code}`}`);
    });
  });
}

/** The compiled script: beside this file, or, where tests run the sources, in dist/. */
function walkScript(): string {
  const path = import.meta.url.endsWith('.ts') ? '../../dist/src/cache/walk-lmdb.js' : './walk-lmdb.js';
  return fileURLToPath(new URL(path, import.meta.url));
}
