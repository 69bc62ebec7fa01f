import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BlockstitchError } from '../../../src/errors.js';
import { headerBytes, MAX_HEADER_BYTES, parseHeader, STORED_BYTES } from '../../../src/model/safetensors-header.js';

const FILE = '/models/x/model.safetensors';
const DATA_BYTES = 48;

/** Header, as text or as what is to become JSON, over 48 bytes of data. */
function parse(header: unknown, dataBytes = DATA_BYTES) {
  const bytes = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return parseHeader(FILE, bytes, 8 + bytes.length + dataBytes);
}
const tensor = (begin: unknown, end: unknown, shape: unknown = [2, 3], dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const GOOD = { a: tensor(0, 24), b: tensor(24, 48) };

test('a good header gives its tensors in the order of their bytes', () => {
  const entries = parse({ __metadata__: { format: 'pt' }, b: tensor(24, 48), a: tensor(0, 24) });
  expect(entries.map(({ name }) => name)).toEqual(['a', 'b']);
  expect(entries[0]).toMatchObject({ dtype: 'F32', shape: [2, 3], bytes: 24, file: FILE });
});

describe('a length that no header can have is refused unread', () => {
  const prefix = (length: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(length);
    return bytes;
  };
  test.each<[string, Uint8Array, number, string]>([
    ['an empty file', new Uint8Array(0), 0, 'too few for a safetensors header'],
    ['a file of 7 bytes', new Uint8Array(7), 7, 'too few for a safetensors header'],
    ['no header', prefix(0n), 100, 'too few for a JSON object'],
    ['more than the file', prefix(1_000n), 100, 'it is truncated'],
    ['2^64 - 1', prefix(2n ** 64n - 1n), 100, 'more than the limit'],
    ['just above the limit', prefix(BigInt(MAX_HEADER_BYTES) + 1n), 2 ** 40, 'more than the limit'],
  ])('%s', (_, bytes, fileBytes, reason) => {
    expect(() => headerBytes(FILE, bytes, fileBytes)).toThrow(reason);
  });
});

describe('a hostile header is refused with its reason', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  test.each<[string, unknown, string]>([
    ['not JSON', '{"a":', 'not JSON'],
    ['not UTF-8', '{"a\ud800":1}', 'is not described by an object'],
    ['a list', '[]', 'not a JSON object'],
    ['null', 'null', 'not a JSON object'],
    ['a key twice', `{"a":${JSON.stringify(tensor(0, 24))},"a":${JSON.stringify(tensor(24, 48))}}`, 'names "a" twice'],
    ['a key twice, escaped', `{"a":${JSON.stringify(tensor(0, 24))},"\\u0061":1}`, 'names "a" twice'],
    [
      'a key twice inside',
      '{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}',
      'names "dtype" twice',
    ],
    ['deep brackets', `{"a":${deep}}`, 'is not described by an object'],
    ['deep metadata', `{"__metadata__":{"x":${deep}}}`, '__metadata__ is not an object of strings'],
    ['metadata of numbers', { __metadata__: { a: 1 } }, '__metadata__ is not an object of strings'],
    ['an entry that is a number', { a: 1 }, 'is not described by an object'],
    ['no dtype', { a: { shape: [1], data_offsets: [0, 4] } }, 'has no dtype'],
    ['another dtype', { a: tensor(0, 48, [6], 'F64') }, 'has dtype "F64"'],
    ['a dtype from the prototype', { a: tensor(0, 48, [6], 'constructor') }, 'has dtype "constructor"'],
    ['no shape', { a: { dtype: 'F32', data_offsets: [0, 4] } }, 'no shape'],
    ['a negative size', { a: tensor(0, 24, [-2, -3]) }, 'no shape of positive integers'],
    ['a size of zero', { a: tensor(0, 0, [0]) }, 'no shape of positive integers'],
    ['a size that is no integer', { a: tensor(0, 24, [1.5, 4]) }, 'no shape of positive integers'],
    ['a size past 2^53', `{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,4]}}`, 'no shape'],
    ['sizes whose product overflows', { a: tensor(0, 24, [2 ** 40, 2 ** 40]) }, 'does not take'],
    ['too many dimensions', { a: tensor(0, 24, [1, 1, 1, 1, 1, 1, 1, 2, 3]) }, '9 dimensions'],
    ['no offsets', { a: { dtype: 'F32', shape: [1] } }, 'no data_offsets'],
    ['three offsets', { a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }, 'no data_offsets'],
    ['a negative offset', { a: tensor(-24, 0) }, 'no data_offsets of two non-negative integers'],
    ['offsets as text', { a: tensor('0', '24') }, 'no data_offsets'],
    ['an end before the begin', { a: tensor(24, 0) }, 'ends (0) before it begins (24)'],
    ['an end past the file', { a: tensor(0, 480, [12, 10]) }, 'truncated or out of range'],
    ['a shape that needs more bytes', { a: tensor(0, 20) }, 'does not take the 20 bytes'],
    ['tensors that overlap', { a: tensor(0, 24), b: tensor(20, 44) }, 'tensors "a" and "b" overlap'],
    ['the same bytes twice', { a: tensor(0, 24), b: tensor(0, 24), c: tensor(24, 48) }, 'overlap'],
    ['a hole', { a: tensor(0, 20, [5]), b: tensor(24, 48) }, '4 bytes before tensor "b" are unused'],
    ['bytes after the last tensor', { a: tensor(0, 24) }, '24 bytes follow the last tensor'],
  ])('%s', (_, header, reason) => {
    expect(() => parse(header)).toThrow(reason);
    expect(() => parse(header)).toThrow(BlockstitchError);
  });

  test('a file that was cut', () => {
    expect(() => parse(GOOD, DATA_BYTES - 1)).toThrow('truncated or out of range');
  });

  test('a name of a megabyte does not make a message of a megabyte', () => {
    const huge = { ['n'.repeat(1_000_000)]: 1 };
    expect(() => parse(huge)).toThrow(/^.{10,400}$/);
  });
});

/** Every entry that is let through lies inside the file, and none shares a byte with another. */
function expectSound(header: Uint8Array, fileBytes: number): void {
  let entries: ReturnType<typeof parseHeader>;
  try {
    entries = parseHeader(FILE, header, fileBytes);
  } catch (error) {
    expect(error).toMatchObject({ code: 'checkpoint_invalid' });
    return;
  }
  let end = 8 + header.byteLength;
  for (const { offset, bytes, shape, dtype } of entries) {
    expect(offset).toBe(end);
    expect(bytes).toBe(shape.reduce((product, size) => product * size, STORED_BYTES[dtype as 'F32']));
    end = offset + bytes;
  }
  expect(end).toBe(fileBytes);
}

describe('whatever stands in a header', () => {
  test('drawn entries are sound or refused', () => {
    const number = fc.oneof(fc.integer({ min: -8, max: 60 }), fc.constantFrom(2 ** 31, 2 ** 53, 1e300, 0.5));
    const entry = fc.record(
      {
        dtype: fc.constantFrom('F32', 'F16', 'BF16', 'I8', 'F64', 3),
        shape: fc.array(number, { maxLength: 3 }),
        data_offsets: fc.array(number, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', '__metadata__', '__proto__'),
      fc.oneof(entry, fc.json()),
    );
    fc.assert(
      fc.property(header, fc.integer({ min: 0, max: 60 }), (json, dataBytes) => {
        const bytes = Buffer.from(JSON.stringify(json));
        expectSound(bytes, 8 + bytes.length + dataBytes);
      }),
      { numRuns: 500 },
    );
  });

  test('a good header with bytes changed is sound or refused', () => {
    const good = Buffer.from(JSON.stringify(GOOD));
    const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: -2, max: 2 }),
        (changes, more) => {
          const bytes = Buffer.from(good);
          for (const { at, byte } of changes) bytes[at] = byte;
          expectSound(bytes, 8 + bytes.length + DATA_BYTES + more);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
