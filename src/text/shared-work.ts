/**
 * Does equal work once for all who want it at the same time. Each has a signal of its own: one who leaves stops
 * waiting, and the work is stopped when the last one has left. Remembers nothing after the work has ended.
 */
import { BlockstitchError } from '../errors.js';

interface Shared<Value> {
  value: Promise<Value>;
  waiting: number;
  controller: AbortController;
}

export class SharedWork<Value> {
  readonly #running = new Map<string, Shared<Value>>();

  /**
   * @param key equal for equal work
   * @param work done for the first one who asks; its signal aborts when nobody waits any more
   * @param signal of the one who asks; its reason is thrown when it aborts
   */
  async run(key: string, work: (signal: AbortSignal) => Promise<Value>, signal?: AbortSignal): Promise<Value> {
    signal?.throwIfAborted();
    const shared = this.#running.get(key) ?? this.#start(key, work);
    shared.waiting += 1;
    // One without a signal never leaves, so the work goes on.
    if (!signal) return shared.value;
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        shared.waiting -= 1;
        if (shared.waiting > 0) return;
        // The next one who asks starts new work.
        if (this.#running.get(key) === shared) this.#running.delete(key);
        shared.controller.abort(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      shared.value.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
    });
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<Value>): Shared<Value> {
    const controller = new AbortController();
    const shared: Shared<Value> = { value: work(controller.signal), waiting: 0, controller };
    this.#running.set(key, shared);
    const end = () => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    };
    shared.value.then(end, end);
    return shared;
  }
}

/** What fails for all of them is told to each with the name of its own parameter. */
export async function toldOf<Value>(param: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof BlockstitchError ? error.at(param) : error;
  }
}
