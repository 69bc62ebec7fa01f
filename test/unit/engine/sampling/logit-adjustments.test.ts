import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GREEDY } from '../../../../src/engine/engine.js';
import { LogitAdjustments } from '../../../../src/engine/sampling/logit-adjustments.js';
import { adjustedRow } from '../../../support/reference-sampling.js';

const VOCAB = 40;
const id = fc.integer({ min: 0, max: VOCAB - 1 });
const sampling = fc
  .record({
    repetitionPenalty: fc.oneof(fc.constant(1), fc.double({ min: 0.01, max: 10, noNaN: true })),
    presencePenalty: fc.oneof(fc.constant(0), fc.double({ min: -2, max: 2, noNaN: true })),
    frequencyPenalty: fc.oneof(fc.constant(0), fc.double({ min: -2, max: 2, noNaN: true })),
    logitBias: fc
      .array(fc.tuple(id, fc.double({ min: -100, max: 100, noNaN: true })), { maxLength: 6 })
      .map((pairs) => new Map(pairs)),
  })
  .map((changed) => ({ ...GREEDY, ...changed }));
const rows = fc.array(fc.oneof(fc.float({ noNaN: true, min: -60, max: 60 }), fc.constant(Number.NEGATIVE_INFINITY)), {
  minLength: VOCAB,
  maxLength: VOCAB,
});

describe('logit adjustments', () => {
  it('change one token as they change a row, and name every token that may be raised', () => {
    fc.assert(
      fc.property(sampling, rows, fc.array(id), fc.array(id), (asked, values, prompt, generated) => {
        const row = Float32Array.from(values);
        const adjustments = new LogitAdjustments(asked, [Int32Array.from(prompt), Int32Array.of()]);
        for (const each of generated) adjustments.accept(each);
        const expected = adjustedRow(row, asked, prompt, generated);
        const raised = new Set(adjustments.raised());
        for (const [each, value] of row.entries()) {
          // The sign of a zero may differ.
          expect(adjustments.adjust(each, value) + 0).toBe((expected[each] as number) + 0);
          if ((expected[each] as number) > value) expect(raised).toContain(each);
        }
        adjustments.adjustRow(row);
        expect(row.map((value) => value + 0)).toEqual(expected.map((value) => value + 0));
      }),
    );
  });

  it('raise nothing under penalties alone, so that the best tokens bound the others', () => {
    const asked = { ...GREEDY, repetitionPenalty: 1.1, presencePenalty: 1, logitBias: new Map([[3, -100]]) };
    const adjustments = new LogitAdjustments(asked, [Int32Array.of(1, 2, 3)]);
    adjustments.accept(5);
    expect([...adjustments.raised()]).toEqual([]);
  });

  it('leave ids alone that the row does not have', () => {
    const asked = { ...GREEDY, repetitionPenalty: 2, logitBias: new Map([[9, 1]]) };
    const adjustments = new LogitAdjustments(asked, [Int32Array.of(0, 8)]);
    const row = Float32Array.of(4, 4);
    adjustments.adjustRow(row);
    expect(row).toEqual(Float32Array.of(2, 4));
  });
});
