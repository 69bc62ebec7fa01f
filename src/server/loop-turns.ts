/**
 * Heavy pieces of work on the HTTP thread, one in each turn of the event loop, in the order in which they come. Many
 * requests that each wait for "the next turn" would do all their work in that same turn. Knows time, not what the work is.
 */

/** Work that may be interrupted at each `yield`. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Steps that one turn takes. */
const TURN_MS = 5;

export class LoopTurns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` in a turn in which no other heavy piece runs. */
  run<Result>(work: () => Result): Promise<Result> {
    const result = this.#last.then(nextTurn).then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Takes the steps one by one, some milliseconds of them in each turn. */
  async steps<Result>(work: Steps<Result>): Promise<Result> {
    while (true) {
      const last = await this.run(() => {
        const end = performance.now() + TURN_MS;
        let step = work.next();
        while (!step.done && performance.now() < end) step = work.next();
        return step;
      });
      if (last.done) return last.value;
    }
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
