/**
 * Says whether loading a block from the store is worth it, and how long to wait for it, from what loads have taken so
 * far and what computing the block again would take. Knows bytes and milliseconds; how fast the engine computes is
 * told to it.
 *
 * Waiting follows the ski-rental rule: a load is given up once waiting has cost what computing costs, so a request
 * never takes more than twice the better of the two, whatever the store does.
 */

export interface LoadCostOptions {
  /** Shortest time given to a load: below it, noise would decide. */
  leastWaitMs?: number;
  /** Longest time given to a load, and the time given while the cost of computing is not known. */
  mostWaitMs?: number;
  /** A store that has been found slow is tried again after so long. */
  probeMs?: number;
  now?: () => number;
}

/** Weight of what was known when a load is added to it: about the last twenty loads count. */
const DECAY = 0.95;
/** Loads measured before any is passed over: the first ones open connections and warm caches. */
const LEAST_LOADS = 4;

/** One load under way. */
export interface LoadClock {
  /** Milliseconds that it may take. */
  waitMs: number;
  /** Nobody waits for it any more; it may still end. */
  giveUp(): void;
  /** Call once: with its size when it came, without when it did not. */
  end(bytes?: number): void;
}

export class LoadCostModel {
  readonly #leastWaitMs: number;
  readonly #mostWaitMs: number;
  readonly #probeMs: number;
  readonly #now: () => number;
  #loads = 0;
  #bytes = 0;
  #ms = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  #lastTryMs = Number.NEGATIVE_INFINITY;
  #pendingComputeMs = 0;

  constructor({ leastWaitMs = 25, mostWaitMs = 2_000, probeMs = 5_000, now }: LoadCostOptions = {}) {
    this.#leastWaitMs = leastWaitMs;
    this.#mostWaitMs = mostWaitMs;
    this.#probeMs = probeMs;
    this.#now = now ?? (() => performance.now());
  }

  /** Expected milliseconds to load so many bytes; undefined until enough was measured. */
  estimateMs(bytes: number): number | undefined {
    return this.#loads < LEAST_LOADS ? undefined : (this.#ms / this.#bytes) * bytes;
  }

  /**
   * @param computeMs what computing the block again takes; undefined: not known
   * @returns false when computing is faster, save for a try now and then that keeps the measure true
   */
  worthLoading(bytes: number, computeMs: number | undefined): boolean {
    const loadMs = this.estimateMs(bytes);
    const faster =
      computeMs !== undefined && loadMs !== undefined && loadMs > Math.max(computeMs, this.#leastWaitMs / 5);
    if (faster && this.#now() - this.#lastTryMs < this.#probeMs) return false;
    this.#lastTryMs = this.#now();
    return true;
  }

  /**
   * Starts the clock of a load. Loads under way at once share the line, as prefills would share the processor: each may
   * take what computing all of them would.
   */
  begin(computeMs: number | undefined): LoadClock {
    const startMs = this.#now();
    let pendingMs = computeMs ?? 0;
    this.#pendingComputeMs += pendingMs;
    const giveUp = () => {
      this.#pendingComputeMs -= pendingMs;
      pendingMs = 0;
    };
    const waitMs = computeMs === undefined ? this.#mostWaitMs : this.#clamp(this.#pendingComputeMs);
    return {
      waitMs,
      giveUp,
      end: (bytes) => {
        giveUp();
        const endMs = this.#now();
        // The time that others' loads took from the same line is theirs.
        if (bytes !== undefined) this.#observe(bytes, endMs - Math.max(startMs, this.#lastEndMs));
        this.#lastEndMs = endMs;
      },
    };
  }

  #observe(bytes: number, ms: number): void {
    this.#loads++;
    this.#bytes = this.#bytes * DECAY + bytes;
    this.#ms = this.#ms * DECAY + ms;
  }

  #clamp(ms: number): number {
    return Math.min(Math.max(ms, this.#leastWaitMs), this.#mostWaitMs);
  }
}
