/** Rules for whole numbers between bounds, read as regular expressions. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rangeBody, rangeMark, withRanges } from '../../../src/grammar/integer-range.js';

/** EBNF of strings of digits, classes, groups and alternatives as an expression. */
function expressionOf(ebnf: string): RegExp {
  return new RegExp(`^(${ebnf.replace(/"(-|\d?)"/g, '$1').replaceAll(' ', '')})$`);
}

test('take every number between the bounds and no other', () => {
  const bounds = fc.tuple(fc.integer({ min: -2500, max: 2500 }), fc.nat({ max: 3000 }));
  fc.assert(
    fc.property(bounds, ([from, more]) => {
      const to = from + more;
      const [closed, above, below] = [rangeBody(from, to), rangeBody(from, undefined), rangeBody(undefined, to)].map(
        expressionOf,
      ) as [RegExp, RegExp, RegExp];
      const near = Array.from({ length: more + 240 }, (_, index) => from - 120 + index);
      const wrong = (fits: RegExp, isIn: (value: number) => boolean) =>
        near.filter((value) => fits.test(String(value)) !== isIn(value));
      expect(wrong(closed, (value) => value >= from && value <= to)).toEqual([]);
      expect(wrong(above, (value) => value >= from)).toEqual([]);
      expect(wrong(below, (value) => value <= to)).toEqual([]);
      for (const text of ['', '-', '-0', '00', `0${Math.abs(from)}`, '1.0', '+1'])
        expect([text, closed.test(text), above.test(text)]).toEqual([text, false, false]);
    }),
    { numRuns: 60 },
  );
});

test('hold for the largest numbers', () => {
  const most = Number.MAX_SAFE_INTEGER;
  const body = expressionOf(rangeBody(-most, most));
  for (const text of [String(most), String(-most), '0']) expect(body.test(text)).toBe(true);
  for (const text of ['9007199254740992', '-9007199254740992']) expect(body.test(text)).toBe(false);
  expect(expressionOf(rangeBody(undefined, undefined)).test('-123456789012345678901234567890')).toBe(true);
});

test('stand in place of the marks of a grammar, equal ones once', () => {
  const mark = JSON.stringify(JSON.stringify(rangeMark(4, 12).const));
  const ebnf = withRanges(`root ::= "[" ${mark} "," ${mark} "]"`);
  expect(ebnf.split('\n')).toEqual([
    'root ::= "[" integer_range_0 "," integer_range_0 "]"',
    'integer_range_0 ::= (([4-9])) | ("1" (([0-2])))',
  ]);
});
