/**
 * What a further row costs in a step, measured while the engine decodes: a line through the times of steps by their rows,
 * in which older steps count less. Knows rows and milliseconds.
 */

/** Of a step with one row. What the machines that were measured had (docs/results/lookup.md), until there are figures. */
const FIRST_SHARE = 0.2;
/** Whatever the clock says: a busy machine spreads times far. Tokens that are nearly sure are always worth a row. */
const LEAST_SHARE = 0.02;
const MOST_SHARE = 0.5;
/** What a step is worth after the next one. */
const DECAY = 0.98;
/** Steps before the line is drawn, by their worth. */
const LEAST_STEPS = 16;
/** Variance of the rows, in rows squared, below which their slope is mostly noise. */
const LEAST_VARIANCE = 0.25;

export class RowCost {
  #steps = 0;
  #rows = 0;
  #ms = 0;
  #rowsSquared = 0;
  #rowsMs = 0;

  /** @param rows of a step that only decoded @param ms what it took */
  observe(rows: number, ms: number): void {
    this.#steps = this.#steps * DECAY + 1;
    this.#rows = this.#rows * DECAY + rows;
    this.#ms = this.#ms * DECAY + ms;
    this.#rowsSquared = this.#rowsSquared * DECAY + rows * rows;
    this.#rowsMs = this.#rowsMs * DECAY + rows * ms;
  }

  /** Time of one more row as a share of the time of a step with one row. */
  get share(): number {
    if (this.#steps < LEAST_STEPS) return FIRST_SHARE;
    const meanRows = this.#rows / this.#steps;
    const meanMs = this.#ms / this.#steps;
    const variance = this.#rowsSquared / this.#steps - meanRows * meanRows;
    if (variance < LEAST_VARIANCE) return FIRST_SHARE;
    const slope = (this.#rowsMs / this.#steps - meanRows * meanMs) / variance;
    const first = meanMs - slope * (meanRows - 1);
    if (!(first > 0)) return first === 0 ? FIRST_SHARE : MOST_SHARE;
    return Math.min(MOST_SHARE, Math.max(LEAST_SHARE, slope / first));
  }
}
