/**
 * Whether the engine is alive. Starts its worker, starts it again with growing pauses, and gives up after some failures
 * in a row. This file is the one owner of that state.
 *
 *   running ──(the worker ends)──► restarting ──(it starts)──► running
 *                                      └──(MAX_FAILURES in a row)──► down
 *
 * If a worker lived for a while, earlier failures no longer count: deaths that lie months apart do not add up.
 * Knows starts, ends and time. The host tells the callers what was lost with a worker.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineState } from '../engine.js';
import type { EngineNews } from '../wire/messages.js';
import type { StartWorker, WorkerLink } from './worker-link.js';

export interface EngineLogger {
  info(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface WorkerLifeOptions {
  startWorker: StartWorker;
  logger: EngineLogger;
  /** Called when a worker takes commands. */
  up: (link: WorkerLink) => void;
  news: (news: EngineNews) => void;
  /** Called when a worker that was up has ended. Resolves when nothing of its work is under way any more. */
  lost: (error: Error) => Promise<void>;
  /** Milliseconds between a failure and the next start, by the failures in a row. */
  backoffMs?: (failures: number) => number;
  now?: () => number;
  /** Resolves after so long, or when the signal is aborted. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Most failures in a row that are followed by a new start. With one more the engine stays down. */
export const MAX_FAILURES = 5;
/** A worker that lived this long was healthy. */
export const HEALTHY_MS = 60_000;

/** Half a second, doubled each time, up to half a minute. */
const growingMs = (failures: number) => Math.min(500 * 2 ** (failures - 1), 30_000);

export class WorkerLife {
  readonly #options: WorkerLifeOptions;
  readonly #backoffMs: (failures: number) => number;
  readonly #now: () => number;
  readonly #pause: NonNullable<WorkerLifeOptions['pause']>;
  readonly #listeners = new Set<(state: EngineState) => void>();
  readonly #closing = new AbortController();
  #state: EngineState = { name: 'restarting', reason: 'the engine is starting', restarts: 0 };
  #link: WorkerLink | undefined;
  #failures = 0;
  #upSinceMs = 0;
  /** Resolves when the next worker is up, or when none will come. */
  #recovery: Promise<void> = Promise.resolve();

  constructor(options: WorkerLifeOptions) {
    this.#options = options;
    this.#backoffMs = options.backoffMs ?? growingMs;
    this.#now = options.now ?? (() => performance.now());
    this.#pause = options.pause ?? ((ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined));
  }

  get state(): EngineState {
    return this.#state;
  }

  /** The line to the running worker; undefined while none runs. */
  get link(): WorkerLink | undefined {
    return this.#link;
  }

  onChange(listener: (state: EngineState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The first start. @throws what kept the worker from starting */
  async start(): Promise<void> {
    await this.#startOnce();
  }

  /** Ends the worker after its step, and starts no other. */
  async close(): Promise<void> {
    this.#closing.abort();
    const link = this.#link;
    this.#link = undefined;
    await link?.close();
    await this.#recovery;
  }

  async #startOnce(): Promise<void> {
    const { startWorker, logger, news, up } = this.#options;
    const link = await startWorker({
      news: (told) => {
        if (this.#link === link) news(told);
      },
      failed: (error) => {
        this.#recovery = this.#recover(error);
      },
    });
    if (this.#closing.signal.aborted) {
      await link.close();
      return;
    }
    this.#link = link;
    this.#upSinceMs = this.#now();
    up(link);
    this.#become('running', '');
    logger.info({ rowMultiple: link.rowMultiple }, 'engine worker ready');
  }

  async #recover(error: Error): Promise<void> {
    const { logger, lost } = this.#options;
    this.#link = undefined;
    if (this.#now() - this.#upSinceMs >= HEALTHY_MS) this.#failures = 0;
    this.#become('restarting', `the engine worker ended: ${error.message}`);
    logger.error({ err: error }, 'engine worker ended');
    await lost(error);
    while (!this.#closing.signal.aborted) {
      this.#failures++;
      if (this.#failures > MAX_FAILURES) {
        this.#become('down', `${this.#state.reason} (${MAX_FAILURES} starts in a row failed)`);
        logger.error({ reason: this.#state.reason }, 'engine is down and stays down');
        return;
      }
      const backoffMs = this.#backoffMs(this.#failures);
      logger.info({ backoffMs, failuresInRow: this.#failures }, 'engine worker will be started again');
      await this.#pause(backoffMs, this.#closing.signal);
      if (this.#closing.signal.aborted) return;
      this.#state = { ...this.#state, restarts: this.#state.restarts + 1 };
      try {
        await this.#startOnce();
        return;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        this.#become('restarting', `the engine worker cannot be started again: ${reason}`);
        logger.error({ err: cause }, 'engine worker cannot be started again');
      }
    }
  }

  #become(name: EngineState['name'], reason: string): void {
    this.#state = { name, reason, restarts: this.#state.restarts };
    for (const listener of [...this.#listeners]) listener(this.#state);
  }
}
