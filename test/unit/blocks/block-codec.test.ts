import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBlock, encodeBlock, payloadBytes } from '../../../src/blocks/block-codec.js';
import { blockKey } from '../../../src/blocks/block-key.js';
import type { BlockShape } from '../../../src/blocks/block-store.js';
import { HostTier } from '../../../src/blocks/host-tier.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 2, kvHeads: 1, headDim: 8, dtype: 'int8' };
const value = { tokens: 3, payload: Uint8Array.from({ length: payloadBytes(SHAPE, 3) }, (_, index) => index) };

test('a block comes back as it was encoded', () => {
  const decoded = decodeBlock(SHAPE, encodeBlock(SHAPE, value));
  expect(decoded).toEqual({ ok: true, value: { tokens: 3, payload: expect.anything() } });
  if (decoded.ok) expect([...decoded.value.payload]).toEqual([...value.payload]);
});

test('any flipped bit is found', () => {
  const bytes = encodeBlock(SHAPE, value);
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      return !decodeBlock(SHAPE, flipped).ok;
    }),
  );
});

test('random and truncated bytes are refused, never thrown over', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => !decodeBlock(SHAPE, bytes).ok));
  const bytes = encodeBlock(SHAPE, value);
  for (let length = 0; length < bytes.length; length++)
    expect(decodeBlock(SHAPE, bytes.subarray(0, length)).ok).toBe(false);
});

test("another model's block is refused", () => {
  expect(decodeBlock({ ...SHAPE, fingerprint: 'ef'.repeat(32) }, encodeBlock(SHAPE, value)).ok).toBe(false);
});

test('a key changes with each of its fields', () => {
  const fields = {
    fingerprint: 'f',
    kvDtype: 'float16' as const,
    sinkTokenIds: Int32Array.of(1),
    tokenIds: Int32Array.of(2, 3),
  };
  const keys = [
    fields,
    { ...fields, fingerprint: 'g' },
    { ...fields, kvDtype: 'int8' as const },
    { ...fields, sinkTokenIds: Int32Array.of(1, 2), tokenIds: Int32Array.of(3) },
    { ...fields, cacheSalt: 's' },
    { ...fields, tokenIds: Int32Array.of(3, 2) },
  ].map(blockKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(blockKey({ ...fields, cacheSalt: '' })).toBe(keys[0]);
});

test('host memory drops the least recently used', () => {
  const tier = new HostTier(2 * value.payload.byteLength);
  for (const key of ['a', 'b']) tier.put(key, value);
  tier.get('a');
  tier.put('c', value);
  expect([tier.has('a'), tier.has('b'), tier.has('c')]).toEqual([true, false, true]);
  expect(tier.bytes).toBe(2 * value.payload.byteLength);
});
