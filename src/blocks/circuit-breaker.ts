/**
 * Keeps a failing store from being asked again and again: after some failures in a row it is left alone for a while,
 * then tried by one call. Knows outcomes and time.
 */
export class CircuitBreaker {
  readonly #threshold: number;
  readonly #restMs: number;
  readonly #now: () => number;
  #inRow = 0;
  #openedMs: number | undefined;
  #probing = false;
  failures = 0;

  constructor(threshold = 3, restMs = 2_000, now: () => number = () => performance.now()) {
    this.#threshold = threshold;
    this.#restMs = restMs;
    this.#now = now;
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#openedMs === undefined) return 'closed';
    return this.#now() - this.#openedMs >= this.#restMs ? 'half-open' : 'open';
  }

  /** Calls the store, or not. @returns undefined where the store was not asked or failed */
  async run<T>(call: () => Promise<T>): Promise<{ result: T } | undefined> {
    if (this.state === 'open' || this.#probing) return undefined;
    this.#probing = this.state === 'half-open';
    try {
      const result = await call();
      this.#inRow = 0;
      this.#openedMs = undefined;
      return { result };
    } catch {
      this.failures++;
      if (++this.#inRow >= this.#threshold || this.#openedMs !== undefined) this.#openedMs = this.#now();
      return undefined;
    } finally {
      this.#probing = false;
    }
  }
}
