/** One thing at a time under each key, in the order in which it was asked for. Knows no documents. */
export class KeyedQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Nothing runs or waits under the key. */
  isFree(key: string): boolean {
    return !this.#last.has(key);
  }

  /**
   * Runs `work` when everything before it under the key has ended.
   * @param signal gives the turn up while it is waited for; its reason is thrown then
   */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    let end!: () => void;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const own = before.then(() => ended);
    this.#last.set(key, own);
    void own.then(() => {
      if (this.#last.get(key) === own) this.#last.delete(key);
    });
    try {
      await unlessAborted(before, signal);
      return await work();
    } finally {
      end();
    }
  }
}

/** @throws the reason of the signal if that aborts first */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let stop!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
