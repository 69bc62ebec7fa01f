/** Half precision from bytes as they come: cut out of larger reads, at whatever place. */
import { expect, test } from 'vitest';
import { widen } from '../../../src/model/float-conversion.js';

const VALUES = [1, -2.5, 0.25, 1024];

function stored(dtype: 'F16' | 'BF16'): number[] {
  if (dtype === 'F16') return [0x3c00, 0xc100, 0x3400, 0x6400];
  return VALUES.map((value) => new Uint32Array(Float32Array.of(value).buffer)[0] as number).map((bits) => bits >>> 16);
}

test.each(['F16', 'BF16'] as const)('%s widens the same from any place of a Buffer', (dtype) => {
  const bytes = new Uint8Array(Uint16Array.from(stored(dtype)).buffer);
  for (const front of [0, 1, 2, 3]) {
    const file = Buffer.concat([Buffer.alloc(front, 7), bytes, Buffer.alloc(5, 7)]);
    const target = new Float32Array(VALUES.length);
    widen(dtype, file.subarray(front, front + bytes.length), target);
    expect([...target]).toEqual(VALUES);
  }
});
