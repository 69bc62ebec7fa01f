/**
 * A thread that does one task at a time and is thrown away when a task takes too long, or fails in a way after which
 * nothing can be relied on. It starts with the first task, and again with the next one after its end.
 * Knows threads and time, not tasks. Its thread runs JavaScript and WebAssembly only, which can be ended at any moment.
 */
import type { TransferListItem, Worker } from 'node:worker_threads';

/** A vocabulary of 150,000 tokens takes a second; a busy machine more. */
const START_MS = 120_000;

/** Why a thread was given up. */
export class ThreadLost extends Error {}

/** Nobody wants a task any more whose turn has come. */
export class TaskUnwanted extends Error {}

interface TaskOptions<Answer> {
  /** Whether the thread is not to be used again after this answer. */
  spoils?: (answer: Answer) => boolean;
  /** Asked when the task's turn has come. */
  isWanted?: () => boolean;
}

export class DeadlineThread<Task, Answer> {
  readonly #start: () => Worker;
  readonly #onLost: () => void;
  #worker: Worker | undefined;
  #ready: Promise<Worker> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Threads that were given up for another reason than the task that they had. */
  readonly #discarded = new WeakSet<Worker>();

  /**
   * @param start  starts a thread that posts `{ ready: true }`, and then one answer for each task
   * @param onLost called when a thread that was ready is given up or has ended
   */
  constructor(start: () => Worker, onLost: () => void = () => {}) {
    this.#start = start;
    this.#onLost = onLost;
  }

  /**
   * Runs a task after those before it.
   * @throws ThreadLost if the thread ends before it answers, or takes longer than `timeoutMs`; TaskUnwanted
   */
  run(task: Task, timeoutMs: number, options: TaskOptions<Answer> = {}): Promise<Answer> {
    const answer = this.#last.then(() => this.#attempt(task, timeoutMs, options));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #attempt(task: Task, timeoutMs: number, options: TaskOptions<Answer>): Promise<Answer> {
    if (options.isWanted?.() === false) throw new TaskUnwanted();
    const worker = await this.#started();
    let value: Answer;
    try {
      value = await this.#answer<Answer>(worker, timeoutMs, () => worker.postMessage(task));
    } catch (error) {
      if (this.#discarded.has(worker)) return this.#attempt(task, timeoutMs, options);
      throw error;
    }
    if (options.spoils?.(value) === true) {
      this.#forget(worker);
      await worker.terminate();
    }
    return value;
  }

  /** Starts the thread before there is a task for it. @returns whether it runs; why not is told to the task that needs it */
  async warm(): Promise<boolean> {
    if (this.#closed) return false;
    return this.#started().then(
      () => true,
      () => false,
    );
  }

  /** Sends what has no answer, in order with the tasks. @returns false if no thread runs */
  tell(message: unknown, transfer: TransferListItem[] = []): boolean {
    this.#worker?.postMessage(message, transfer);
    return this.#worker !== undefined;
  }

  /** Ends the thread; its task and the next ones get another one. */
  async discard(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#discarded.add(worker);
    this.#forget(worker);
    await worker.terminate();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.discard();
  }

  #started(): Promise<Worker> {
    if (this.#closed) throw new ThreadLost('it is closed');
    this.#ready ??= this.#begin().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #begin(): Promise<Worker> {
    const worker = this.#start();
    // A server that ends does not wait for it.
    worker.unref();
    await this.#answer(worker, START_MS, () => {});
    if (this.#closed) {
      await worker.terminate();
      throw new ThreadLost('it is closed');
    }
    this.#worker = worker;
    worker.once('exit', () => this.#forget(worker));
    return worker;
  }

  #forget(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#ready = undefined;
    this.#onLost();
  }

  #answer<Value>(worker: Worker, timeoutMs: number, begin: () => void): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        settle();
      };
      const onMessage = (value: Value) => end(() => resolve(value));
      // The next task comes at once, and must not go to a thread that is about to end.
      const lose = (error: ThreadLost) => {
        this.#forget(worker);
        end(() => reject(error));
      };
      const onError = (error: Error) => lose(new ThreadLost(error.message, { cause: error }));
      const onExit = () => lose(new ThreadLost('it ended'));
      const timer = setTimeout(() => {
        void worker.terminate();
        lose(new ThreadLost(`it took longer than ${timeoutMs / 1000} s`));
      }, timeoutMs);
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      begin();
    });
  }
}
