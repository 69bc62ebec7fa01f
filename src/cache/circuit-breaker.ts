/**
 * Leaves a failing store alone. After some failures in a row nobody asks it for a while; then one call tries it again.
 * A call that hangs counts as a failure when its time is over. Knows outcomes and time.
 */

export interface BreakerOptions {
  /** The breaker opens after this many failures in a row. */
  threshold?: number;
  /** Milliseconds for which a failing store is left alone. */
  restMs?: number;
  /** Milliseconds after which a call counts as failed. */
  timeoutMs?: number;
  now?: () => number;
  /** Called when the breaker opens, with the last failure, and when the store is well again. */
  onChange?: (state: 'open' | 'closed', reason: string) => void;
}

export type Answer<T> = { ok: true; result: T } | { ok: false; reason: string };

export class CircuitBreaker {
  readonly #threshold: number;
  readonly #restMs: number;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #onChange: BreakerOptions['onChange'];
  #inRow = 0;
  #openedMs: number | undefined;
  #probing = false;
  #lastReason = '';
  failures = 0;

  constructor({ threshold = 3, restMs = 2_000, timeoutMs = 5_000, now, onChange }: BreakerOptions = {}) {
    this.#threshold = threshold;
    this.#restMs = restMs;
    this.#timeoutMs = timeoutMs;
    this.#now = now ?? (() => performance.now());
    this.#onChange = onChange;
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#openedMs === undefined) return 'closed';
    return this.#now() - this.#openedMs >= this.#restMs ? 'half-open' : 'open';
  }

  /**
   * Calls the store, unless the breaker is open. Never rejects; `reason` says why there is no result.
   *
   * @param call gets a signal that is aborted when its time is over
   */
  async run<T>(call: (late: AbortSignal) => Promise<T>): Promise<Answer<T>> {
    const { state } = this;
    if (state === 'open' || (state === 'half-open' && this.#probing)) {
      return { ok: false, reason: `the store is given up for a while: ${this.#lastReason}` };
    }
    const probe = state === 'half-open';
    if (probe) this.#probing = true;
    try {
      const result = await this.#timed(call);
      this.#succeed();
      return { ok: true, result };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#fail(probe, reason);
      return { ok: false, reason };
    } finally {
      if (probe) this.#probing = false;
    }
  }

  async #timed<T>(call: (late: AbortSignal) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const over = new AbortController();
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new Error(`no answer within ${this.#timeoutMs} ms`);
        reject(error);
        over.abort(error);
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([call(over.signal), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #succeed(): void {
    this.#inRow = 0;
    if (this.#openedMs === undefined) return;
    this.#openedMs = undefined;
    this.#onChange?.('closed', this.#lastReason);
  }

  /** Calls that began before the breaker opened may fail later. Only the probe's failure opens it again. */
  #fail(probe: boolean, reason: string): void {
    this.failures++;
    this.#inRow++;
    this.#lastReason = reason;
    if (probe) this.#openedMs = this.#now();
    else if (this.#openedMs === undefined && this.#inRow >= this.#threshold) {
      this.#openedMs = this.#now();
      this.#onChange?.('open', reason);
    }
  }
}
