/** Lets a fixed number of callers work at a time, first come first served. Knows nothing about the work. */
import { unlessAborted } from './keyed-queue.js';

export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param count >= 1 */
  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `work` in a slot. @param signal gives the place up while it is waited for; its reason is thrown then */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#take(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    let wake!: () => void;
    const turn = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiting.push(wake);
    try {
      await unlessAborted(turn, signal);
    } catch (error) {
      const at = this.#waiting.indexOf(wake);
      if (at >= 0) this.#waiting.splice(at, 1);
      // The slot was handed over in the same turn.
      else this.#leave();
      throw error;
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
