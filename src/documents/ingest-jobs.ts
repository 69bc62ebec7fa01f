/**
 * Ingestions in the background. A job is on the shelf before it is acknowledged, and it stays open there until it has
 * ended. Knows records, and what to do with a job whose turn has come. `job-queue.ts` says where and when that is,
 * `ingest-document.ts` knows how to ingest a document.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CacheScope } from '../cache/tiers.js';
import { BlockstitchError, ERRORS } from '../errors.js';
import type { DocumentLogger } from './document-parts.js';
import { orderKey } from './document-shelf.js';
import { type IngestProgress, KeptForLater, type NewDocument } from './ingest-document.js';
import { JobNews } from './job-news.js';
import type { JobAttempt, JobCounts, JobOutcome, JobProgress, JobQueue, JobRunner } from './job-queue.js';
import { type JobRecord, type JobState, jobError, newJobState, sameProgress } from './job-record.js';
import type { JobRecords } from './job-records.js';
import type { KeyedQueue } from './keyed-queue.js';
import { LiveJob } from './live-job.js';
import { patiently } from './patiently.js';

export interface IngestJobsParts {
  records: JobRecords;
  queue: JobQueue;
  /** What comes later of a document waits for the jobs that were accepted before it. */
  arrivals: KeyedQueue;
  logger: DocumentLogger;
  /** Open jobs of this process at most; one more is `queue_full`. */
  maxOpen: number;
  /** When a document is accepted, milliseconds. */
  accept(scope: CacheScope, documentId: string): Promise<number>;
  /** Ingests a document, alone among all that is done with it in this process. */
  ingest(scope: CacheScope, document: NewDocument, progress: IngestProgress, acceptedMs: number): Promise<unknown>;
}

/** What was told may be lost: records that are watched are read so often all the same. */
const WATCH_MS = 5_000;
/** Where nobody tells of jobs that another process runs. */
const WATCH_UNTOLD_MS = 1_000;
/** How long a cancel waits for a document that another server is writing. */
const MOST_WAIT_MS = 60_000;

/** A scrape does not wait longer. */
const COUNT_MS = 1_000;

export class IngestJobs implements JobRunner {
  readonly #parts: IngestJobsParts;
  readonly #jobs = new Map<string, LiveJob>();
  readonly #news = new JobNews();
  #closing = false;
  /** Nothing is run here any more. */
  #over = false;

  constructor(parts: IngestJobsParts) {
    this.#parts = parts;
    parts.queue.attach(this);
  }

  /** Open jobs that this process has accepted, has taken over, or runs. */
  get open(): number {
    return this.#jobs.size;
  }

  /** Jobs that have not ended, of all servers that share them. @returns undefined where the store does not answer soon */
  async counts(): Promise<JobCounts | undefined> {
    const late = new AbortController();
    const counts = this.#parts.queue.counts().catch(() => undefined);
    const waited = delay(COUNT_MS, undefined, { signal: late.signal, ref: false }).catch(() => undefined);
    const first = await Promise.race([counts, waited]);
    late.abort();
    return first;
  }

  ids(): string[] {
    return [...this.#jobs.keys()];
  }

  isInLine(id: string): boolean {
    return this.#jobs.get(id)?.inLine ?? false;
  }

  /**
   * Accepts a job: it is durable when this resolves.
   * @throws BlockstitchError `queue_full`, `store_failed`, `shutting_down`
   */
  async start(scope: CacheScope, documentId: string, document: NewDocument): Promise<JobState> {
    const { records, maxOpen, accept } = this.#parts;
    if (this.#closing) throw new BlockstitchError('shutting_down');
    if (this.open >= maxOpen) throw new BlockstitchError('queue_full', { waiting: this.open, limit: maxOpen });
    const state = newJobState(documentId);
    const job = new LiveJob(state.id);
    this.#jobs.set(state.id, job);
    try {
      const acceptedMs = await accept(scope, documentId);
      await records.open({ state, scope, acceptedMs, document });
    } catch (error) {
      this.#leave(job);
      throw error;
    }
    await this.#line(job, orderKey(scope, documentId));
    return state;
  }

  /** @returns undefined if the tenant has no such job @throws BlockstitchError `store_failed` */
  async get(tenant: string, id: string): Promise<JobState | undefined> {
    const state = (await this.#parts.records.find(tenant, id))?.state;
    if (state?.status !== 'running') return state;
    const job = this.#jobs.get(id);
    const { queue } = this.#parts;
    // How far a job is, is no reason to refuse an answer.
    const told = job?.running ? job.progress : await queue.progress(id).catch(() => undefined);
    return { ...state, ...told };
  }

  /**
   * Ends a job, wherever it runs, and waits for its end. One that has ended stays as it is, and so does one whose document
   * is just being written.
   */
  async cancel(tenant: string, id: string): Promise<JobState | undefined> {
    const { records, queue } = this.#parts;
    const watch = this.#news.watch(id);
    try {
      for (const endMs = performance.now() + MOST_WAIT_MS; performance.now() < endMs; ) {
        const record = await records.find(tenant, id);
        if (record?.state.status !== 'running') return record?.state;
        const state: JobState = { ...record.state, ...this.#jobs.get(id)?.progress, status: 'cancelled' };
        if (await records.end({ ...record, state }, 'sealed')) {
          await this.#stop(id);
          // Who runs it sees it when it wants to write, or earlier.
          await queue.remove(id).catch(() => undefined);
          return state;
        }
        await watch.next(this.#watchMs);
      }
    } finally {
      watch.end();
    }
    throw new BlockstitchError('store_failed', { reason: `another server does not finish the job \`${id}\`` });
  }

  /**
   * Yields the job's state now and after each change, until it has ended.
   * @throws BlockstitchError `shutting_down` if another process goes on with it
   */
  async *watch(tenant: string, id: string, signal: AbortSignal): AsyncGenerator<JobState> {
    const watch = this.#news.watch(id);
    try {
      let last = await this.get(tenant, id);
      if (last !== undefined) yield last;
      while (last?.status === 'running' && !signal.aborted) {
        const told = await watch.next(this.#watchMs, signal);
        const now: JobState | undefined = told === undefined ? await this.get(tenant, id) : { ...last, ...told };
        if (now?.status === 'running' && this.#over) throw new BlockstitchError('shutting_down');
        if (now !== undefined && !sameProgress(last, now)) yield now;
        last = now;
      }
    } finally {
      watch.end();
    }
    if (signal.reason instanceof BlockstitchError) throw signal.reason;
  }

  /** Takes over what other processes left undone, and goes on doing so. Call once, when documents can be ingested. */
  async resume(): Promise<number> {
    const taken = await this.#parts.queue.resume();
    if (taken > 0) this.#parts.logger.info({ jobs: taken }, 'background ingestions go on that were not finished');
    return taken;
  }

  /**
   * Takes no new jobs and gives the open ones time. What is not finished then stays open, for another server or the next
   * process. Where servers share the jobs, those that wait go to others at once.
   * @returns how many were finished, and how many are kept
   */
  async drain(graceMs: number): Promise<{ finished: number; kept: number }> {
    const { queue, logger } = this.#parts;
    this.#closing = true;
    queue.stop();
    const open = [...this.#jobs.values()];
    const running = open.filter((job) => job.running !== undefined);
    await withinGrace(queue.isShared ? running.map((job) => job.idle) : open.map((job) => job.ended), graceMs);
    this.#over = true;
    for (const job of this.#jobs.values()) job.running?.abort(new KeptForLater('next start'));
    await Promise.all([...this.#jobs.values()].map((job) => job.idle));
    await queue.close();
    const kept = open.filter((job) => this.#jobs.has(job.id)).length;
    for (const job of [...this.#jobs.values()]) this.#leave(job);
    this.#news.tellAll();
    const counts = { finished: open.length - kept, kept };
    if (kept > 0) logger.warn(counts, 'background ingestions are kept in the store and go on after the next start');
    else if (open.length > 0) logger.info(counts, 'background ingestions are finished');
    return counts;
  }

  async takeOver(id: string): Promise<boolean> {
    if (this.#closing || this.#jobs.has(id)) return false;
    const record = await this.#parts.records.startable(id, undefined);
    if (record === undefined || this.#jobs.has(id)) return false;
    const job = new LiveJob(id);
    job.wasTaken = true;
    this.#jobs.set(id, job);
    await this.#line(job, orderKey(record.scope, record.state.documentId));
    return true;
  }

  async work(id: string, attempt: JobAttempt): Promise<JobOutcome> {
    const before = this.#jobs.get(id);
    // This process has lost the job and got it again.
    before?.running?.abort(new KeptForLater('elsewhere'));
    await before?.idle;
    if (this.#over) return { is: 'kept' };
    const job = this.#jobs.get(id) ?? new LiveJob(id);
    this.#jobs.set(id, job);
    const running = new AbortController();
    job.running = running;
    job.sealed = false;
    const done = this.#work(job, running, attempt).catch((error: unknown): JobOutcome => {
      const { code } = jobError(error);
      return attempt.last ? { is: 'failed', code } : { is: 'again', code };
    });
    job.idle = done;
    return done.then((outcome) => {
      job.running = undefined;
      // One that was accepted here goes on to hold up what comes after it.
      const goesOn = outcome.is === 'kept' || (outcome.is === 'again' && job.isOwn);
      if (!goesOn) this.#leave(job);
      return outcome;
    });
  }

  lost(id: string): void {
    void this.#look(id).then(() => this.#jobs.get(id)?.running?.abort(new KeptForLater('elsewhere')));
  }

  told(id: string, progress?: JobProgress): void {
    if (progress === undefined) void this.#look(id);
    // Of its own runs a server knows more.
    if (progress === undefined || !this.#jobs.get(id)?.running) this.#news.tell(id, progress);
  }

  /** Holds the turn among what arrives here for the document, until the job has ended, wherever that is. */
  async #line(job: LiveJob, order: string): Promise<void> {
    const { arrivals, queue, logger } = this.#parts;
    job.isOwn = true;
    job.inLine = !arrivals.isFree(order);
    let begin!: () => void;
    const turn = new Promise<void>((resolve) => {
      begin = resolve;
    });
    void arrivals.run(order, () => {
      job.inLine = false;
      begin();
      return job.ended;
    });
    try {
      await queue.add(job.id, job.inLine ? turn : undefined);
    } catch (error) {
      // It is on the shelf, from where the queue takes it later.
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ job: job.id, reason }, 'a job is not in the queue yet');
    }
  }

  async #work(job: LiveJob, running: AbortController, attempt: JobAttempt): Promise<JobOutcome> {
    const { records, ingest } = this.#parts;
    const record = await records.startable(job.id, attempt.deaths);
    if (record?.document === undefined) return { is: 'ended' };
    const { scope, document, acceptedMs } = record;
    if (attempt.deaths === undefined && attempt.number === 1) {
      record.begun = (record.begun ?? 0) + 1;
      // A shelf that cannot be told keeps nobody from working.
      if (!(await records.update(record).catch(() => true))) return { is: 'ended' };
    }
    const { signal } = running;
    const tell = (progress: JobProgress) => {
      job.progress = progress;
      this.#news.tell(job.id, progress);
      attempt.tell(progress);
    };
    const furthest = this.#countedAnew(record);
    const progress: IngestProgress = {
      signal,
      total: (blocksTotal) => tell({ blocksTotal, blocksDone: 0 }),
      beforeWrite: () => this.#seal(job, running),
      blockDone: () => {
        tell({ ...job.progress, blocksDone: job.progress.blocksDone + 1 });
        furthest(job.progress.blocksDone);
      },
    };
    try {
      signal.throwIfAborted();
      // An accepted job does not fail because there is no room at the moment.
      await patiently(() => ingest(scope, document, progress, acceptedMs), signal);
    } catch (error) {
      return this.#undone(job, record, attempt, signal.aborted ? signal.reason : error);
    }
    return this.#end(job, record, { status: 'done' });
  }

  /**
   * A job that gets further than before is not what the processes end of: the ends are counted from there.
   * @returns is told the blocks that are done
   */
  #countedAnew(record: JobRecord): (blocksDone: number) => void {
    if ((record.begun ?? 0) < 2) return () => undefined;
    let isWriting = false;
    return (blocksDone) => {
      if (isWriting || blocksDone <= (record.furthest ?? 0)) return;
      record.begun = 1;
      record.furthest = blocksDone;
      isWriting = true;
      const written = this.#parts.records.update({ ...record }).catch(() => undefined);
      void written.then(() => {
        isWriting = false;
      });
    };
  }

  /** @param reason why the work is not done */
  async #undone(job: LiveJob, record: JobRecord, attempt: JobAttempt, reason: unknown): Promise<JobOutcome> {
    if (reason instanceof KeptForLater) {
      if (reason.where === 'elsewhere') return { is: 'elsewhere' };
      // It is on the shelf as it was accepted.
      if (record.begun) await this.#parts.records.update({ ...record, begun: 0 }).catch(() => undefined);
      return { is: 'kept' };
    }
    // The record says so.
    if (reason instanceof BlockstitchError && reason.code === 'client_closed') return { is: 'ended' };
    const error = jobError(reason);
    if (ERRORS[error.code].retryable && !attempt.last) return { is: 'again', code: error.code };
    if (ERRORS[error.code].status >= 500) {
      this.#parts.logger.warn({ job: job.id, code: error.code, err: reason }, 'a background ingestion failed');
    }
    const isFirst = attempt.number === 1 && !job.wasTaken;
    return this.#end(job, record, { status: 'failed', error }, isFirst && !job.sealed ? 'sealed' : undefined);
  }

  /**
   * The shelf knows first, then whoever watches. Where it cannot be told, the job runs once more. A job that another server
   * has ended stays as it ended there; one that it is about to write is left to it.
   */
  async #end(job: LiveJob, record: JobRecord, change: Partial<JobState>, unless?: 'sealed'): Promise<JobOutcome> {
    const { records, logger } = this.#parts;
    const state: JobState = { ...record.state, ...job.progress, ...change };
    try {
      const ended = await records.end({ ...record, state }, unless);
      if (!ended && unless && (await records.read(job.id))?.state.status === 'running') return { is: 'elsewhere' };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ job: job.id, reason }, 'the store could not be told that a job has ended');
    }
    return state.error ? { is: 'failed', code: state.error.code } : { is: 'ended' };
  }

  /** The last moment to cancel a job is before this. @throws the reason why its document is not written */
  async #seal(job: LiveJob, running: AbortController): Promise<void> {
    const { signal } = running;
    signal.throwIfAborted();
    job.sealed = await this.#parts.records.seal(job.id);
    if (job.sealed) return;
    await this.#look(job.id);
    if (!signal.aborted) running.abort(new KeptForLater('elsewhere'));
    signal.throwIfAborted();
  }

  /** A job of this process may have ended elsewhere. Where the store cannot say so, it is looked at again later. */
  async #look(id: string): Promise<void> {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    const record = await this.#parts.records.read(id).catch(() => 'unknown' as const);
    if (record === 'unknown' || record?.state.status === 'running' || this.#jobs.get(id) !== job) return;
    if (record?.state.status === 'cancelled') job.running?.abort(new BlockstitchError('client_closed'));
    else job.running?.abort(new KeptForLater('elsewhere'));
    if (job.running === undefined) this.#leave(job);
  }

  /** The record says that the job is cancelled. */
  async #stop(id: string): Promise<void> {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    job.running?.abort(new BlockstitchError('client_closed'));
    await job.idle;
    this.#leave(job);
  }

  #leave(job: LiveJob): void {
    if (this.#jobs.get(job.id) === job) this.#jobs.delete(job.id);
    job.end();
    this.#news.tell(job.id);
  }

  get #watchMs(): number {
    return this.#parts.queue.isShared ? WATCH_MS : WATCH_UNTOLD_MS;
  }
}

async function withinGrace(ends: readonly Promise<unknown>[], graceMs: number): Promise<void> {
  const waited = new AbortController();
  const outOfTime = delay(graceMs, undefined, { signal: waited.signal }).catch(() => undefined);
  await Promise.race([Promise.all(ends), outOfTime]);
  waited.abort();
}
