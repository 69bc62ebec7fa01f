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

/** Rows that are rounded before they are laid out by columns: a cache line of each column. */
const TOGETHER = 64;

/** @param weights float32 [rows, inputs] */
export function quantizeTurned(weights: Float32Array, rows: number, inputs: number, form: ByteForm): TurnedRows {
  const rotation = rotationOf(inputs);
  const values = new Uint8Array(rows * inputs);
  const scales = new Float32Array(rows);
  const turned = new Float32Array(inputs);
  const rounded = new Uint8Array(TOGETHER * inputs);
  const offset = form === 'unsigned' ? 128.5 : 0.5;
  for (let first = 0; first < rows; first += TOGETHER) {
    const count = Math.min(TOGETHER, rows - first);
    for (let row = 0; row < count; row++) {
      turned.set(weights.subarray((first + row) * inputs, (first + row + 1) * inputs));
      for (let at = 0; at < inputs; at += rotation) turn(turned, at, rotation);
      const greatest = greatestOf(turned);
      // Both sides are turned by matrices that are not scaled: their product is `rotation` times too large.
      scales[first + row] = greatest / 127 / rotation;
      round(turned, greatest === 0 ? 0 : 127 / greatest, offset, rounded, row * inputs);
    }
    for (let input = 0; input < inputs; input++) {
      const to = input * rows + first;
      for (let row = 0, from = input; row < count; row++, from += inputs) values[to + row] = rounded[from] as number;
    }
  }
  return { values, scales };
}

function greatestOf(values: Float32Array): number {
  let greatest = 0;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i] as number);
    if (magnitude > greatest) greatest = magnitude;
  }
  return greatest;
}

/** Rounds to the nearest whole number; a negative one is stored as its low eight bits. */
function round(values: Float32Array, factor: number, offset: number, to: Uint8Array, start: number): void {
  for (let i = 0; i < values.length; i++) to[start + i] = Math.floor((values[i] as number) * factor + offset);
}

/** The Hadamard matrix of `size` (Sylvester's, not scaled) applied to `size` values from `at`, in place. */
function turn(values: Float32Array, at: number, size: number): void {
  let half = 1;
  if (size >= 4) {
    // The first two stages at once.
    for (let i = at; i < at + size; i += 4) {
      const a = values[i] as number;
      const b = values[i + 1] as number;
      const c = values[i + 2] as number;
      const d = values[i + 3] as number;
      values[i] = a + b + (c + d);
      values[i + 1] = a - b + (c - d);
      values[i + 2] = a + b - (c + d);
      values[i + 3] = a - b - (c - d);
    }
    half = 4;
  }
  for (; half < size; half *= 2) {
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
