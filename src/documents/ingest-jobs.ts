/**
 * Ingestions in the background. A job is on the shelf before it is acknowledged, and it stays open there until it has
 * ended. If a process leaves a job undone, by a drain or by any other end, the next process takes it over, or another
 * server on the same store. Knows jobs, leases and time. `ingest-document.ts` knows how to ingest a document.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CacheScope } from '../cache/tiers.js';
import { BlockstitchError } from '../errors.js';
import type { DocumentLogger } from './document-parts.js';
import { asked } from './document-registry.js';
import { orderKey } from './document-shelf.js';
import { type IngestProgress, KeptForLater, type NewDocument } from './ingest-document.js';
import {
  givenUp,
  type JobRecord,
  type JobSeal,
  type JobState,
  jobError,
  newJobState,
  wasBegunTooOften,
  withoutDocument,
} from './job-record.js';
import type { JobShelf } from './job-shelf.js';
import type { KeyedQueue } from './keyed-queue.js';
import { LiveJob, sameProgress } from './live-job.js';
import { patiently, retried } from './patiently.js';
import { Slots } from './slots.js';

export interface IngestJobsParts {
  shelf: JobShelf;
  seal: JobSeal;
  orders: KeyedQueue;
  logger: DocumentLogger;
  /** Open jobs of this process at most; one more is `queue_full`. */
  maxOpen: number;
  /** Milliseconds before a job that has failed is tried again; twice as many each time. */
  retryMs?: number | undefined;
  /** When a document is accepted, milliseconds. */
  accept(scope: CacheScope, documentId: string): Promise<number>;
  /** Ingests a document whose turn it is. */
  ingest(scope: CacheScope, document: NewDocument, progress: IngestProgress, acceptedMs: number): Promise<unknown>;
}

/** Jobs at work at the same time; the others wait. */
const SIDE_BY_SIDE = 4;
/** Jobs that have ended and are remembered by this process. */
const MAX_ENDED = 1000;
/** A lease outlives some ticks that do not come through. */
const LEASE_MS = 20_000;
const TICK_MS = 5_000;
/** How often a server looks for jobs that others have no hands for, and tells how far its own are. */
const SHARED_TICK_MS = 1_000;
/** How often a job of another server is looked at for who watches it. */
const WATCH_MS = 1_000;
/** How often a cancel looks whether a document is written that another server is writing. */
const MAX_WATCHES = 60;

export class IngestJobs {
  readonly #parts: IngestJobsParts;
  readonly #jobs = new Map<string, LiveJob>();
  readonly #slots = new Slots(SIDE_BY_SIDE);
  /** Jobs that are being taken over: the shelf is asked, and they do not run yet. */
  readonly #taking = new Set<string>();
  #ticking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;
  #told = false;

  constructor(parts: IngestJobsParts) {
    this.#parts = parts;
  }

  /** Open jobs of this process. */
  get open(): number {
    let count = 0;
    for (const { isOpen } of this.#jobs.values()) if (isOpen) count += 1;
    return count;
  }

  get #held(): number {
    return this.open + this.#taking.size;
  }

  /**
   * Accepts a job: it is durable when this resolves.
   * @throws BlockstitchError `queue_full`, `store_failed`, `shutting_down`
   */
  async start(scope: CacheScope, documentId: string, document: NewDocument): Promise<JobState> {
    const { shelf, seal, maxOpen, accept } = this.#parts;
    if (this.#closing) throw new BlockstitchError('shutting_down');
    if (this.#held >= maxOpen) throw new BlockstitchError('queue_full', { waiting: this.#held, limit: maxOpen });
    const state = newJobState(documentId);
    const job = new LiveJob({ state, scope, acceptedMs: 0, document, takenOver: 0 });
    this.#jobs.set(state.id, job);
    try {
      job.record.acceptedMs = await accept(scope, documentId);
      await asked(() => shelf.open(state.id, seal.seal(job.record), LEASE_MS));
      job.offered = shelf.manyServers && this.#held > SIDE_BY_SIDE;
      if (job.offered) await asked(() => shelf.release(state.id));
    } catch (error) {
      this.#jobs.delete(state.id);
      throw error;
    }
    // Where the server closes meanwhile, the job goes on after the next start.
    if (this.#closing) await this.#keep(job, new KeptForLater('next start'));
    else this.#run(job, document);
    return { ...state };
  }

  /** @returns undefined if the tenant has no such job @throws BlockstitchError `store_failed` */
  async get(tenant: string, id: string): Promise<JobState | undefined> {
    const record = await this.#find(tenant, id);
    return record && { ...record.state };
  }

  /**
   * Ends a job, wherever it runs, and waits for its end. One that has ended stays as it is, and so does one whose document
   * is just being written.
   */
  async cancel(tenant: string, id: string): Promise<JobState | undefined> {
    for (let tries = 0; tries < MAX_WATCHES; tries++) {
      const record = await this.#find(tenant, id);
      if (record === undefined) return undefined;
      const job = this.#jobs.get(id);
      if (job !== undefined) {
        job.controller.abort(new BlockstitchError('client_closed'));
        await job.ended;
        // Else another server has it, which says how it ends.
        if (this.#jobs.has(id)) return { ...job.state };
        continue;
      }
      if (record.state.status !== 'running') return record.state;
      const cancelled: JobRecord = { ...record, state: { ...record.state, status: 'cancelled' } };
      const bytes = this.#parts.seal.seal(withoutDocument(cancelled));
      if (await asked(() => this.#parts.shelf.end(id, bytes, 'sealed'))) return cancelled.state;
      if (tries > 0) await delay(WATCH_MS);
    }
    throw new BlockstitchError('store_failed', { reason: `another server does not finish the job \`${id}\`` });
  }

  /**
   * Yields the job's state now and after each change, until it has ended.
   * @throws BlockstitchError `shutting_down` if another process goes on with it
   */
  async *watch(tenant: string, id: string, signal: AbortSignal): AsyncGenerator<JobState> {
    let last: JobState | undefined;
    while (!signal.aborted) {
      const job = this.#jobs.get(id);
      const now = await this.get(tenant, id);
      if (now === undefined) return;
      if (last === undefined || !sameProgress(last, now)) {
        last = now;
        yield now;
        continue;
      }
      if (now.status !== 'running') return;
      if (job === undefined || job.mayBeElsewhere) await delay(WATCH_MS, undefined, { signal }).catch(() => undefined);
      else if (job.kept) throw new BlockstitchError('shutting_down');
      else if (sameProgress(now, job.state)) await job.changed(signal);
    }
    if (signal.reason instanceof BlockstitchError) throw signal.reason;
  }

  /** Takes over what other processes left undone, and goes on doing so. Call once, when documents can be ingested. */
  async resume(): Promise<number> {
    const everyMs = this.#parts.shelf.manyServers ? SHARED_TICK_MS : TICK_MS;
    this.#timer ??= setInterval(() => void this.#tickAndTell(), everyMs).unref();
    const taken = await this.#takeOver();
    if (taken > 0) this.#parts.logger.info({ jobs: taken }, 'background ingestions go on that were not finished');
    return taken;
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

  /** Holds on to the leases of open jobs, lets go of those that ended or run elsewhere, and takes over what is left. */
  async tick(): Promise<void> {
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = undefined;
    });
    return this.#ticking;
  }

  async #tick(): Promise<void> {
    const listed = new Set(await this.#parts.shelf.listOpen());
    const own = [...this.#jobs.values()].filter(({ isOpen }) => isOpen);
    await Promise.all(own.map((job) => this.#holdOn(job, listed.has(job.state.id))));
    if (!this.#closing) await this.#takeOver();
  }

  /**
   * Takes no new jobs and gives the open ones time. What is not finished then stays on the shelf, for the next process.
   * @returns how many were finished, and how many are kept
   */
  async drain(graceMs: number): Promise<{ finished: number; kept: number }> {
    this.#closing = true;
    clearInterval(this.#timer);
    const open = [...this.#jobs.values()].filter(({ isOpen }) => isOpen);
    if (open.length === 0) return { finished: 0, kept: 0 };
    const all = Promise.all(open.map(({ ended }) => ended));
    const waited = new AbortController();
    const outOfTime = delay(graceMs, undefined, { signal: waited.signal }).catch(() => undefined);
    await Promise.race([all, outOfTime]);
    waited.abort();
    for (const { controller } of open) controller.abort(new KeptForLater('next start'));
    await all;
    const kept = open.filter((job) => job.kept).length;
    const counts = { finished: open.length - kept, kept };
    const { logger } = this.#parts;
    if (kept > 0) logger.warn(counts, 'background ingestions are kept in the store and go on after the next start');
    else logger.info(counts, 'background ingestions are finished');
    return counts;
  }

  async #find(tenant: string, id: string): Promise<JobRecord | undefined> {
    const job = this.#jobs.get(id);
    const record = job === undefined || job.mayBeElsewhere ? await this.#shelved(id) : job.record;
    if (record?.scope.tenant !== tenant) return undefined;
    if (record === job?.record || record.state.status !== 'running') return record;
    const progress = await asked(async () => this.#parts.shelf.progress?.(id));
    return progress === undefined ? record : { ...record, state: { ...record.state, ...progress } };
  }

  async #holdOn(job: LiveJob, listed: boolean): Promise<void> {
    if (!listed) return this.#letGo(job);
    if (job.mayBeElsewhere) return;
    await this.#parts.shelf.tell?.(job.state.id, job.state.blocksDone, job.state.blocksTotal);
    const held = await this.#parts.shelf.lease(job.state.id, LEASE_MS);
    if (!held) job.controller.abort(new KeptForLater('elsewhere'));
  }

  /** Gives up a job that has ended on another server. */
  async #letGo({ state: { id }, controller }: LiveJob): Promise<void> {
    const status = (await this.#shelved(id))?.state.status;
    if (status === 'cancelled') controller.abort(new BlockstitchError('client_closed'));
    else if (status === 'done' || status === 'failed') controller.abort(new KeptForLater('elsewhere'));
  }

  /** The last moment to cancel a job is before this. @throws the reason why its document is not written */
  async #seal(job: LiveJob): Promise<void> {
    const { signal } = job.controller;
    signal.throwIfAborted();
    job.sealed = await asked(() => this.#parts.shelf.seal(job.state.id));
    if (job.sealed) return;
    await this.#letGo(job);
    if (!signal.aborted) job.controller.abort(new KeptForLater('elsewhere'));
    signal.throwIfAborted();
  }

  async #shelved(id: string): Promise<JobRecord | undefined> {
    const bytes = await asked(() => this.#parts.shelf.get(id));
    return bytes === undefined ? undefined : this.#parts.seal.read(id, bytes);
  }

  async #takeOver(): Promise<number> {
    const { shelf } = this.#parts;
    // What was accepted goes on also where no more is accepted.
    const maxOpen = shelf.manyServers ? SIDE_BY_SIDE : Math.max(1, this.#parts.maxOpen);
    let taken = 0;
    for (const id of await asked(() => shelf.listOpen())) {
      if (this.#closing || this.#held >= maxOpen) break;
      if (this.#jobs.has(id) || this.#taking.has(id)) continue;
      this.#taking.add(id);
      try {
        if (await this.#take(id)) taken += 1;
      } finally {
        this.#taking.delete(id);
      }
    }
    return taken;
  }

  /** Takes over one job. A lease does not tell two callers of one process apart: the caller sees to that. */
  async #take(id: string): Promise<boolean> {
    const { shelf, seal, logger } = this.#parts;
    if (!(await asked(() => shelf.lease(id, LEASE_MS)))) return false;
    const record = await this.#shelved(id);
    if (record !== undefined && record.state.status !== 'running') {
      await asked(() => shelf.release(id));
      return false;
    }
    if (record?.document === undefined || wasBegunTooOften(record)) {
      logger.warn({ job: id }, record ? 'a job is given up: it was begun too often' : 'a damaged job is given up');
      await asked(() => shelf.end(id, seal.seal(givenUp(id, record))));
      return false;
    }
    const { document, state } = record;
    const again = { ...record, state: { ...state, blocksDone: 0 }, takenOver: record.takenOver + 1 };
    if (!(await asked(() => shelf.update(id, seal.seal(again))))) return false;
    const job = new LiveJob(again);
    this.#jobs.set(id, job);
    this.#run(job, document);
    return true;
  }

  /** The document's turn is taken here, in the order in which jobs are accepted; work begins when there is a slot. */
  #run(job: LiveJob, document: NewDocument): void {
    const { scope, acceptedMs, state } = job.record;
    const { signal } = job.controller;
    const progress: IngestProgress = {
      signal,
      total: (blocksTotal) => job.change({ blocksTotal, blocksDone: 0 }),
      beforeWrite: () => this.#seal(job),
      blockDone: () => job.change({ blocksDone: job.state.blocksDone + 1 }),
    };
    // An accepted job does not fail because there is no room at the moment.
    const ingest = () => patiently(() => this.#parts.ingest(scope, document, progress, acceptedMs), signal);
    const { retryMs, orders, shelf, seal } = this.#parts;
    // A shelf that cannot be told keeps nobody from working.
    const told = () => shelf.update(state.id, seal.begun(job.record)).catch(() => undefined);
    const work = () => told().then(() => retried(ingest, signal, retryMs));
    const order = orderKey(scope, state.documentId);
    job.ended = orders
      .run(order, () => (job.offered ? this.#unlessElsewhere(job, work) : this.#slots.run(work, signal)), signal)
      .then(
        () => this.#end(job, { status: 'done' }),
        (error: unknown) => {
          if (!signal.aborted) return this.#end(job, { status: 'failed', error: jobError(error) });
          if (signal.reason instanceof KeptForLater) return this.#keep(job, signal.reason);
          return this.#end(job, { status: 'cancelled' });
        },
      );
  }

  /** Works on an offered job if no other server has taken it by now; else waits until it has ended there. */
  async #unlessElsewhere(job: LiveJob, work: () => Promise<unknown>): Promise<void> {
    const { shelf } = this.#parts;
    const { id } = job.state;
    const { signal } = job.controller;
    const here = async () => {
      job.claimed = await asked(() => shelf.lease(id, LEASE_MS));
      if (job.claimed) await work();
      return job.claimed;
    };
    while (!(await this.#slots.run(here, signal))) {
      await delay(WATCH_MS, undefined, { signal });
      if ((await this.#shelved(id))?.state.status === 'running') continue;
      job.controller.abort(new KeptForLater('elsewhere'));
      signal.throwIfAborted();
    }
  }

  /**
   * The shelf knows first, then whoever watches. Where it cannot be told, the job runs once more after a restart. A job
   * that another server has ended stays as it ended there; one that it is about to write is left to it.
   */
  async #end(job: LiveJob, own: Partial<JobState>): Promise<void> {
    const { shelf, seal } = this.#parts;
    const { id } = job.state;
    const record = withoutDocument({ ...job.record, state: { ...job.state, ...own } });
    const mayBeElsewhere = own.status !== 'done' && !job.sealed && record.takenOver === 0;
    let change = own;
    try {
      if (!(await shelf.end(id, seal.seal(record), mayBeElsewhere ? 'sealed' : undefined))) {
        const there = (await this.#shelved(id))?.state;
        if (mayBeElsewhere && there?.status === 'running') return this.#keep(job, new KeptForLater('elsewhere'));
        if (there !== undefined && there.status !== 'running') change = there;
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#parts.logger.warn({ job: id, reason }, 'the store could not be told that a job has ended');
    }
    delete job.record.document;
    job.change(change);
    this.#forgetOldest();
  }

  /** Leaves the job to whoever comes next, or has it already. */
  async #keep(job: LiveJob, { where }: KeptForLater): Promise<void> {
    const { shelf, seal } = this.#parts;
    const { id } = job.state;
    job.kept = true;
    if (where === 'elsewhere') this.#jobs.delete(id);
    else {
      try {
        await shelf.update(id, seal.seal({ ...job.record, takenOver: 0, begun: 0 }));
        await shelf.release(id);
      } catch {
        // It is on the shelf as it was accepted, and its lease runs out by itself.
      }
    }
    job.wake();
  }

  #forgetOldest(): void {
    for (const [id, { isOpen }] of this.#jobs) {
      if (this.#jobs.size <= MAX_ENDED) return;
      if (!isOpen) this.#jobs.delete(id);
    }
  }
}
