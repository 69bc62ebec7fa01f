/** Signatures of stored values: what a key signed is believed under that key, and nothing else is. */
import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAC_BYTES, StoreMacs } from '../../../src/cache/store-macs.js';

const KEY = Buffer.alloc(32, 7);
const OTHER = Buffer.alloc(40, 8);
const macs = new StoreMacs([KEY]);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

test('any other bit, in what is signed or in the MAC, is refused', async () => {
  await fc.assert(
    fc.asyncProperty(bytes, bytes, fc.nat(), async (header, payload, at) => {
      const mac = await macs.sign([header, payload]);
      expect(mac.byteLength).toBe(MAC_BYTES);
      expect(await macs.holds(mac, [header, payload])).toBe(true);
      for (const part of [header, payload, mac]) {
        const bit = at % (part.byteLength * 8);
        part[bit >> 3] = (part[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(await macs.holds(mac, [header, payload])).toBe(false);
        part[bit >> 3] = (part[bit >> 3] as number) ^ (1 << (bit & 7));
      }
    }),
  );
});

test('the first key signs, each is believed, and another is not', async () => {
  const parts = [randomBytes(100)];
  const mac = await new StoreMacs([OTHER, KEY]).sign(parts);
  expect(mac).toEqual(await new StoreMacs([OTHER]).sign(parts));
  expect(await new StoreMacs([KEY, OTHER]).holds(mac, parts)).toBe(true);
  expect(await macs.holds(mac, parts)).toBe(false);
});

test('bytes added behind, zeros too, are another value', async () => {
  const mac = await macs.sign([Buffer.alloc(16)]);
  for (const length of [0, 15, 17, 32]) expect(await macs.holds(mac, [Buffer.alloc(length)])).toBe(false);
});

test('a block of many slices has the MAC of its bytes, however they come in parts', async () => {
  const payload = randomBytes(17 * 1024 * 1024 + 5);
  const mac = await macs.sign([payload.subarray(0, 108), payload.subarray(108)]);
  expect(await macs.holds(mac, [payload])).toBe(true);
  payload[payload.length - 1] = (payload.at(-1) as number) ^ 1;
  expect(await macs.holds(mac, [payload])).toBe(false);
});

test('blocks in a store stay readable: MACs of this version, and those of HMAC alone from before', async () => {
  const parts = [Buffer.from('header'), Buffer.alloc(1000, 3)];
  // By `openssl mac -cipher AES-256-GCM ... GMAC` and Python's hmac.
  expect((await macs.sign(parts)).toString('hex')).toBe('115d5473ff5eec8d79a8c4295b486cf0');
  const before = createHmac('sha256', KEY).update(Buffer.concat(parts)).digest().subarray(0, MAC_BYTES);
  expect(await macs.holds(before, parts)).toBe(true);
  expect(macs.signNow(parts)).toEqual(before);
});

test('the signature of a block is none of a record', async () => {
  const parts = [Buffer.from('a record')];
  expect(macs.holdsNow(await macs.sign(parts), parts)).toBe(false);
});
