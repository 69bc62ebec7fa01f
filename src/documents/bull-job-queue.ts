/**
 * Jobs that servers on one Redis share, by BullMQ: it shares them out, gives locks, tries again, and gives the jobs of a
 * server that is gone to another one. Its jobs hold ids alone; the record on the shelf is the fact. So a job that the queue
 * has lost is put back, and one that it runs a second time ends at once. Knows ids, and connections to Redis.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  type BackendFactory,
  type Job,
  Queue,
  type QueueBaseOptions,
  QueueEvents,
  type QueueEventsListener,
  QueueEventsProducer,
  QueueKeys,
  RedisConnection,
  RedisQueueBackend,
  UnrecoverableError,
  WaitingError,
  Worker,
} from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { DocumentLogger } from './document-parts.js';
import {
  FIRST_PAUSE_MS,
  JOBS_AT_ONCE,
  type JobAttempt,
  type JobCounts,
  type JobOutcome,
  type JobProgress,
  type JobQueue,
  type JobRunner,
  MAX_TRIES,
} from './job-queue.js';
import type { JobShelf } from './job-shelf.js';

export interface BullQueueParts {
  /** Short calls, given up after a while. */
  client: Redis | Cluster;
  /** Opens a connection whose calls wait as long as Redis is away. It is closed here. */
  connect: () => Redis | Cluster;
  shelf: Pick<JobShelf, 'listOpen'>;
  logger: Pick<DocumentLogger, 'warn'>;
  prefix?: string;
  /** Milliseconds before a job that has failed is tried again; twice as many each time. */
  retryMs?: number;
}

/** The queue's name, as dashboards for BullMQ ask for it; its prefix is `blockstitch:{jobs}`, so that a cluster keeps it on one node. */
export const QUEUE_NAME = 'ingestions';
/** A server that is gone holds its jobs so long, and at most two looks more. */
const LOCK_MS = 15_000;
const RENEW_MS = 5_000;
const LOOK_FOR_LOST_MS = 5_000;
/** How often the queue is held against the shelf. */
const TICK_MS = 30_000;
/** Progress is told at most so often. */
const TELL_MS = 200;
/** After an error the next job is not asked for at once. */
const REST_MS = 1_000;
/** Redis may be away when the server ends. */
const CLOSE_MS = 3_000;
/** Whoever misses events reads the record. */
const EVENTS_KEPT = 1_000;
/** What is told between the start and the first look is not missed. */
const FIRST_EVENT = '0-0';
/** What an event of ours is named: whoever runs the job looks at its record. */
const LOOK = 'look';

interface LookListener extends QueueEventsListener {
  [LOOK]: (event: { jobId: string }, id: string) => void;
}

export class BullJobQueue implements JobQueue {
  readonly isShared = true;
  readonly #parts: BullQueueParts;
  readonly #prefix: string;
  readonly #queue: Queue;
  readonly #producer: QueueEventsProducer;
  readonly #events: QueueEvents;
  /** Closed at the end. */
  readonly #connections: (Redis | Cluster)[] = [];
  #runner!: JobRunner;
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  #resting = false;
  #failing = false;

  constructor(parts: BullQueueParts) {
    this.#parts = parts;
    this.#prefix = `${parts.prefix ?? 'blockstitch:'}{jobs}`;
    const { retryMs = FIRST_PAUSE_MS } = parts;
    this.#queue = new Queue(
      QUEUE_NAME,
      {
        ...this.#options,
        streams: { events: { maxLen: EVENTS_KEPT } },
        defaultJobOptions: {
          attempts: MAX_TRIES,
          backoff: { type: 'exponential', delay: retryMs },
          // The record says how a job ended.
          removeOnComplete: true,
          removeOnFail: true,
          stackTraceLimit: 0,
        },
      },
      this.#shortCalls,
    );
    this.#producer = new QueueEventsProducer(QUEUE_NAME, this.#options, this.#shortCalls);
    this.#events = new QueueEvents(
      QUEUE_NAME,
      { ...this.#options, blockingTimeout: 5_000, lastEventId: FIRST_EVENT },
      this.#longCalls,
    );
    const tell = (error: Error) => this.#tell(error);
    this.#queue.on('error', tell);
    this.#producer.on('error', tell);
    this.#events.on('error', tell);
    this.#listen();
  }

  attach(runner: JobRunner): void {
    this.#runner = runner;
  }

  async resume(): Promise<number> {
    if (this.#stopping !== undefined) return 0;
    this.#worker ??= this.#startWorker();
    this.#timer ??= setInterval(() => void this.tick().catch((error: Error) => this.#tell(error)), TICK_MS).unref();
    return this.tick();
  }

  async add(id: string, turn?: Promise<void>): Promise<void> {
    const add = () => this.#queue.add('ingest', {}, { jobId: id });
    if (turn === undefined) await add();
    else void turn.then(add).catch((error: Error) => this.#tell(error));
  }

  async remove(id: string): Promise<void> {
    const removed = await this.#queue.remove(id);
    // Its lock keeps a job that runs.
    if (removed === 0) await this.#producer.publishEvent({ eventName: LOOK, jobId: id }, EVENTS_KEPT);
  }

  async progress(id: string): Promise<JobProgress | undefined> {
    return progressIn((await this.#queue.getJob(id))?.progress);
  }

  async counts(): Promise<JobCounts> {
    const { waiting = 0, active = 0, delayed = 0 } = await this.#queue.getJobCounts('waiting', 'active', 'delayed');
    return { waiting, active, delayed };
  }

  /** Puts open jobs into the queue that it does not know: their server ended in between, or Redis dropped keys. */
  async tick(): Promise<number> {
    const open = await this.#parts.shelf.listOpen();
    const queued = new Set(await this.#queue.getRanges(['waiting', 'active', 'delayed', 'prioritized'], 0, -1));
    const listed = new Set(open);
    for (const id of this.#runner.ids()) if (!listed.has(id)) this.#runner.told(id);
    const lost = open.filter((id) => !queued.has(id) && !this.#runner.isInLine(id));
    for (const id of lost) {
      // What is left of a job that stands in no list keeps a new one out.
      await this.#queue.remove(id);
      await this.add(id);
    }
    this.#failing = false;
    return lost.length;
  }

  stop(): void {
    clearInterval(this.#timer);
    // Takes no more, and resolves when what runs here has ended.
    this.#stopping ??= this.#worker?.close() ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.stop();
    const all = [this.#stopping, this.#events.close(), this.#queue.close(), this.#producer.close()];
    const late = new AbortController();
    await Promise.race([
      Promise.all(all).catch(() => undefined),
      delay(CLOSE_MS, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    for (const connection of this.#connections) connection.disconnect();
  }

  #startWorker(): Worker {
    const worker = new Worker(
      QUEUE_NAME,
      (job: Job) => this.#work(job),
      {
        ...this.#options,
        concurrency: JOBS_AT_ONCE,
        lockDuration: LOCK_MS,
        lockRenewTime: RENEW_MS,
        stalledInterval: LOOK_FOR_LOST_MS,
        // The runner gives a job up, and says so in its record.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        runRetryDelay: REST_MS,
      },
      this.#longCalls,
    );
    worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) this.#runner.lost(id);
    });
    worker.on('error', (error) => {
      this.#tell(error);
      void this.#rest(worker);
    });
    return worker;
  }

  /** Without it, a Redis that refuses each call (a replica, a full one) would be asked all the time. */
  async #rest(worker: Worker): Promise<void> {
    if (this.#resting || this.#stopping !== undefined) return;
    this.#resting = true;
    await worker.pause(true);
    await delay(REST_MS, undefined, { ref: false });
    this.#resting = false;
    if (this.#stopping === undefined) await worker.resume();
  }

  async #work(job: Job): Promise<void> {
    const id = job.id ?? '';
    const attempt: JobAttempt = {
      number: job.attemptsStarted,
      last: job.attemptsMade + 1 >= MAX_TRIES,
      deaths: job.stalledCounter,
      tell: teller((progress) => job.updateProgress({ ...progress })),
    };
    const outcome: JobOutcome = await this.#runner.work(id, attempt);
    if (outcome.is === 'ended') return;
    if (outcome.is === 'kept') {
      // Where Redis is away, the lock runs out.
      await job.moveToWait(job.token).catch(() => undefined);
    }
    if (outcome.is === 'kept' || outcome.is === 'elsewhere') throw new WaitingError();
    throw outcome.is === 'again' ? new Error(outcome.code) : new UnrecoverableError(outcome.code);
  }

  #listen(): void {
    for (const event of ['completed', 'failed', 'removed'] as const) {
      this.#events.on(event, ({ jobId }: { jobId: string }) => this.#runner.told(jobId));
    }
    this.#events.on('progress', ({ jobId, data }) => {
      const progress = progressIn(data);
      if (progress !== undefined) this.#runner.told(jobId, progress);
    });
    this.#events.on<LookListener>(LOOK, ({ jobId }: { jobId: string }) => this.#runner.told(jobId));
  }

  /** One line until the queue is well again; what connections fail of is told where connections are. */
  #tell({ message: reason }: Error): void {
    const known =
      this.#stopping !== undefined || this.#failing || /ECONN|closed|timeout|\block\b|Missing/i.test(reason);
    if (known) return;
    this.#failing = true;
    this.#parts.logger.warn({ reason }, 'the queue of background ingestions fails, it is tried again');
  }

  get #options() {
    // Not used: `#shortCalls` and `#longCalls` have the connections.
    return { connection: {}, prefix: this.#prefix };
  }

  readonly #shortCalls: BackendFactory<RedisQueueBackend> = (name, opts) =>
    this.#backend(
      name,
      opts,
      new RedisConnection(this.#parts.client, { shared: true, blocking: false, skipVersionCheck: true }),
    );

  readonly #longCalls: BackendFactory<RedisQueueBackend> = (
    name,
    opts,
    { blocking = false, withBlockingConnection = false } = {},
  ) =>
    this.#backend(name, opts, this.#connection(blocking), withBlockingConnection ? this.#connection(true) : undefined);

  #connection(blocking: boolean): RedisConnection {
    const client = this.#parts.connect();
    this.#connections.push(client);
    // The check of the version asks INFO, which a user may lack, and writes to the console.
    return new RedisConnection(client, { shared: true, blocking, skipVersionCheck: true });
  }

  #backend(
    name: string,
    opts: QueueBaseOptions,
    connection: RedisConnection,
    blocking?: RedisConnection,
  ): RedisQueueBackend {
    const keys = new QueueKeys(this.#prefix);
    const toKey = (type: string) => keys.toKey(name, type);
    return new RedisQueueBackend(connection, name, keys.getKeys(name), toKey, opts, blocking);
  }
}

/** Tells progress one after the other, and not too often: what was told last is told in the end. */
function teller(tell: (progress: JobProgress) => Promise<void>): (progress: JobProgress) => void {
  let latest: JobProgress | undefined;
  let telling = false;
  const next = async () => {
    telling = true;
    while (latest !== undefined) {
      const progress = latest;
      latest = undefined;
      // The job may have ended.
      await tell(progress).catch(() => undefined);
      await delay(TELL_MS, undefined, { ref: false });
    }
    telling = false;
  };
  return (progress) => {
    latest = progress;
    if (!telling) void next();
  };
}

function progressIn(value: unknown): JobProgress | undefined {
  const { blocksDone, blocksTotal } = (value ?? {}) as Partial<JobProgress>;
  if (typeof blocksDone !== 'number' || typeof blocksTotal !== 'number') return undefined;
  return { blocksDone, blocksTotal };
}
