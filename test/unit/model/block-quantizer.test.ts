import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type QuantizedRows, quantizeInt4, quantizeInt8 } from '../../../src/model/block-quantizer.js';

const BLOCK = 32;

/** What MatMulNBits makes of the stored bytes: (value - zero point) * scale. */
function restored(quantized: QuantizedRows, bits: 4 | 8, rows: number, inputs: number): Float32Array {
  const blocks = Math.ceil(inputs / BLOCK);
  const weights = new Float32Array(rows * inputs);
  for (let row = 0; row < rows; row++) {
    for (let input = 0; input < inputs; input++) {
      const block = row * blocks + Math.floor(input / BLOCK);
      const at = block * BLOCK + (input % BLOCK);
      const byte = quantized.values[bits === 8 ? at : at >> 1] as number;
      const value = bits === 8 ? byte : (byte >> ((at & 1) * 4)) & 15;
      const column = Math.floor(input / BLOCK);
      const zeroByte = quantized.zeroPoints[row * Math.ceil(blocks / 2) + (column >> 1)] ?? 0;
      const zero = bits === 8 ? 128 : (zeroByte >> ((column & 1) * 4)) & 15;
      weights[row * inputs + input] = (value - zero) * (quantized.scales[block] as number);
    }
  }
  return weights;
}

const matrices = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 100 })).chain(([rows, inputs]) =>
  fc.record({
    rows: fc.constant(rows),
    inputs: fc.constant(inputs),
    weights: fc
      .array(fc.oneof(fc.constant(0), fc.double({ min: -3, max: 3, noNaN: true })), {
        minLength: rows * inputs,
        maxLength: rows * inputs,
      })
      .map((values) => Float32Array.from(values)),
  }),
);

describe.each<[string, 4 | 8, typeof quantizeInt8]>([
  ['int8', 8, quantizeInt8],
  ['int4', 4, quantizeInt4],
])('%s', (_, bits, quantize) => {
  test('comes back within half a step of its block', () => {
    fc.assert(
      fc.property(matrices, ({ rows, inputs, weights }) => {
        const quantized = quantize(weights, rows, inputs);
        const back = restored(quantized, bits, rows, inputs);
        const blocks = Math.ceil(inputs / BLOCK);
        const tooFar = weights.findIndex((weight, index) => {
          const block = Math.floor(index / inputs) * blocks + Math.floor((index % inputs) / BLOCK);
          const step = quantized.scales[block] as number;
          // int4 rounds its zero point too: at an end of the range that may cost another half step.
          const allowed = bits === 8 ? 0.5001 : 1.0001;
          return !(Math.abs((back[index] as number) - weight) <= step * allowed + 1e-7);
        });
        expect(tooFar).toBe(-1);
      }),
    );
  });

  test('keeps zero as zero', () => {
    const weights = Float32Array.from({ length: 64 }, (__, index) => (index % 3 === 0 ? 0 : Math.sin(index)));
    const back = restored(quantize(weights, 2, 32), bits, 2, 32);
    for (const [index, weight] of weights.entries()) if (weight === 0) expect(back[index]).toBeCloseTo(0, 12);
  });

  test('holds blocks of nothing but zeros, and places past the end of a row', () => {
    const back = restored(quantize(new Float32Array(3 * 33), 3, 33), bits, 3, 33);
    expect(back.every((weight) => weight === 0)).toBe(true);
    const { values, scales } = quantize(new Float32Array(33).fill(1), 1, 33);
    expect([values.length, scales.length]).toEqual([(2 * BLOCK * bits) / 8, 2]);
  });
});
