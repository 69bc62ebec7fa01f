/**
 * The text threads and the queue in front of them. A request takes a place before any work is done for it; places have
 * an end. A client that goes gives its place back at once. A task that runs already is told to stop (see pace.ts) and
 * keeps its thread until it has stopped: a thread is never ended in the middle of native work, because Node cannot
 * unwind that. Knows nothing of what tasks do.
 */
import { Piscina } from 'piscina';
import { BlockstitchError } from '../errors.js';
import { silenceRuntime } from '../onnx-runtime.js';
import { createStopFlag, raise, type StopFlag } from './pace.js';

export interface ThreadOptions {
  /** Threads at most, >= 1. */
  threads: number;
  /** Requests that may have a place beside those with a thread, >= 0; one more is `queue_full`. */
  maxQueue: number;
}

/** The place of a request with several tasks: taken with the first of them, kept until `leave`. */
export class QueuePlace {
  #onLeave: (() => void) | undefined;
  #isLeft = false;

  /** Whether the request has gone: its place cannot be taken again. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** For TextThreads. @returns false if the request has its place already */
  take(onLeave: () => void): boolean {
    if (this.#onLeave) return false;
    this.#onLeave = onLeave;
    return true;
  }

  leave(): void {
    this.#isLeft = true;
    this.#onLeave?.();
  }
}

export interface RunOptions {
  /** The client's. Its reason is thrown as soon as it aborts. */
  signal?: AbortSignal | undefined;
  /** By default the task has a place of its own. */
  place?: QueuePlace | undefined;
}

/** What each task gets beside its own fields. */
export interface Stoppable {
  stop?: StopFlag;
}

/** Threads without work end after this time, but for one: to start one costs the next document some tenths of a second. */
const IDLE_MS = 60_000;

export class TextThreads {
  readonly threads: number;
  readonly maxQueue: number;
  readonly #pool: Piscina;
  readonly #places = new Set<object>();
  /** What gives a waiting task its thread, oldest first. */
  readonly #waiting = new Set<() => void>();
  /** Tasks in a thread; each resolves when its thread is free, whether or not anybody still waits for it. */
  readonly #running = new Set<Promise<void>>();
  /** What ends the waiting for each task, in the queue or in a thread. */
  readonly #abandons = new Set<(reason: unknown) => void>();
  #closed = false;

  constructor({ threads, maxQueue }: ThreadOptions) {
    this.threads = threads;
    this.maxQueue = maxQueue;
    // A task may load ONNX Runtime.
    silenceRuntime();
    // Piscina's own queue stays empty: a task reaches it only when a thread is free.
    this.#pool = new Piscina({ minThreads: 1, maxThreads: threads, idleTimeout: IDLE_MS });
  }

  /** Tasks that wait for a thread. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Tasks in a thread, those included that nobody waits for any more. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Runs the export `name` of a worker file with `task` and a stop flag.
   *
   * @throws BlockstitchError `queue_full`, `shutting_down`; the signal's reason; else what the task throws
   */
  async run<Result>(file: string, name: string, task: object, { signal, place }: RunOptions = {}): Promise<Result> {
    signal?.throwIfAborted();
    if (this.#closed) throw new BlockstitchError('shutting_down');
    // Work that several requests wait for may outlive the one that began it.
    const shared = place && !place.isLeft ? place : undefined;
    const own = shared ?? new QueuePlace();
    this.#enter(own);
    return new Promise((resolve, reject) => {
      const stop = createStopFlag();
      const start = () => {
        const work: Promise<Result> = this.#pool.run({ ...task, stop }, { filename: file, name });
        work.then(resolve, reject).finally(leave);
        this.#hold(work);
      };
      const abandon = (reason: unknown) => {
        leave();
        this.#waiting.delete(start);
        raise(stop);
        reject(reason);
      };
      const onAbort = () => abandon(signal?.reason);
      const leave = () => {
        if (!shared) own.leave();
        this.#abandons.delete(abandon);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#abandons.add(abandon);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (this.#running.size < this.threads) start();
      else this.#waiting.add(start);
    });
  }

  /** Takes no more work, tells what runs to stop, and waits until it has. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const abandon of [...this.#abandons]) abandon(new BlockstitchError('shutting_down'));
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#pool.destroy();
  }

  #enter(place: QueuePlace): void {
    if (!place.take(() => this.#places.delete(place))) return;
    const waiting = this.#places.size - this.threads;
    if (waiting >= this.maxQueue) {
      place.leave();
      throw new BlockstitchError('queue_full', { waiting, limit: this.maxQueue });
    }
    this.#places.add(place);
  }

  /** Keeps a thread until its task has ended, then gives it to the task that has waited longest. */
  #hold(work: Promise<unknown>): void {
    const end = () => {
      this.#running.delete(ended);
      const [next] = this.#waiting;
      if (!next) return;
      this.#waiting.delete(next);
      next();
    };
    const ended: Promise<void> = work.then(end, end);
    this.#running.add(ended);
  }
}
