import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBlock, encodeBlock, payloadBytes } from '../../../src/cache/block-codec.js';
import { blockKey, tenantTag } from '../../../src/cache/block-key.js';
import { HostTier } from '../../../src/cache/host-tier.js';
import { StoreMacs } from '../../../src/cache/store-macs.js';
import type { BlockShape } from '../../../src/cache/tiers.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 2, kvHeads: 1, headDim: 8, dtype: 'int8' };
const KEY = 'ab'.repeat(32);
const value = { tokens: 3, payload: Uint8Array.from({ length: payloadBytes(SHAPE, 3) }, (_, index) => index) };

test('a block comes back as it was encoded', async () => {
  const decoded = await decodeBlock(SHAPE, KEY, await encodeBlock(SHAPE, KEY, value));
  const sound = { tokens: 3, payload: expect.anything(), crc32: crc32(value.payload) };
  expect(decoded).toEqual({ ok: true, value: sound, placed: false });
  if (decoded.ok) expect([...decoded.value.payload]).toEqual([...value.payload]);
});

test('a payload is placed before it is believed, and believed only with the checksum of what was copied', async () => {
  const bytes = await encodeBlock(SHAPE, KEY, value);
  const copies: Uint8Array[] = [];
  const place = async (tokens: number, payload: Uint8Array) => {
    copies.push(Uint8Array.from(payload));
    expect(tokens).toBe(3);
    return crc32(payload);
  };
  expect(await decodeBlock(SHAPE, KEY, bytes, undefined, place)).toMatchObject({ ok: true, placed: true });
  expect(copies).toEqual([Uint8Array.from(value.payload)]);
  const nothing = async () => undefined;
  expect(await decodeBlock(SHAPE, KEY, bytes, undefined, nothing)).toMatchObject({ ok: true, placed: false });
  const otherwise = async () => 17;
  const refused = { ok: false, reason: 'payload checksum' };
  expect(await decodeBlock(SHAPE, KEY, bytes, undefined, otherwise)).toEqual(refused);
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  expect(await decodeBlock(SHAPE, KEY, bytes, undefined, place)).toEqual(refused);
  // What the header refuses, and what has another form than the pool, is not placed.
  expect((await decodeBlock(SHAPE, 'cd'.repeat(32), bytes, undefined, place)).ok).toBe(false);
  const wide: BlockShape = { ...SHAPE, dtype: 'float32' };
  const small = await encodeBlock(
    wide,
    KEY,
    { tokens: 3, payload: new Uint8Array(payloadBytes(wide, 3)) },
    undefined,
    'int8',
  );
  expect(await decodeBlock(wide, KEY, small, undefined, place)).toMatchObject({ ok: true, placed: false });
  expect(copies.length).toBe(2);
});

test('a block of many megabytes comes back, and its last byte is checked too', async () => {
  const shape: BlockShape = { ...SHAPE, layers: 32, kvHeads: 8, headDim: 128, dtype: 'float16' };
  const tokens = 200;
  const payload = new Uint8Array(payloadBytes(shape, tokens)).map((_, index) => index * 7);
  const bytes = await encodeBlock(shape, KEY, { tokens, payload });
  const decoded = await decodeBlock(shape, KEY, bytes);
  expect(decoded.ok && Buffer.compare(decoded.value.payload, payload)).toBe(0);
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
  expect(await decodeBlock(shape, KEY, bytes)).toEqual({ ok: false, reason: 'payload checksum' });
});

test('any flipped bit is found', async () => {
  const bytes = await encodeBlock(SHAPE, KEY, value);
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length * 8 - 1), async (bit) => {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      return !(await decodeBlock(SHAPE, KEY, flipped)).ok;
    }),
  );
});

test('random and truncated bytes are refused, never thrown over', async () => {
  const random = fc.uint8Array({ maxLength: 400 });
  await fc.assert(fc.asyncProperty(random, async (bytes) => !(await decodeBlock(SHAPE, KEY, bytes)).ok));
  const bytes = await encodeBlock(SHAPE, KEY, value);
  for (let length = 0; length < bytes.length; length++) {
    expect((await decodeBlock(SHAPE, KEY, bytes.subarray(0, length))).ok).toBe(false);
  }
});

test("another model's block is refused", async () => {
  const other = { ...SHAPE, fingerprint: 'ef'.repeat(32) };
  expect((await decodeBlock(other, KEY, await encodeBlock(SHAPE, KEY, value))).ok).toBe(false);
});

test('the value of another key is refused: a store may hand out a sound value in the wrong place', async () => {
  const swapped = await encodeBlock(SHAPE, 'cd'.repeat(32), value);
  expect(await decodeBlock(SHAPE, KEY, swapped)).toEqual({ ok: false, reason: 'the value of another key' });
});

test("all keys of a tenant begin with its tag, and nobody else's do", () => {
  const fields = { fingerprint: 'f', kvDtype: 'float16' as const, sinkTokenIds: Int32Array.of(1) };
  const keyOf = (tenant: string, salt: string, token: number) =>
    blockKey({ ...fields, scope: { tenant, salt }, tokenIds: Int32Array.of(token) });
  for (const salt of ['', 'a']) {
    for (const token of [1, 2]) {
      expect(keyOf('acme', salt, token).startsWith(tenantTag('acme'))).toBe(true);
      expect(keyOf('other', salt, token).startsWith(tenantTag('acme'))).toBe(false);
      expect(keyOf('acme', salt, token)).toMatch(/^[0-9a-f]{64}$/);
    }
  }
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
    { ...fields, scope: { tenant: '', salt: 's' } },
    { ...fields, scope: { tenant: 's', salt: '' } },
    { ...fields, scope: { tenant: 's', salt: 's' } },
    { ...fields, tokenIds: Int32Array.of(3, 2) },
  ].map(blockKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(blockKey({ ...fields, scope: { tenant: '', salt: '' } })).toBe(keys[0]);
});

test('host memory drops the least recently used', () => {
  const tier = new HostTier(2 * value.payload.byteLength);
  for (const key of ['a', 'b']) tier.put(key, value);
  tier.get('a');
  tier.put('c', value);
  expect([tier.has('a'), tier.has('b'), tier.has('c')]).toEqual([true, false, true]);
  expect(tier.bytes).toBe(2 * value.payload.byteLength);
});

const [first, second, third] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];

test('a signed block is believed by who has its key, first or not, and by who asks for no signature', async () => {
  const bytes = await encodeBlock(SHAPE, KEY, value, new StoreMacs([first, second]));
  for (const macs of [new StoreMacs([first]), new StoreMacs([second, first]), undefined]) {
    expect((await decodeBlock(SHAPE, KEY, bytes, macs)).ok).toBe(true);
  }
  const reason = 'signed with another key';
  expect(await decodeBlock(SHAPE, KEY, bytes, new StoreMacs([second, third]))).toEqual({ ok: false, reason });
});

test('a block without a signature is refused by who wants one', async () => {
  const bytes = await encodeBlock(SHAPE, KEY, value);
  expect(await decodeBlock(SHAPE, KEY, bytes, new StoreMacs([first]))).toEqual({ ok: false, reason: 'not signed' });
});

test('a signed block that somebody changes, with every checksum made right again, is refused', async () => {
  const macs = new StoreMacs([first]);
  const other = { tokens: value.tokens, payload: value.payload.map((byte) => byte ^ 1) };
  const forged = Buffer.from(await encodeBlock(SHAPE, KEY, other));
  const signed = Buffer.from(await encodeBlock(SHAPE, KEY, value, macs));
  signed.copy(forged, 108, 108, 124);
  forged.writeUInt32LE(crc32(forged.subarray(0, 124)), 124);
  expect((await decodeBlock(SHAPE, KEY, forged)).ok).toBe(true);
  expect(await decodeBlock(SHAPE, KEY, forged, macs)).toEqual({ ok: false, reason: 'signed with another key' });
});

test('keys of signatures come from a file, and what is wrong with it is said without a key', () => {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-macs-'));
  const file = join(directory, 'keys');
  const read = (text: string) => {
    writeFileSync(file, text);
    return StoreMacs.read(file);
  };
  expect(read(`# new\n${'ab'.repeat(32)}\n\n${'cd'.repeat(40)}\n`)).toBeInstanceOf(StoreMacs);
  expect(() => read('# none\n')).toThrow('holds no key');
  for (const wrong of ['ab'.repeat(31), 'xy'.repeat(32), `${'ab'.repeat(32)}a`]) {
    expect(() => read(`#\n${wrong}\n`)).toThrow(/^line 2 of \S+ is not a key of 64 hex digits or more$/);
  }
  rmSync(directory, { recursive: true, force: true });
});

const DTYPES = ['float32', 'float16', 'bfloat16', 'int8'] as const;
/** Most that a value of about 1 may be off. */
const ERROR = { float32: 0, float16: 2 ** -11, bfloat16: 2 ** -8, int8: 1 / 127 } as const;

test.each(DTYPES.flatMap((pool) => DTYPES.map((stored) => [pool, stored] as const)))(
  'KV of %s is stored as %s and comes back near to what it was',
  async (pool, stored) => {
    const shape: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 2, kvHeads: 2, headDim: 10, dtype: 'float32' };
    const values = Float32Array.from({ length: 2 * 2 * 2 * 3 * 10 }, (_, index) => Math.sin(index) * 0.9);
    const exact = { tokens: 3, payload: new Uint8Array(values.buffer) };
    // Into the pool's type, by way of a value that is stored so.
    const inPool = await decodeBlock({ ...shape, dtype: pool }, KEY, await encodeBlock(shape, KEY, exact));
    if (!inPool.ok) throw new Error(inPool.reason);
    const bytes = await encodeBlock({ ...shape, dtype: pool }, KEY, inPool.value, undefined, stored);
    expect(bytes.byteLength).toBe(128 + payloadBytes({ ...shape, dtype: stored }, 3));
    const back = await decodeBlock({ ...shape, dtype: pool }, KEY, bytes);
    if (!back.ok) throw new Error(back.reason);
    if (pool === stored) expect(Buffer.compare(back.value.payload, inPool.value.payload)).toBe(0);
    const wide = await decodeBlock(shape, KEY, await encodeBlock({ ...shape, dtype: pool }, KEY, back.value));
    if (!wide.ok) throw new Error(wide.reason);
    const found = new Float32Array(Uint8Array.from(wide.value.payload).buffer);
    const off = values.reduce((most, each, index) => Math.max(most, Math.abs(each - (found[index] as number))), 0);
    expect(off).toBeLessThanOrEqual(1.01 * (2 * ERROR[pool] + ERROR[stored]));
  },
);

test('every float16 comes back from float32 as it was, and what is too large as the largest', async () => {
  const shape: BlockShape = { ...SHAPE, layers: 1, headDim: 16, dtype: 'float16' };
  const finite = Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  const tokens = finite.length / 32;
  const payload = new Uint8Array(Uint16Array.from(finite).buffer);
  const bytes = await encodeBlock(shape, KEY, { tokens, payload }, undefined, 'float32');
  const back = await decodeBlock(shape, KEY, bytes);
  expect(back.ok && Buffer.compare(back.value.payload, payload)).toBe(0);
  const large = new Uint8Array(Float32Array.from({ length: 32 }, (_, index) => (index % 2 ? -1e9 : 65_519)).buffer);
  const wide: BlockShape = { ...shape, dtype: 'float32' };
  const narrow = await decodeBlock(
    wide,
    KEY,
    await encodeBlock(wide, KEY, { tokens: 1, payload: large }, undefined, 'float16'),
  );
  expect(narrow.ok && [...new Float32Array(Uint8Array.from(narrow.value.payload).buffer)].slice(0, 2)).toEqual([
    65_504, -65_504,
  ]);
});

test('a value that is shorter than it says is refused before it is converted', async () => {
  const shape: BlockShape = { ...SHAPE, dtype: 'float32' };
  const sound = { tokens: 3, payload: new Uint8Array(payloadBytes(shape, 3)) };
  const whole = Buffer.from(await encodeBlock(shape, KEY, sound, undefined, 'float16'));
  const cut = Buffer.from(whole.subarray(0, whole.length - 8));
  cut.writeUInt32LE(crc32(cut.subarray(128)), 72);
  cut.writeUInt32LE(crc32(cut.subarray(0, 124)), 124);
  expect(await decodeBlock(shape, KEY, cut)).toEqual({ ok: false, reason: 'wrong length' });
});
