/**
 * Jobs in the embedded store: `open/ID`, `lease/ID`, `sealed/ID` and `ended/ID` in a database of their own.
 * A lease names a process. It is worth nothing once that process is gone, so a restart goes on at once.
 */
import type { LmdbStore } from '../cache/lmdb-store.js';
import type { JobLeases } from './job-queue.js';
import { ENDED_JOBS_KEPT, type JobShelf } from './job-shelf.js';

interface Lease {
  pid: number;
  /** Unix time, milliseconds. */
  untilMs: number;
}

export class LmdbJobShelf implements JobShelf, JobLeases {
  readonly #store: Pick<LmdbStore, 'jobs' | 'write'>;

  constructor(store: Pick<LmdbStore, 'jobs' | 'write'>) {
    this.#store = store;
  }

  async open(id: string, value: Buffer): Promise<void> {
    await this.#store.write(() => () => void this.#store.jobs.put(`open/${id}`, value));
  }

  update(id: string, value: Buffer): Promise<boolean> {
    return this.#ifOpen(id, () => void this.#store.jobs.put(`open/${id}`, value));
  }

  seal(id: string): Promise<boolean> {
    return this.#ifOpen(id, () => void this.#store.jobs.put(`sealed/${id}`, Buffer.from([1])));
  }

  end(id: string, value: Buffer, unless?: 'sealed'): Promise<boolean> {
    const { jobs } = this.#store;
    return this.#store.write(() => {
      const goesOn = unless === 'sealed' && jobs.doesExist(`sealed/${id}`);
      if (goesOn || !jobs.doesExist(`open/${id}`)) return () => false;
      const ended = this.#ids('ended');
      const old = ended.slice(0, Math.max(0, ended.length + 1 - ENDED_JOBS_KEPT));
      return () => {
        jobs.remove(`open/${id}`);
        jobs.remove(`lease/${id}`);
        jobs.remove(`sealed/${id}`);
        jobs.put(`ended/${id}`, value);
        for (const oldest of old) jobs.remove(`ended/${oldest}`);
        return true;
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

  /** One transaction looks and changes. */
  #ifOpen(id: string, change: () => void): Promise<boolean> {
    return this.#store.write(() => {
      const open = this.#store.jobs.doesExist(`open/${id}`);
      return () => {
        if (open) change();
        return open;
      };
    });
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
