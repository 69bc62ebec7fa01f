/**
 * Heavy pieces of work on the HTTP thread, one in each turn of the event loop, in the order in which they come. Many
 * requests that each wait for "the next turn" would do all their work in that same turn. Knows time, not what the work is.
 */
export class LoopTurns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` in a turn in which no other heavy piece runs. */
  run<Result>(work: () => Result): Promise<Result> {
    const result = this.#last.then(nextTurn).then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
