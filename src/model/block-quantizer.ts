/**
 * Quantizes rows of float32 weights in blocks of 32 inputs, in the layout of com.microsoft.MatMulNBits.
 * int8: symmetric around 128, scale = max|w| / 127. int4: 16 steps from the block's least to its greatest weight, with
 * a zero point, so that zero stays exact.
 * Knows numbers only. `weight-writer.ts` knows files.
 */
import { QUANTIZATION_BLOCK } from './weight-plan.js';

/** Buffers for `rows` rows of `inputs` weights; B = inputs / 32, rounded up. */
export interface QuantizedRows {
  /** [rows, B, 32 * bits / 8] */
  values: Uint8Array;
  /** [rows, B] */
  scales: Float32Array;
  /** int4 only: [rows, ceil(B / 2)], low nibble first */
  zeroPoints: Uint8Array;
}

/** @param weights float32 [rows, inputs] */
export function quantizeInt8(weights: Float32Array, rows: number, inputs: number): QuantizedRows {
  const blocks = Math.ceil(inputs / QUANTIZATION_BLOCK);
  const values = new Uint8Array(rows * blocks * QUANTIZATION_BLOCK).fill(128);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * inputs + block * QUANTIZATION_BLOCK;
      const end = Math.min(start + QUANTIZATION_BLOCK, (row + 1) * inputs);
      let greatest = 0;
      for (let i = start; i < end; i++) {
        const magnitude = Math.abs(weights[i] as number);
        if (magnitude > greatest) greatest = magnitude;
      }
      const index = row * blocks + block;
      const scale = Math.fround(greatest / 127);
      scales[index] = scale;
      if (scale === 0) continue;
      const inverse = 1 / scale;
      let at = index * QUANTIZATION_BLOCK;
      // The sum is positive, so adding 128.5 and truncating rounds to nearest.
      for (let i = start; i < end; i++, at++) values[at] = ((weights[i] as number) * inverse + 128.5) | 0;
    }
  }
  return { values, scales, zeroPoints: new Uint8Array(0) };
}

/** @param weights float32 [rows, inputs] */
export function quantizeInt4(weights: Float32Array, rows: number, inputs: number): QuantizedRows {
  const blocks = Math.ceil(inputs / QUANTIZATION_BLOCK);
  const zeroBytes = Math.ceil(blocks / 2);
  const values = new Uint8Array((rows * blocks * QUANTIZATION_BLOCK) / 2);
  const scales = new Float32Array(rows * blocks);
  const zeroPoints = new Uint8Array(rows * zeroBytes);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const start = row * inputs + block * QUANTIZATION_BLOCK;
      const end = Math.min(start + QUANTIZATION_BLOCK, (row + 1) * inputs);
      let least = 0;
      let greatest = 0;
      for (let i = start; i < end; i++) {
        const weight = weights[i] as number;
        if (weight < least) least = weight;
        if (weight > greatest) greatest = weight;
      }
      const index = row * blocks + block;
      const scale = Math.fround((greatest - least) / 15);
      const zero = scale === 0 ? 8 : Math.min(15, (-least / scale + 0.5) | 0);
      scales[index] = scale;
      const zeroAt = row * zeroBytes + (block >> 1);
      zeroPoints[zeroAt] = (zeroPoints[zeroAt] as number) | (block & 1 ? zero << 4 : zero);
      packBlock(weights, start, end, scale, zero, values, (index * QUANTIZATION_BLOCK) / 2);
    }
  }
  return { values, scales, zeroPoints };
}

/** Rounds one block to 0..15 around `zero`, two values a byte. Places after the row's end get `zero`. */
function packBlock(
  weights: Float32Array,
  start: number,
  end: number,
  scale: number,
  zero: number,
  values: Uint8Array,
  at: number,
): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  const offset = zero + 0.5;
  for (let i = 0; i < QUANTIZATION_BLOCK; i += 2) {
    const index = start + i;
    const low = index < end ? clamp4(((weights[index] as number) * inverse + offset) | 0) : zero;
    const high = index + 1 < end ? clamp4(((weights[index + 1] as number) * inverse + offset) | 0) : zero;
    values[at + (i >> 1)] = low | (high << 4);
  }
}

function clamp4(value: number): number {
  return value < 0 ? 0 : value > 15 ? 15 : value;
}
