/**
 * The queue of jobs on Redis: BullMQ's, which needs scripts. Where the user of Redis may not run them, jobs run on the
 * server that accepts them, and the log says what is missing. Which of both is known when Redis first answers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis } from 'ioredis';
import { askRedis, withoutScripts } from '../cache/connect-redis.js';
import { BullJobQueue, type BullQueueParts } from './bull-job-queue.js';
import { InProcessJobQueue } from './in-process-job-queue.js';
import { JOBS_AT_ONCE, type JobProgress, type JobQueue, type JobRunner } from './job-queue.js';
import { RedisJobLeases } from './redis-job-leases.js';

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
    const missing = await missingRight(client, `${prefix ?? 'blockstitch:'}{jobs}:probe`, signal);
    signal.throwIfAborted();
    if (missing === undefined) this.#queue = new BullJobQueue(this.#parts);
    else {
      logger.warn(
        { reason: missing },
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

/** Asks until Redis answers. @returns its words where the user lacks a right */
async function missingRight(client: Redis | Cluster, key: string, signal: AbortSignal): Promise<string | undefined> {
  const calls = [
    () => client.eval("return redis.call('exists', KEYS[1])", 1, key),
    () => client.bzpopmin(key, 0.01),
    () => client.xread('COUNT', 1, 'STREAMS', key, '0'),
  ];
  for (;;) {
    try {
      for (const call of calls) await askRedis<unknown>(client, call);
      return undefined;
    } catch (error) {
      if (withoutScripts(error)) return (error as Error).message;
      await delay(ASK_AGAIN_MS, undefined, { signal, ref: false });
    }
  }
}
