import { open } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readGgufHeader } from '../../../../src/gguf/gguf-file.js';
import { GGUF_BLOCKS } from '../../../../src/gguf/gguf-types.js';
import { readExactly } from '../../../../src/model/checkpoint-tensors.js';
import { widen } from '../../../../src/model/float-conversion.js';
import { decodeBlocks, RUN_SHAPES } from '../../../../src/model/gguf/block-formats.js';
import { packRuns } from '../../../../src/model/gguf/native-blocks.js';
import { unpairRows } from '../../../../src/model/gguf/row-order.js';
import { type BlockDtype, isFloat, type StoredDtype } from '../../../../src/model/stored-dtype.js';

/** Written by training/fixtures/make_gguf.py with the Python `gguf` package. */
const FILE = join(import.meta.dirname, '../../../fixtures/gguf/blocks.gguf');
const TYPES = Object.keys(GGUF_BLOCKS) as StoredDtype[];
const BLOCK_TYPES = Object.keys(RUN_SHAPES) as BlockDtype[];

async function fixture(name: string): Promise<Uint8Array> {
  const tensor = (await readGgufHeader(FILE)).tensors.find((each) => each.name === name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  const handle = await open(FILE, 'r');
  try {
    return await readExactly(handle, FILE, tensor.offset, tensor.bytes);
  } finally {
    await handle.close();
  }
}

function decoded(type: StoredDtype, bytes: Uint8Array): Float32Array {
  const block = GGUF_BLOCKS[type];
  const values = new Float32Array((bytes.byteLength / block.bytes) * block.weights);
  if (isFloat(type)) widen(type, bytes, values);
  else decodeBlocks(type, bytes, values);
  return values;
}

test.each(TYPES)('%s decodes to the values of the Python package, bit for bit', async (type) => {
  const expected = decoded('F32', await fixture(`${type}.expected`));
  const actual = decoded(type, await fixture(`${type}.stored`));
  expect(expected.length).toBe(1024);
  expect(Buffer.from(actual.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
});

describe.each(BLOCK_TYPES)('%s in the layout of MatMulNBits', (type) => {
  test('has the same weights, but for one rounding of the offset', async () => {
    const bytes = await fixture(`${type}.stored`);
    const weights = decoded(type, bytes);
    const { bits, run } = RUN_SHAPES[type];
    const { values, scales, offsets } = packRuns(type, bytes);
    let worst = 0;
    for (const [i, weight] of weights.entries()) {
      const value = bits === 8 ? (values[i] as number) : ((values[i >> 1] as number) >> (4 * (i & 1))) & 15;
      const at = Math.floor(i / run);
      const scale = scales[at] as number;
      const offset = offsets[at] as number;
      const packed = scale * (value - (bits === 8 ? 128 : 8)) + offset;
      worst = Math.max(worst, Math.abs(packed - weight) / (Math.abs(weight) + Math.abs(offset) + Math.abs(scale)));
    }
    expect(worst).toBeLessThan(2 ** -23);
    if (!RUN_SHAPES[type].hasOffset) expect(worst).toBe(0);
  });
});

test("rows in pairs come back into plain order: what llama.cpp's converter permuted", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 16 }), (heads, half) => {
      const headDim = 2 * half;
      const paired = new Uint8Array(heads * headDim);
      for (let head = 0; head < heads; head++) {
        for (let part = 0; part < 2; part++) {
          // reshape(heads, 2, D / 2).swapaxes(1, 2)
          for (let i = 0; i < half; i++) {
            paired[head * headDim + 2 * i + part] = head * headDim + part * half + i;
          }
        }
      }
      const rows = Uint8Array.from(paired, (row) => row);
      unpairRows(rows, headDim, 1);
      expect([...rows]).toEqual([...rows.keys()]);
    }),
  );
});
