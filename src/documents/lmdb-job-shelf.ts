/**
 * Jobs in the embedded store: `open/ID`, `lease/ID` and `ended/ID` in a database of their own.
 * A lease names a process. It is worth nothing once that process is gone, so a restart goes on at once.
 */
import type { LmdbStore } from '../cache/lmdb-store.js';
import { ENDED_JOBS_KEPT, type JobShelf } from './job-shelf.js';

interface Lease {
  pid: number;
  /** Unix time, milliseconds. */
  untilMs: number;
}

export class LmdbJobShelf implements JobShelf {
  readonly #store: Pick<LmdbStore, 'jobs' | 'write'>;

  constructor(store: Pick<LmdbStore, 'jobs' | 'write'>) {
    this.#store = store;
  }

  async open(id: string, value: Buffer, leaseMs: number): Promise<void> {
    const { jobs } = this.#store;
    await this.#store.write(() => () => {
      jobs.put(`open/${id}`, value);
      jobs.put(`lease/${id}`, ownLease(leaseMs));
    });
  }

  async end(id: string, value: Buffer): Promise<void> {
    const { jobs } = this.#store;
    await this.#store.write(() => {
      const ended = this.#ids('ended');
      const old = ended.slice(0, Math.max(0, ended.length + 1 - ENDED_JOBS_KEPT));
      return () => {
        jobs.remove(`open/${id}`);
        jobs.remove(`lease/${id}`);
        jobs.put(`ended/${id}`, value);
        for (const oldest of old) jobs.remove(`ended/${oldest}`);
      };
    });
  }

  async get(id: string): Promise<Buffer | undefined> {
    return this.#store.jobs.get(`open/${id}`) ?? this.#store.jobs.get(`ended/${id}`);
  }

  async listOpen(): Promise<string[]> {
    return this.#ids('open');
  }

  lease(id: string, ms: number): Promise<boolean> {
    const { jobs } = this.#store;
    return this.#store.write(() => {
      const free = jobs.doesExist(`open/${id}`) && !heldElsewhere(jobs.get(`lease/${id}`));
      return () => {
        if (free) jobs.put(`lease/${id}`, ownLease(ms));
        return free;
      };
    });
  }

  async release(id: string): Promise<void> {
    await this.#store.write(() => () => void this.#store.jobs.remove(`lease/${id}`));
  }

  #ids(kind: 'open' | 'ended'): string[] {
    const keys = this.#store.jobs.getKeys({ start: `${kind}/`, end: `${kind}0` });
    return Array.from(keys, (key) => String(key).slice(kind.length + 1));
  }
}

function ownLease(ms: number): Buffer {
  const lease: Lease = { pid: process.pid, untilMs: Date.now() + ms };
  return Buffer.from(JSON.stringify(lease));
}

function heldElsewhere(bytes: Buffer | undefined): boolean {
  if (bytes === undefined) return false;
  try {
    const { pid, untilMs } = JSON.parse(bytes.toString('utf8')) as Lease;
    return pid !== process.pid && untilMs > Date.now() && isAlive(pid);
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
