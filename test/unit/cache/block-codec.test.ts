import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBlock, encodeBlock, payloadBytes } from '../../../src/cache/block-codec.js';
import { blockKey } from '../../../src/cache/block-key.js';
import type { BlockShape } from '../../../src/cache/block-store.js';
import { HostTier } from '../../../src/cache/host-tier.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 2, kvHeads: 1, headDim: 8, dtype: 'int8' };
const value = { tokens: 3, payload: Uint8Array.from({ length: payloadBytes(SHAPE, 3) }, (_, index) => index) };

test('a block comes back as it was encoded', async () => {
  const decoded = await decodeBlock(SHAPE, await encodeBlock(SHAPE, value));
  expect(decoded).toEqual({ ok: true, value: { tokens: 3, payload: expect.anything() } });
  if (decoded.ok) expect([...decoded.value.payload]).toEqual([...value.payload]);
});

test('a block of many megabytes comes back, and its last byte is checked too', async () => {
  const shape: BlockShape = { ...SHAPE, layers: 32, kvHeads: 8, headDim: 128, dtype: 'float16' };
  const tokens = 200;
  const payload = new Uint8Array(payloadBytes(shape, tokens)).map((_, index) => index * 7);
  const bytes = await encodeBlock(shape, { tokens, payload });
  const decoded = await decodeBlock(shape, bytes);
  expect(decoded.ok && Buffer.compare(decoded.value.payload, payload)).toBe(0);
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  expect(await decodeBlock(shape, bytes)).toEqual({ ok: false, reason: 'payload checksum' });
});

test('any flipped bit is found', async () => {
  const bytes = await encodeBlock(SHAPE, value);
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length * 8 - 1), async (bit) => {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      return !(await decodeBlock(SHAPE, flipped)).ok;
    }),
  );
});

test('random and truncated bytes are refused, never thrown over', async () => {
  const random = fc.uint8Array({ maxLength: 400 });
  await fc.assert(fc.asyncProperty(random, async (bytes) => !(await decodeBlock(SHAPE, bytes)).ok));
  const bytes = await encodeBlock(SHAPE, value);
  for (let length = 0; length < bytes.length; length++) {
    expect((await decodeBlock(SHAPE, bytes.subarray(0, length))).ok).toBe(false);
  }
});

test("another model's block is refused", async () => {
  const other = { ...SHAPE, fingerprint: 'ef'.repeat(32) };
  expect((await decodeBlock(other, await encodeBlock(SHAPE, value))).ok).toBe(false);
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
