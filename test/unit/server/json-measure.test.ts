/** The counts of a JSON text before parsing equal those of the parsed value. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JsonMeasure, measureJson } from '../../../src/server/json-measure.js';

const NO_LIMITS: JsonMeasure = { depth: 1000, values: 1e9, numbers: 1e9 };

/** The same, from the value. */
function counted(value: unknown, level = 0, measure: JsonMeasure = { depth: 0, values: 0, numbers: 0 }): JsonMeasure {
  if (typeof value !== 'object' || value === null) return measure;
  measure.depth = Math.max(measure.depth, level + 1);
  for (const part of Object.values(value)) {
    if (Array.isArray(value) && typeof part === 'number') measure.numbers += 1;
    else measure.values += 1;
    counted(part, level + 1, measure);
  }
  return measure;
}

describe('the measure of a JSON text', () => {
  it('is that of its value, with any strings and any layout', () => {
    const quotes = fc.string({ unit: fc.constantFrom('"', '\\', ',', '[', '{', ':', 'a', '\n', '😀'), maxLength: 200 });
    const value = fc.oneof(fc.jsonValue(), fc.array(fc.oneof(quotes, fc.integer(), fc.dictionary(quotes, quotes))));
    fc.assert(
      fc.property(value, fc.constantFrom('', ' ', '\t', 2), (drawn, layout) => {
        const text = JSON.stringify(drawn, null, layout);
        expect(measureJson(Buffer.from(text), NO_LIMITS)).toEqual(counted(JSON.parse(text)));
      }),
      { numRuns: 500 },
    );
  });

  it('stops soon after a limit, so that refusing costs no more than that', () => {
    const limits = { depth: 4, values: 10, numbers: 10 };
    const million = Buffer.from(`[${'1,'.repeat(1e6)}1]`);
    expect(measureJson(million, limits)).toEqual({ depth: 1, values: 0, numbers: 11 });
    expect(measureJson(Buffer.from('['.repeat(1e6)), limits).depth).toBe(5);
    expect(measureJson(Buffer.from(`{"a":[${'"x",'.repeat(1e6)}`), limits).values).toBe(11);
  });

  it('takes text that is not JSON at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const { depth, values, numbers } = measureJson(Buffer.from(bytes), NO_LIMITS);
        expect(Math.max(depth, values, numbers)).toBeLessThanOrEqual(bytes.length);
      }),
    );
    expect(measureJson(Buffer.from('"never closed \\'), NO_LIMITS)).toEqual({ depth: 0, values: 0, numbers: 0 });
  });
});
