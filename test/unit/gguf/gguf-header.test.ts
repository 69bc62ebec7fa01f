import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { BlockstitchError } from '../../../src/errors.js';
import { readGgufHeader } from '../../../src/gguf/gguf-file.js';
import { MAX_HEAD_BYTES, parseGgufHeader } from '../../../src/gguf/gguf-header.js';
import { ggufFile, head, text, typed, u32, u64, type WrittenTensor } from '../../support/gguf-writer.js';

const FILE = '/models/x.gguf';
const GOOD = ggufFile({
  metadata: {
    'general.architecture': 'llama',
    small: { u32: 7 },
    wide: { u64: 2n ** 60n },
    yes: true,
    words: { strings: ['a', '', 'ü'] },
    numbers: { i32: [1, -2] },
  },
  tensors: [
    { name: 'a', type: 'F32', shape: [3, 2] },
    { name: 'b', type: 'Q4_K', shape: [2, 256] },
  ],
});

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-gguf-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const parse = (bytes: Uint8Array, fileBytes = bytes.byteLength) => parseGgufHeader(FILE, bytes, fileBytes);

test('a good head gives its metadata, and its tensors with the outermost size first', () => {
  const header = parse(GOOD);
  expect(Object.fromEntries(header?.metadata ?? [])).toEqual({
    'general.architecture': 'llama',
    small: 7,
    wide: 2n ** 60n,
    yes: true,
    words: ['a', '', 'ü'],
    numbers: Int32Array.of(1, -2),
  });
  const [a, b] = header?.tensors ?? [];
  expect(a).toMatchObject({ name: 'a', type: 'F32', shape: [3, 2], bytes: 24 });
  expect(b).toMatchObject({ name: 'b', type: 'Q4_K', shape: [2, 256], bytes: 288, offset: (a?.offset ?? 0) + 32 });
});

test('a head that goes on behind the bytes that were read asks for more of them', () => {
  for (let length = 24; length < 200; length++) expect(parse(GOOD.subarray(0, length), GOOD.length)).toBeUndefined();
});

test('a head of several megabytes is read from a file in pieces', async () => {
  const file = join(directory, 'long.gguf');
  const words = Array.from({ length: 200_000 }, (_, index) => `word number ${index}`);
  writeFileSync(file, ggufFile({ metadata: { words: { strings: words } } }));
  expect((await readGgufHeader(file)).metadata.get('words')).toEqual(words);
});

const entry = (...parts: Buffer[]) => Buffer.concat([head(0, 1), ...parts, Buffer.alloc(64)]);
const tensors = (...list: WrittenTensor[]) => ggufFile({ metadata: {}, tensors: list });
const F32 = { name: 'a', type: 'F32', shape: [8] } as const;
const strings = (count: bigint) => entry(text('k'), u32(9), u32(8), u64(count));

describe('a hostile or unknown file is refused with its reason', () => {
  test.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'too few for a GGUF file'],
    ['another format', Buffer.alloc(64, 'x'), 'does not begin with GGUF'],
    ['version 1', Buffer.concat([head(0, 0, 1), Buffer.alloc(32)]), 'version 1 is unsupported'],
    ['big-endian', Buffer.concat([head(0, 0, 0x03000000), Buffer.alloc(32)]), 'big-endian'],
    ['2^60 tensors', Buffer.concat([head(2n ** 60n, 0), Buffer.alloc(32)]), 'tensors, more than the limit'],
    ['60,000 tensors in a small file', Buffer.concat([head(60_000, 0), Buffer.alloc(32)]), 'it is truncated'],
    ['2^63 entries', Buffer.concat([head(0, 2n ** 63n), Buffer.alloc(32)]), 'metadata entries, more than the limit'],
    ['a name of 2^60 bytes', entry(u64(2n ** 60n)), 'more than the limit'],
    ['a string of 2^60 bytes', entry(text('k'), u32(8), u64(2n ** 60n)), 'more than the limit'],
    ['a string past the end', entry(text('k'), u32(8), u64(1000)), 'it is truncated: it ends within k'],
    ['a string that is not UTF-8', entry(text('k'), u32(8), u64(2), Buffer.from([255, 254])), 'k is not UTF-8'],
    ['2^60 strings', strings(2n ** 60n), 'more than the limit'],
    ['a million strings in a small file', strings(1_000_000n), 'it is truncated'],
    ['2^61 numbers', entry(text('k'), u32(9), u32(6), u64(2n ** 61n)), 'more than the limit'],
    ['lists in lists', entry(text('k'), u32(9), u32(9), u64(1), u32(9)), 'list of lists'],
    ['an unknown value type', entry(text('k'), u32(13)), 'unknown type 13'],
    ['an unknown element type', entry(text('k'), u32(9), u32(99), u64(0)), 'unknown type 99'],
    ['a bool of 2', entry(text('k'), u32(7), Buffer.from([2])), 'not a bool'],
    ['a key without a name', entry(text(''), typed(true)), 'has no name'],
    ['a key twice', Buffer.concat([head(0, 2), text('k'), typed(true), text('k'), typed(true)]), 'names "k" twice'],
    ['a tensor twice', tensors(F32, F32), 'the tensor "a" twice'],
    ['5 dimensions', tensors({ ...F32, shape: [1, 1, 1, 1, 8] }), '5 dimensions'],
    ['no dimensions', tensors({ ...F32, shape: [] }), '0 dimensions'],
    ['a size of 0', tensors({ ...F32, shape: [0, 8], data: new Uint8Array(32) }), 'has no weights'],
    ['2^53 and more weights', tensors({ ...F32, shape: [2 ** 40, 2 ** 40], data: new Uint8Array(8) }), 'or too many'],
    ['more weights than bytes', tensors({ ...F32, shape: [2 ** 40], data: new Uint8Array(8) }), 'it is truncated'],
    ['an IQ type', tensors({ ...F32, type: 16 }), 'type IQ2_XXS, which is unsupported'],
    ['an unknown type', tensors({ ...F32, type: 77 }), 'type number 77, which is unsupported'],
    ['half a block', tensors({ ...F32, type: 'Q8_0', shape: [2, 16] }), 'rows of 16, not a multiple of 32'],
    ['overlapping tensors', tensors(F32, { ...F32, name: 'b', offset: 0 }), '"a" and "b" overlap'],
    ['a gap', tensors(F32, { ...F32, name: 'b', offset: 64 }), '32 bytes before tensor "b" are unused'],
    ['an offset out of the file', tensors({ ...F32, offset: 2 ** 50 }), 'bytes before tensor "a" are unused'],
    ['alignment 0', ggufFile({ metadata: { 'general.alignment': { u32: 0 } } }), 'general.alignment'],
    ['alignment 12', ggufFile({ metadata: { 'general.alignment': { u32: 12 } } }), 'general.alignment'],
    [
      'a part of a split model',
      ggufFile({ metadata: { 'split.count': { u32: 3 }, 'split.no': { u32: 1 } } }),
      'part 2 of a model that is split into 3 files',
    ],
  ])('%s', (_, bytes, reason) => {
    expect(() => parse(bytes)).toThrow(reason);
    expect(() => parse(bytes)).toThrow(FILE);
  });

  test('a file that was cut anywhere', () => {
    for (let length = 0; length < GOOD.length; length++) {
      expect(() => parse(GOOD.subarray(0, length))).toThrow(BlockstitchError);
    }
  });

  test('a head that is longer than the limit, without reading the file', async () => {
    const file = join(directory, 'sparse.gguf');
    writeFileSync(file, Buffer.concat([head(0, 1), text('k'), u32(8), u64(MAX_HEAD_BYTES - 10)]));
    truncateSync(file, 2 ** 33);
    await expect(readGgufHeader(file)).rejects.toThrow('longer than the limit');
  });

  test('what is no file', async () => {
    await expect(readGgufHeader(join(directory, 'none.gguf'))).rejects.toThrow('there is no such file');
    await expect(readGgufHeader(directory)).rejects.toThrow('it is not a file');
  });
});

/** The head, or the refusal; nothing else may come out. */
function outcome(bytes: Uint8Array): void {
  try {
    const header = parse(bytes);
    for (const { offset, bytes: length } of header?.tensors ?? [])
      expect(offset + length).toBeLessThanOrEqual(bytes.length);
  } catch (error) {
    expect(error).toBeInstanceOf(BlockstitchError);
  }
}

test('any bytes changed in a good file give a head or a refusal', () => {
  const change = fc.record({ at: fc.nat(GOOD.length - 1), value: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const bytes = Uint8Array.from(GOOD);
      for (const { at, value } of changes) bytes[at] = value;
      outcome(bytes);
    }),
    { numRuns: 3000 },
  );
});

test('any bytes behind a good start give a head or a refusal', () => {
  fc.assert(
    fc.property(fc.nat(8), fc.nat(8), fc.uint8Array({ maxLength: 300 }), (tensorCount, entries, rest) => {
      outcome(Buffer.concat([head(tensorCount, entries), rest]));
    }),
    { numRuns: 3000 },
  );
});

test('any numbers of 64 bits in the place of a good one give a head or a refusal', () => {
  const places = [8, 16, 24];
  const number = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 1000n }));
  fc.assert(
    fc.property(fc.constantFrom(...places), number, (at, value) => {
      const bytes = Buffer.from(GOOD);
      bytes.writeBigUInt64LE(value, at);
      outcome(bytes);
    }),
    { numRuns: 2000 },
  );
});
