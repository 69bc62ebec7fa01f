/**
 * Decides whether to load a block from the store, and how long to wait for it. It compares the time that loads have
 * taken so far with the time to compute the block again. Knows bytes and milliseconds. Callers say how fast the engine
 * computes.
 *
 * Waiting follows the ski-rental rule: a load is given up when waiting has cost as much as computing. So a request
 * never takes more than twice the better of the two, whatever the store does.
 *
 * Measures grow old: they lose half of their weight every 30 seconds. A slow store is probed with a load now and then, and a
 * probe that shows it fast counts instead of all that was measured before.
 */

export interface LoadCostOptions {
  /** Shortest time that a load gets: below it, noise would decide. */
  leastWaitMs?: number;
  /** Longest time that a load gets. Also its time while the cost of computing is not known. */
  mostWaitMs?: number;
  /** A slow store is tried again after this time. */
  probeMs?: number;
  now?: () => number;
}

/** Weight of earlier loads when a new one is added: about the last twenty loads count. */
const DECAY = 0.95;
/** Time in which a measure loses half of its weight. */
const HALF_LIFE_MS = 30_000;
/** Loads that are measured before one may be passed over: the first loads open connections and warm caches. */
const LEAST_LOADS = 4;

/** One load under way. */
export interface LoadClock {
  /** Milliseconds that it may take. */
  waitMs: number;
  /** Nobody waits for it any more; it may still end. */
  giveUp(): void;
  /** Call once: with its size when it came, without when it did not. */
  end(bytes?: number): void;
  /** Call instead of `end` when so many bytes have not come until now: the store is at least so slow. */
  drop(bytes: number): void;
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
  #observedMs = Number.NEGATIVE_INFINITY;
  /** The load that begins next finds out whether a store that was slow still is; `worthLoading` lets one through. */
  #probing = false;
  #pendingComputeMs = 0;

  constructor({ leastWaitMs = 25, mostWaitMs = 2_000, probeMs = 5_000, now }: LoadCostOptions = {}) {
    this.#leastWaitMs = leastWaitMs;
    this.#mostWaitMs = mostWaitMs;
    this.#probeMs = probeMs;
    this.#now = now ?? (() => performance.now());
  }

  /** Expected milliseconds to load this many bytes; undefined until enough loads were measured. */
  estimateMs(bytes: number): number | undefined {
    return this.#loads < LEAST_LOADS ? undefined : (this.#ms / this.#bytes) * bytes;
  }

  /**
   * @param computeMs milliseconds to compute the block again; undefined if not known
   * @returns false if computing is faster; now and then true all the same, so that the measure stays true
   */
  worthLoading(bytes: number, computeMs: number | undefined): boolean {
    const loadMs = this.estimateMs(bytes);
    const faster =
      computeMs !== undefined && loadMs !== undefined && loadMs > Math.max(computeMs, this.#leastWaitMs / 5);
    if (faster && this.#now() - this.#lastTryMs < this.#probeMs) return false;
    this.#probing = faster;
    this.#lastTryMs = this.#now();
    return true;
  }

  /**
   * Starts the clock of a load. Loads that run at once share the line, as prefills would share the processor. So each
   * may take as long as computing all of them.
   */
  begin(computeMs: number | undefined): LoadClock {
    const startMs = this.#now();
    const probe = this.#probing;
    this.#probing = false;
    let pendingMs = computeMs ?? 0;
    this.#pendingComputeMs += pendingMs;
    const giveUp = () => {
      this.#pendingComputeMs -= pendingMs;
      pendingMs = 0;
    };
    const waitMs = computeMs === undefined ? this.#mostWaitMs : this.#clamp(this.#pendingComputeMs);
    const ended = (bytes: number | undefined) => {
      giveUp();
      const endMs = this.#now();
      // Other loads used the same line before this one: their time does not count for it.
      if (bytes !== undefined) this.#observe(bytes, endMs - Math.max(startMs, this.#lastEndMs), probe);
      this.#lastEndMs = endMs;
    };
    return { waitMs, giveUp, end: ended, drop: ended };
  }

  /** @param probe a load of a store that was slow: if it shows the store faster, what was measured before is of the past */
  #observe(bytes: number, ms: number, probe: boolean): void {
    const faster = probe && ms / bytes < this.#ms / this.#bytes;
    const age = this.#now() - this.#observedMs;
    const kept = faster ? 0 : DECAY * 0.5 ** (age / HALF_LIFE_MS);
    this.#observedMs = this.#now();
    this.#loads++;
    this.#bytes = this.#bytes * kept + bytes;
    this.#ms = this.#ms * kept + ms;
  }

  #clamp(ms: number): number {
    return Math.min(Math.max(ms, this.#leastWaitMs), this.#mostWaitMs);
  }
}
