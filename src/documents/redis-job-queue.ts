/**
 * The queue of jobs on Redis: BullMQ's, which needs scripts. Where the user of Redis may not run them, jobs run on the
 * server that accepts them, and the log says what is missing. Which of both is known when Redis first answers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis } from 'ioredis';
import { BullJobQueue, type BullQueueParts } from './bull-job-queue.js';
import { InProcessJobQueue } from './in-process-job-queue.js';
import { JOBS_AT_ONCE, type JobCounts, type JobProgress, type JobQueue, type JobRunner } from './job-queue.js';
import { RedisJobLeases } from './redis-job-leases.js';
import { missingRight } from './redis-rights.js';

const ASK_AGAIN_MS = 1_000;

export class RedisJobQueue implements JobQueue {
  readonly #parts: BullQueueParts;
  readonly #giveUp = new AbortController();
  #chosen!: Promise<JobQueue>;
  #queue: JobQueue | undefined;

  constructor(parts: BullQueueParts) {
    this.#parts = parts;
  }

  get isShared(): boolean {
    return this.#queue?.isShared ?? true;
  }

  attach(runner: JobRunner): void {
    this.#chosen = this.#choose(runner);
    this.#chosen.catch(() => undefined);
  }

  async resume(): Promise<number> {
    return (await this.#chosen).resume();
  }

  async add(id: string, turn?: Promise<void>): Promise<void> {
    return (await this.#chosen).add(id, turn);
  }

  async remove(id: string): Promise<void> {
    return (await this.#chosen).remove(id);
  }

  async progress(id: string): Promise<JobProgress | undefined> {
    return this.#queue?.progress(id);
  }

  async counts(): Promise<JobCounts> {
    return (await this.#chosen).counts();
  }

  async tick(): Promise<number> {
    return (await this.#chosen).tick();
  }

  stop(): void {
    this.#giveUp.abort();
    this.#queue?.stop();
  }

  async close(): Promise<void> {
    this.stop();
    await this.#queue?.close();
  }

  async #choose(runner: JobRunner): Promise<JobQueue> {
    const { signal } = this.#giveUp;
    const { client, shelf, logger, prefix, retryMs } = this.#parts;
    const reason = await missing(client, prefix, signal);
    signal.throwIfAborted();
    if (reason === undefined) {
      this.#queue = new BullJobQueue(this.#parts);
      void warnOfEviction(client, logger);
    } else {
      logger.warn(
        { reason },
        'the user of Redis lacks a right that the queue of background ingestions needs: they run on the server that accepts them',
      );
      const leases = new RedisJobLeases(client, prefix);
      const maxTaken = JOBS_AT_ONCE;
      this.#queue = new InProcessJobQueue({
        shelf,
        leases,
        logger,
        maxTaken,
        ...(retryMs === undefined ? {} : { retryMs }),
      });
    }
    this.#queue.attach(runner);
    return this.#queue;
  }
}

/** Asks until Redis answers. */
async function missing(
  client: Redis | Cluster,
  prefix: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (;;) {
    try {
      return await missingRight(client, prefix);
    } catch {
      await delay(ASK_AGAIN_MS, undefined, { signal, ref: false });
    }
  }
}

/** What Redis drops of the queue is put back within half a minute; what it drops of the jobs themselves is lost. */
async function warnOfEviction(client: Redis | Cluster, logger: BullQueueParts['logger']): Promise<void> {
  // The user may not be allowed to ask.
  const memory = await client.info('memory').catch(() => '');
  const policy = /maxmemory_policy:(allkeys-\w+)/.exec(memory)?.[1];
  if (policy === undefined) return;
  logger.warn(
    { policy },
    'Redis may drop background ingestions and documents when it is full: volatile-lru keeps them',
  );
}
