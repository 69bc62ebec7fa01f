/** Character classes of EBNF as bytes of UTF-8. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  complement,
  contains,
  difference,
  type Range,
  union,
  utf8Sequences,
} from '../../../src/grammar/code-points.js';
import { withUtf8Classes } from '../../../src/grammar/utf8-classes.js';

const fits = (sequences: readonly (readonly Range[])[], bytes: Uint8Array) =>
  sequences.some(
    (sequence) =>
      sequence.length === bytes.length &&
      sequence.every(([first, last], index) => first <= (bytes[index] as number) && (bytes[index] as number) <= last),
  );
const codePoint = fc.oneof(
  fc.integer({ min: 0, max: 0x10ffff }),
  fc.constantFrom(0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdfff, 0xe000, 0xffff, 0x10000, 0x10ffff),
);
const range = fc.tuple(codePoint, codePoint).map(([one, two]): Range => [Math.min(one, two), Math.max(one, two)]);
const isSurrogate = (point: number) => point >= 0xd800 && point <= 0xdfff;

test('the bytes of a set are those of its characters', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 3 }), codePoint, (ranges, point) => {
      if (isSurrogate(point)) return;
      const set = union(ranges);
      const near = [point, ...set.flatMap(([first, last]) => [first, last, last + 1])];
      for (const each of near.filter((each) => each <= 0x10ffff && !isSurrogate(each))) {
        const bytes = Buffer.from(String.fromCodePoint(each));
        expect(fits(utf8Sequences(set), bytes)).toBe(contains(set, each));
        expect(contains(complement(set), each)).toBe(!contains(set, each));
        expect(contains(difference(complement([]), set), each)).toBe(!contains(set, each));
      }
    }),
  );
});

describe('in EBNF, a class', () => {
  test.each([
    ['of ASCII stays', 'root ::= [a-z\\n] [^\\"\\x5c]', 'root ::= [a-z\\n] [^\\"\\x5c]'],
    ['in a string stays', 'root ::= "[é-ÿ]"', 'root ::= "[é-ÿ]"'],
    ['of all but some ASCII is said so', 'root ::= [\\0-`b-\\U0010ffff]', 'root ::= [^\\x61-\\x61]'],
    [
      'of other characters is a rule, once',
      'root ::= [\\xe0-\\xff] [à-ÿ]',
      'root ::= utf8_class_0 utf8_class_0\nutf8_class_0 ::= ([\\xc3\\xc3] [\\xa0-\\xbf])',
    ],
    [
      'has its name to itself',
      'root ::= utf8_class_0 [a\\u4e00]\nutf8_class_0 ::= "x"',
      'root ::= utf8_class_0 utf8_class__0\nutf8_class_0 ::= "x"\nutf8_class__0 ::= ([\\x61\\x61]) | ([\\xe4\\xe4] [\\xb8\\xb8] [\\x80\\x80])',
    ],
  ])('%s', (_, ebnf, mended) => {
    expect(withUtf8Classes(ebnf)).toBe(mended);
  });

  test('without a character is refused', () => {
    expect(() => withUtf8Classes('root ::= [^\\0-\\U0010ffff]')).toThrow(/no character/);
  });
});
