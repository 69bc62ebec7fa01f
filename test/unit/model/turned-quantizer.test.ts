/** Weights in bytes for turned rows: the same products as before, within the rounding of a byte. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byteForm } from '../../../src/model/signed-bytes.js';
import { quantizeTurned, rotationOf } from '../../../src/model/turned-quantizer.js';

/** Sylvester's Hadamard matrix applied to runs of `size` values, by its definition. */
function turned(values: readonly number[], size: number): number[] {
  return values.map((_, index) => {
    const start = index - (index % size);
    let sum = 0;
    for (let j = 0; j < size; j++) sum += (parity((index % size) & j) ? -1 : 1) * (values[start + j] as number);
    return sum;
  });
}

function parity(bits: number): boolean {
  let odd = false;
  for (let rest = bits; rest > 0; rest &= rest - 1) odd = !odd;
  return odd;
}

test.each([
  [576, 64],
  [1536, 512],
  [896, 128],
  [4864, 256],
  [4096, 512],
  [33, 1],
  [1, 1],
])('rows of %i values are turned by matrices of %i', (inputs, rotation) => {
  expect(rotationOf(inputs)).toBe(rotation);
});

const matrices = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(1, 3, 8, 12, 64, 96))
  .chain(([rows, inputs]) =>
    fc.record({
      rows: fc.constant(rows),
      inputs: fc.constant(inputs),
      weights: fc
        .array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: rows * inputs, maxLength: rows * inputs })
        .map((values) => Float32Array.from(values)),
      row: fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: inputs, maxLength: inputs }),
    }),
  );

test('a product with turned bytes is the product with the weights', () => {
  fc.assert(
    fc.property(matrices, ({ rows, inputs, weights, row }) => {
      const { values, scales } = quantizeTurned(weights, rows, inputs, 'signed');
      const signed = new Int8Array(values.buffer);
      const rotation = rotationOf(inputs);
      const turnedRow = turned(row, rotation);
      const size = turnedRow.reduce((sum, value) => sum + Math.abs(value), 0);
      for (let output = 0; output < rows; output++) {
        let is = 0;
        let should = 0;
        for (let input = 0; input < inputs; input++) {
          is += (turnedRow[input] as number) * (signed[input * rows + output] as number) * (scales[output] as number);
          should += (row[input] as number) * (weights[output * inputs + input] as number);
        }
        // Each weight is half a step off at most.
        expect(Math.abs(is - should)).toBeLessThanOrEqual(size * (scales[output] as number) * 0.501 + 1e-4);
      }
    }),
  );
});

test('unsigned bytes are the signed ones around 128, and the weights are left alone', () => {
  fc.assert(
    fc.property(matrices, ({ rows, inputs, weights }) => {
      const before = weights.slice();
      const signed = quantizeTurned(weights, rows, inputs, 'signed');
      const unsigned = quantizeTurned(weights, rows, inputs, 'unsigned');
      expect(weights).toEqual(before);
      expect(unsigned.scales).toEqual(signed.scales);
      expect([...unsigned.values]).toEqual([...new Int8Array(signed.values.buffer)].map((value) => value + 128));
    }),
  );
});

test('rows of zeros have a scale of 0', () => {
  const { values, scales } = quantizeTurned(new Float32Array(16), 2, 8, 'signed');
  expect([...scales]).toEqual([0, 0]);
  expect([...values]).toEqual(new Array(16).fill(0));
});

test.each([
  ['flags : fpu avx512f avx512_vnni', 'x64', 'signed'],
  ['flags\t\t: fpu avx2 avx_vnni fma', 'x64', 'signed'],
  ['flags : fpu avx2 fma', 'x64', 'unsigned'],
  ['', 'x64', 'unsigned'],
  ['', 'arm64', 'signed'],
])('a processor with %j on %s wants %s weights', (cpuinfo, arch, form) => {
  expect(byteForm(cpuinfo, arch)).toBe(form);
});
