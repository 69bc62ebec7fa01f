/**
 * How fast blocks are prefilled, from the worker's counters. The cache weighs a load from the store against it.
 * Knows two counters. `load-cost-model.ts` decides.
 */
import type { SharedCounters } from '../wire/shared-counters.js';

/** Least tokens for one measure. */
const LEAST_TOKENS = 64;
/** Weight of earlier measures when a new one is added. */
const DECAY = 0.5;

export class PrefillSpeed {
  readonly #counters: Pick<SharedCounters, 'get'>;
  #seen = { tokens: 0, ms: 0 };
  #tokens = 0;
  #ms = 0;

  constructor(counters: Pick<SharedCounters, 'get'>) {
    this.#counters = counters;
  }

  /** Milliseconds to prefill this many tokens on an idle engine; undefined before the first measure. */
  estimateMs(tokens: number): number | undefined {
    this.#look();
    return this.#tokens === 0 ? undefined : (this.#ms / this.#tokens) * tokens;
  }

  #look(): void {
    const now = { tokens: this.#counters.get('blockTokens'), ms: this.#counters.get('blockMs') };
    const tokens = now.tokens - this.#seen.tokens;
    if (tokens < LEAST_TOKENS) return;
    this.#tokens = this.#tokens * DECAY + tokens;
    this.#ms = this.#ms * DECAY + (now.ms - this.#seen.ms);
    this.#seen = now;
  }
}
