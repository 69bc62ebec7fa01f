/**
 * Jobs that run in the process that accepted them, some side by side. A lease says which process that is, where several
 * see the same shelf; what a process that is gone has left is taken over. Knows ids, turns and time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentLogger } from './document-parts.js';
import {
  FIRST_PAUSE_MS,
  JOBS_AT_ONCE,
  type JobCounts,
  type JobLeases,
  type JobQueue,
  type JobRunner,
  MAX_TRIES,
} from './job-queue.js';
import type { JobShelf } from './job-shelf.js';
import { unlessAborted } from './keyed-queue.js';
import { Slots } from './slots.js';

export interface InProcessQueueParts {
  shelf: Pick<JobShelf, 'listOpen'>;
  leases: JobLeases;
  logger: Pick<DocumentLogger, 'warn'>;
  /** Jobs at most that this process takes over and has not ended; at least one. */
  maxTaken: number;
  /** Milliseconds before a job that has failed is tried again; twice as many each time. */
  retryMs?: number;
}

/** A lease outlives some ticks that do not come through. */
const LEASE_MS = 20_000;
const TICK_MS = 5_000;

interface Held {
  /** Gives up waiting. */
  stop: AbortController;
  ended: Promise<void>;
  is: keyof JobCounts;
}

export class InProcessJobQueue implements JobQueue {
  readonly isShared = false;
  readonly #parts: InProcessQueueParts;
  readonly #slots = new Slots(JOBS_AT_ONCE);
  readonly #held = new Map<string, Held>();
  /** Jobs that are being taken over. A lease does not tell two callers of one process apart. */
  readonly #taking = new Set<string>();
  #runner!: JobRunner;
  #ticking: Promise<number> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #closed = false;
  #told = false;

  constructor(parts: InProcessQueueParts) {
    this.#parts = parts;
  }

  attach(runner: JobRunner): void {
    this.#runner = runner;
  }

  async resume(): Promise<number> {
    this.#timer ??= setInterval(() => void this.#tickAndTell(), TICK_MS).unref();
    return this.tick();
  }

  async add(id: string, turn?: Promise<void>): Promise<void> {
    if (this.#closed || this.#held.has(id)) return;
    const held: Held = { stop: new AbortController(), ended: Promise.resolve(), is: 'waiting' };
    this.#held.set(id, held);
    let own = false;
    try {
      own = await this.#parts.leases.lease(id, LEASE_MS);
    } finally {
      if (!own) this.#held.delete(id);
    }
    if (!own) return;
    held.ended = this.#run(id, held, turn)
      .catch(() => undefined)
      .then(async () => {
        this.#held.delete(id);
        // It runs out by itself.
        await this.#parts.leases.release(id).catch(() => undefined);
      });
  }

  async remove(id: string): Promise<void> {
    this.#held.get(id)?.stop.abort();
  }

  async progress(): Promise<undefined> {
    return undefined;
  }

  async counts(): Promise<JobCounts> {
    const counts: JobCounts = { waiting: 0, active: 0, delayed: 0 };
    for (const held of this.#held.values()) counts[held.is] += 1;
    return counts;
  }

  tick(): Promise<number> {
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = undefined;
    });
    return this.#ticking;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async close(): Promise<void> {
    this.stop();
    this.#closed = true;
    for (const { stop } of this.#held.values()) stop.abort();
    await Promise.all([...this.#held.values()].map(({ ended }) => ended));
  }

  async #run(id: string, held: Held, turn: Promise<void> | undefined): Promise<void> {
    const { signal } = held.stop;
    if (turn !== undefined) await unlessAborted(turn, signal);
    const { retryMs = FIRST_PAUSE_MS } = this.#parts;
    for (let number = 1; ; number++) {
      const attempt = { number, last: number >= MAX_TRIES, deaths: undefined, tell: () => undefined };
      const outcome = await this.#slots.run(() => {
        held.is = 'active';
        return this.#runner.work(id, attempt);
      }, signal);
      if (outcome.is !== 'again') return;
      held.is = 'delayed';
      await delay(retryMs * 2 ** (number - 1), undefined, { signal });
      held.is = 'waiting';
    }
  }

  /** A store that is down is told of once. */
  async #tickAndTell(): Promise<void> {
    try {
      await this.tick();
      this.#told = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#told) this.#parts.logger.warn({ reason }, 'the store cannot be asked for jobs');
      this.#told = true;
    }
  }

  /** Holds on to the leases, lets go of jobs that ended or run elsewhere, and takes over what is left. */
  async #tick(): Promise<number> {
    const open = await this.#parts.shelf.listOpen();
    const listed = new Set(open);
    for (const id of this.#runner.ids()) if (!listed.has(id)) this.#runner.told(id);
    await Promise.all([...this.#held.keys()].map((id) => this.#holdOn(id, listed)));
    return this.#stopped ? 0 : this.#takeOver(open);
  }

  async #holdOn(id: string, listed: ReadonlySet<string>): Promise<void> {
    if (!listed.has(id) || (await this.#parts.leases.lease(id, LEASE_MS))) return;
    this.#held.get(id)?.stop.abort();
    this.#runner.lost(id);
  }

  async #takeOver(open: readonly string[]): Promise<number> {
    const { leases, maxTaken } = this.#parts;
    const own = new Set(this.#runner.ids());
    let taken = 0;
    for (const id of open) {
      // What was accepted goes on also where no more is accepted.
      if (this.#stopped || this.#held.size + this.#taking.size >= Math.max(1, maxTaken)) break;
      if (own.has(id) || this.#held.has(id) || this.#taking.has(id)) continue;
      this.#taking.add(id);
      try {
        if (!(await leases.lease(id, LEASE_MS))) continue;
        if (await this.#runner.takeOver(id)) taken += 1;
        else await leases.release(id);
      } finally {
        this.#taking.delete(id);
      }
    }
    return taken;
  }
}
