import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WholeRow } from '../../../../src/engine/sampling/whole-row.js';
import { drawnTokens } from '../../../support/reference-sampling.js';

/** Float32 logits of a model, in few distinct values, or with tokens ruled out. */
const logit = fc.oneof(
  fc.float({ min: -30, max: 30, noNaN: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(0, -0, Number.NEGATIVE_INFINITY, Math.fround(1e-30), Math.fround(-1e-30), 5.000000476837158, 5),
);
const rows = fc
  .array(logit, { minLength: 1, maxLength: 600 })
  .map((values) => Float32Array.from(values))
  .filter((row) => row.some((value) => Number.isFinite(value)));
const draws = fc.oneof(
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  fc.constantFrom(0, 0.5, 1 - 2 ** -53),
);
const options = fc.record({
  temperature: fc.oneof(fc.double({ min: 0.01, max: 2, noNaN: true }), fc.constantFrom(0.01, 0.7, 1, 2)),
  topP: fc.oneof(
    fc.constant(1),
    fc.double({ min: 1e-9, max: 1, noNaN: true }),
    fc.constantFrom(1e-300, 0.5, 1 - 2 ** -53),
  ),
  topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 700 })),
  minP: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(1e-9, 1)),
});
const OFF = { temperature: 1, topP: 1, topK: 0, minP: 0 };

function bestOf(row: Float32Array): number {
  return row.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY);
}

/** Numbers that look like none in particular, in [0, 1). */
function noise(index: number): number {
  return ((Math.imul(index + 1, 0x9e3779b1) ^ (Math.imul(index + 7, 0x85ebca6b) >>> 9)) >>> 0) / 2 ** 32;
}

afterEach(() => vi.restoreAllMocks());

describe('a draw from a whole row', () => {
  it('is the one that sorting all tokens would give, whatever the logits, filters and number drawn', () => {
    const wholeRow = new WholeRow();
    fc.assert(
      fc.property(rows, options, draws, (row, asked, u) => {
        expect(drawnTokens(row, asked, u)).toContain(wholeRow.draw(row, bestOf(row), asked, u));
      }),
      { numRuns: 800 },
    );
  });

  it('goes through equal logits by their ids, to the last bit', () => {
    const wholeRow = new WholeRow();
    const row = new Float32Array(4096).fill(3);
    for (const id of [0, 1, 1000, 2048, 4095]) {
      expect(wholeRow.draw(row, 3, OFF, id / 4096)).toBe(id);
      expect(wholeRow.draw(row, 3, OFF, (id + 1) / 4096 - 2 ** -53)).toBe(id);
    }
    expect(wholeRow.draw(row, 3, { ...OFF, topK: 1024 }, 0.5)).toBe(512);
    expect(wholeRow.draw(row, 3, { ...OFF, topP: 0.25 }, 0.5)).toBe(512);
    expect(wholeRow.draw(row, 3, { ...OFF, minP: 1 }, 0.5)).toBe(2048);
  });

  it('takes the positive and the negative zero for one logit', () => {
    const row = Float32Array.of(-0, 0, -0, 0);
    for (const id of [0, 1, 2, 3]) expect(new WholeRow().draw(row, 0, OFF, id / 4)).toBe(id);
    expect(new WholeRow().draw(row, 0, { ...OFF, topK: 2 }, 0.99)).toBe(1);
  });

  it('keeps exactly the tokens at or above min_p of the best', () => {
    const row = Float32Array.of(0, -1, -1.0000001192092896);
    const last = 1 - 2 ** -53;
    expect(new WholeRow().draw(row, 0, { ...OFF, minP: Math.exp(-1) }, last)).toBe(1);
    expect(new WholeRow().draw(row, 0, { ...OFF, minP: Math.exp(-1.0000001192092896) }, last)).toBe(2);
  });

  it('stays exact at temperatures so low that only the best tokens weigh anything', () => {
    const row = Float32Array.of(1, 2, 2, 1.9999998807907104);
    for (const temperature of [1e-9, 1e-300, Number.MIN_VALUE]) {
      expect(new WholeRow().draw(row, 2, { ...OFF, temperature }, 0)).toBe(1);
      expect(new WholeRow().draw(row, 2, { ...OFF, temperature }, 1 - 2 ** -53)).toBe(2);
    }
  });
});

describe('the work of a draw', () => {
  const VOCAB = 20_000;
  const shapes: Record<string, (index: number) => number> = {
    'a flat row': (index) => 1.5 * (noise(index) + noise(index + VOCAB) + noise(index + 2 * VOCAB) - 1.5),
    'a peaked row': (index) => (index === 77 ? 30 : noise(index)),
    'a row of equal logits': () => 2,
    'a row of logits that differ in their last bits': (index) => 5 + (Math.floor(noise(index) * 4) + 1) * 2 ** -21,
    'a row of logits in one narrow band': (index) => 1e-4 * noise(index),
    'a row of logits of every magnitude': (index) => 2 ** (-100 * noise(index)),
  };

  for (const [name, shape] of Object.entries(shapes)) {
    it(`is a few passes over ${name}, with no sorting of it and next to no exponentials`, () => {
      const row = Float32Array.from({ length: VOCAB }, (_, index) => shape(index));
      const best = bestOf(row);
      const exp = vi.spyOn(Math, 'exp');
      for (const asked of [OFF, { temperature: 0.7, topP: 0.9, topK: 1000, minP: 1e-6 }, { ...OFF, topK: VOCAB - 1 }]) {
        for (const u of [0.3, 0.999]) {
          exp.mockClear();
          const wholeRow = new WholeRow();
          const drawn = wholeRow.draw(row, best, asked, u);
          const { visited, ordered } = wholeRow.work;
          expect(visited).toBeLessThanOrEqual(5 * VOCAB);
          // Each of up to three groups is narrowed up to three times; then at most 256 tokens, or equals, are walked.
          expect(ordered).toBeLessThanOrEqual(3 * 4 * VOCAB);
          expect(exp.mock.calls.length).toBeLessThanOrEqual(32);
          expect(drawnTokens(row, asked, u)).toContain(drawn);
        }
      }
    });
  }

  it('orders a few hundred tokens of a flat row, not the row', () => {
    const row = Float32Array.from({ length: VOCAB }, (_, index) =>
      (shapes['a flat row'] as (i: number) => number)(index),
    );
    const wholeRow = new WholeRow();
    wholeRow.draw(row, bestOf(row), { ...OFF, temperature: 0.7 }, 0.5);
    expect(wholeRow.work).toEqual({ visited: 2 * VOCAB, ordered: expect.any(Number) });
    expect(wholeRow.work.ordered).toBeLessThan(500);
  });
});
