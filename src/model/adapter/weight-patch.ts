/**
 * What an adapter changes in one weight matrix, applied to its rows in float32 while they are imported, before they are
 * quantized. LoRA (arXiv 2106.09685): W + scale * B A. Trained rows of a table replace its own, or come behind them.
 * Knows numbers only.
 */
import { createHash } from 'node:crypto';

/** scale * B A, for a matrix [outputs, inputs]. */
export interface LowRank {
  rank: number;
  scale: number;
  /** float32 [rank, inputs] */
  a: Float32Array;
  /** float32 [outputs, rank] */
  b: Float32Array;
}

/** Rows that replace others: `values` float32 [indices, columns]. */
export interface TrainedRows {
  indices: readonly number[];
  values: Float32Array;
}

export class WeightPatch {
  readonly #columns: number;
  readonly #storedRows: number;
  readonly #lowRank: LowRank | undefined;
  readonly #rows: ReadonlyMap<number, Float32Array>;
  readonly #digest: string;

  /** @param storedRows rows of the base's matrix; trained rows may come directly behind them */
  constructor(storedRows: number, columns: number, lowRank: LowRank | undefined, trained: TrainedRows | undefined) {
    this.#columns = columns;
    this.#storedRows = storedRows;
    this.#lowRank = lowRank;
    const row = (at: number) => (trained as TrainedRows).values.subarray(at * columns, (at + 1) * columns);
    this.#rows = new Map(trained?.indices.map((index, at) => [index, row(at)]));
    const hash = createHash('sha256').update(JSON.stringify([storedRows, columns, lowRank?.scale, trained?.indices]));
    for (const part of [lowRank?.a, lowRank?.b, trained?.values]) {
      if (part) hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
    this.#digest = hash.digest('hex');
  }

  /** Rows of the patched matrix. */
  get rows(): number {
    return Math.max(this.#storedRows, ...[...this.#rows.keys()].map((index) => index + 1));
  }

  /**
   * Changes whole rows in place.
   *
   * @param slab float32 [rows, columns] of the base
   * @param firstRow number of the slab's first row
   */
  apply(slab: Float32Array, firstRow: number): void {
    const columns = this.#columns;
    for (let at = 0; at < slab.length; at += columns)
      this.#applyRow(slab.subarray(at, at + columns), firstRow + at / columns);
  }

  /** Rows behind the base's own: float32 [rows - stored rows, columns]. */
  appended(): Float32Array {
    const added = new Float32Array((this.rows - this.#storedRows) * this.#columns);
    this.apply(added, this.#storedRows);
    return added;
  }

  /** For the digest of a plan. */
  toJSON(): string {
    return this.#digest;
  }

  #applyRow(target: Float32Array, row: number): void {
    const trained = this.#rows.get(row);
    if (trained) target.set(trained);
    const low = this.#lowRank;
    if (low === undefined || row >= this.#storedRows) return;
    const { rank, scale, a, b } = low;
    const columns = target.length;
    for (let k = 0; k < rank; k++) {
      const factor = scale * (b[row * rank + k] as number);
      if (factor === 0) continue;
      const from = k * columns;
      for (let column = 0; column < columns; column++) {
        target[column] = (target[column] as number) + factor * (a[from + column] as number);
      }
    }
  }
}
