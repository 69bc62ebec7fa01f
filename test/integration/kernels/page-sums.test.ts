/** The sums that copies of pages take are those of Node's zlib: stored values keep their checksums, whoever took them. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadAddon } from '../../../src/kernels/load-addon.js';

test.each(['float32', 'float16', 'bfloat16', 'int8'] as const)('of %s', async (dtype) => {
  const addon = loadAddon();
  const pool = addon.createPool({ pages: 8, pageTokens: 16, layers: 2, kvHeads: 3, headDim: 40, dtype });
  try {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100 }), fc.nat(255), async (tokens, seed) => {
        const pages = Int32Array.from({ length: Math.ceil(tokens / 16) }, (_, index) => 7 - index);
        const payload = new Uint8Array(addon.payloadBytes(pool, tokens)).map((_, at) => (at * 31 + seed) ^ (at >> 7));
        expect(await addon.writePages(pool, pages, tokens, payload)).toBe(crc32(payload));
        const back = new Uint8Array(payload.byteLength);
        expect(await addon.readPages(pool, pages, tokens, back)).toBe(crc32(payload));
        expect(Buffer.compare(back, payload)).toBe(0);
      }),
    );
  } finally {
    addon.destroyPool(pool);
  }
});
