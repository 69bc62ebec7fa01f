/**
 * Quantizes rows of float32 weights to bytes with one scale a row, after turning them by Hadamard matrices. The
 * operators turn the activations alike (kernels/src/row_kernels.h), so products stay the same, and no single input
 * decides the scale of all: QuaRot, arXiv 2404.00456, section 4.
 * Knows numbers only. `weight-writer.ts` knows files.
 */
import type { ByteForm } from './signed-bytes.js';

/** Largest Hadamard matrix: a larger one costs more and rounds no better (docs/decisions/086). */
const MOST_ROTATION = 512;

/** Size of the Hadamard matrices for rows of `inputs` values: the largest power of two that divides it, up to 512. */
export function rotationOf(inputs: number): number {
  let rotation = 1;
  while (rotation < MOST_ROTATION && inputs % (2 * rotation) === 0) rotation *= 2;
  return rotation;
}

/** Weights of a slab of rows, column by column, as a product wants them. */
export interface TurnedRows {
  /** [inputs, rows] */
  values: Uint8Array;
  /** [rows]: what the sum of products is multiplied by, beside the scale of the activations */
  scales: Float32Array;
}

/** @param weights float32 [rows, inputs] */
export function quantizeTurned(weights: Float32Array, rows: number, inputs: number, form: ByteForm): TurnedRows {
  const rotation = rotationOf(inputs);
  const values = new Uint8Array(rows * inputs);
  const scales = new Float32Array(rows);
  const turned = new Float32Array(inputs);
  const zero = form === 'unsigned' ? 128 : 0;
  for (let row = 0; row < rows; row++) {
    turned.set(weights.subarray(row * inputs, (row + 1) * inputs));
    for (let at = 0; at < inputs; at += rotation) turn(turned, at, rotation);
    let greatest = 0;
    for (let i = 0; i < inputs; i++) {
      const magnitude = Math.abs(turned[i] as number);
      if (magnitude > greatest) greatest = magnitude;
    }
    // Both sides are turned by matrices that are not scaled: their product is `rotation` times too large.
    scales[row] = greatest / 127 / rotation;
    const inverse = greatest === 0 ? 0 : 127 / greatest;
    // The sum is positive, so adding a half and truncating rounds to nearest. A signed byte is its low eight bits.
    for (let i = 0, to = row; i < inputs; i++, to += rows) {
      values[to] = (((turned[i] as number) * inverse + 128.5) | 0) - 128 + zero;
    }
  }
  return { values, scales };
}

/** The Hadamard matrix of `size` (Sylvester's, not scaled) applied to `size` values from `at`, in place. */
function turn(values: Float32Array, at: number, size: number): void {
  for (let half = 1; half < size; half *= 2) {
    for (let run = at; run < at + size; run += 2 * half) {
      for (let i = run; i < run + half; i++) {
        const x = values[i] as number;
        const y = values[i + half] as number;
        values[i] = x + y;
        values[i + half] = x - y;
      }
    }
  }
}
