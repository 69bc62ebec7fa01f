/**
 * What an adapter changes in one weight matrix, applied to its rows in float32 while they are imported, before they are
 * quantized. LoRA (arXiv 2106.09685): W + scale * B A. Trained rows of a table replace its own, or come behind them.
 * Knows which rows change; `low-rank.ts` multiplies.
 */
import { createHash } from 'node:crypto';
import { addLowRank } from './low-rank.js';

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
  async apply(slab: Float32Array, firstRow: number): Promise<void> {
    this.#replace(slab, firstRow);
    const low = this.#lowRank;
    if (low === undefined) return;
    const { rank, scale, a, b } = low;
    const rows = slab.length / this.#columns;
    const scaled = b.subarray(firstRow * rank, (firstRow + rows) * rank).map((value) => value * scale);
    await addLowRank(slab, scaled, a, rank);
  }

  /** Rows behind the base's own: float32 [rows - stored rows, columns]. */
  appended(): Float32Array {
    const added = new Float32Array((this.rows - this.#storedRows) * this.#columns);
    this.#replace(added, this.#storedRows);
    return added;
  }

  /** For the digest of a plan. */
  toJSON(): string {
    return this.#digest;
  }

  #replace(slab: Float32Array, firstRow: number): void {
    const columns = this.#columns;
    for (const [row, values] of this.#rows) {
      const at = (row - firstRow) * columns;
      if (at >= 0 && at < slab.length) slab.set(values, at);
    }
  }
}
