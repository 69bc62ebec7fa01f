/** The choice of boundaries: lengths follow the target, coarser nests in finer, text added at the end has a local effect. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLimits } from '../../../src/segment/segment-limits.js';
import { HORIZON, type ScoredUnits, selectBoundaries, selectNested } from '../../../src/segment/select-boundaries.js';

const units = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.double({ min: -8, max: 8, noNaN: true })), {
    minLength: 1,
    maxLength: 400,
  })
  .map(scored);

function scored(pairs: [number, number][]): ScoredUnits {
  const strengths = pairs.map(([, strength]) => strength);
  return { tokens: pairs.map(([tokens]) => tokens), strengthsAt: () => strengths };
}

/** Units as texts have them: tokens vary, few boundaries are strong. */
function text(count: number, seed: number): ScoredUnits {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return scored(
    Array.from({ length: count }, () => [
      5 + Math.floor(random() * 40),
      random() < 0.08 ? 2 * random() : -4 + 2 * random(),
    ]),
  );
}

function lengths({ tokens }: ScoredUnits, ends: readonly number[]): number[] {
  return lengthsOf(tokens, ends);
}

function lengthsOf(tokens: ArrayLike<number>, ends: readonly number[]): number[] {
  let first = 0;
  return ends.map((end) => {
    let sum = 0;
    for (; first <= end; first += 1) sum += tokens[first] as number;
    return sum;
  });
}

describe('boundaries that are chosen', () => {
  it('end with the last unit, ascend, and keep the maximum', () => {
    fc.assert(
      fc.property(units, fc.integer({ min: 60, max: 300 }), (some, maxTokens) => {
        const limits = readLimits({ maxTokens, targetTokens: Math.ceil(maxTokens / 2) });
        const ends = selectBoundaries(some, limits);
        expect(ends.at(-1)).toBe(some.tokens.length - 1);
        expect([...ends].sort((a, b) => a - b)).toEqual(ends);
        expect(new Set(ends).size).toBe(ends.length);
        expect(Math.max(...lengths(some, ends))).toBeLessThanOrEqual(maxTokens);
      }),
      { numRuns: 200 },
    );
  });

  it('follow lengths that are not the tokens, and keep the maximum in tokens', () => {
    fc.assert(
      fc.property(units, fc.integer({ min: 120, max: 400 }), (some, maxTokens) => {
        const counts = Array.from(some.tokens);
        const lengths = counts.map((tokens) => Math.ceil(tokens / 2));
        const limits = readLimits({ maxTokens, targetTokens: 40 });
        const ends = selectBoundaries({ ...some, lengths }, limits);
        expect(Math.max(...lengthsOf(counts, ends))).toBeLessThanOrEqual(maxTokens);
        // Where the maximum does not bind, the choice is that of a text with these lengths for tokens.
        const alone = selectBoundaries({ ...some, tokens: lengths }, { ...limits, maxTokens: 1 << 20 });
        const roomy = selectBoundaries({ ...some, lengths }, { ...limits, maxTokens: 1 << 20 });
        expect(roomy).toEqual(alone);
      }),
      { numRuns: 100 },
    );
  });

  it('are more if more are likely and fewer if fewer are, within a quarter', () => {
    const limits = readLimits({ targetTokens: 200, maxTokens: 4000 });
    for (const seed of [1, 2, 3]) {
      const some = text(3000, seed);
      const counts = [20, 0, -20].map((believed) => selectBoundaries({ ...some, believed }, limits).length);
      const asked = selectBoundaries(some, limits).length;
      expect(counts[0]).toBeLessThan(asked);
      expect(counts[2]).toBeGreaterThan(asked);
      expect(counts[0] as number).toBeGreaterThan(asked * 0.75);
      expect(counts[2] as number).toBeLessThan(asked * 1.25);
      expect(counts[1] as number).toBeLessThanOrEqual(counts[2] as number);
    }
  });

  it('are the strongest ones, as many as asked for, where lengths do not matter', () => {
    const some = text(600, 7);
    const strengths = some.strengthsAt(200);
    const limits = readLimits({ targetTokens: 200, minTokens: 1, maxTokens: 1 << 15 });
    const ends = selectBoundaries({ ...some, lengthCareAt: () => 0 }, limits).slice(0, -1);
    const chosen = Math.min(...ends.map((end) => strengths[end] as number));
    const stronger = Array.from(strengths).filter((strength, at) => strength > chosen && at < 599);
    // One stretch keeps half of its boundaries, and the next goes on from there.
    expect(stronger.length).toBeLessThan(1.3 * ends.length);
    expect(ends.length).toBeGreaterThan(0.75 * selectBoundaries(some, limits).length);
    expect(selectBoundaries({ ...some, lengthCareAt: () => 1 }, limits)).toEqual(selectBoundaries(some, limits));
  });

  it.each([40, 100, 200, 500])('give blocks of %i tokens on the mean, within a quarter', (targetTokens) => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const some = text(3000, seed);
      const all = lengths(some, selectBoundaries(some, readLimits({ targetTokens, maxTokens: targetTokens * 4 })));
      const mean = all.reduce((sum, length) => sum + length, 0) / all.length;
      expect(mean).toBeGreaterThan(targetTokens * 0.75);
      expect(mean).toBeLessThan(targetTokens * 1.25);
    }
  });

  it('are the strong ones where lengths allow it', () => {
    const some = scored(Array.from({ length: 60 }, (_, at) => [10, at % 10 === 6 ? 3 : -3]));
    const ends = selectBoundaries(some, readLimits({ targetTokens: 100, maxTokens: 300 }));
    expect(ends).toEqual([6, 16, 26, 36, 46, 56, 59].filter((end) => ends.includes(end)));
    expect(ends.length).toBeGreaterThanOrEqual(6);
  });

  it('leave no block below the minimum where the text is long enough', () => {
    const some = text(2000, 9);
    const limits = readLimits({ targetTokens: 200, minTokens: 80, maxTokens: 600 });
    expect(Math.min(...lengths(some, selectBoundaries(some, limits)))).toBeGreaterThanOrEqual(80);
  });

  it('do not move further before text added at the end than the horizon', () => {
    const whole = text(2500, 17);
    const targetTokens = 100;
    const limits = readLimits({ targetTokens, maxTokens: 400 });
    const strengths = whole.strengthsAt(targetTokens);
    const after = new Set(selectBoundaries(whole, limits));
    for (const count of [600, 1111, 1700, 2300]) {
      const part: ScoredUnits = {
        tokens: Array.from(whole.tokens).slice(0, count),
        strengthsAt: () => Array.from(strengths).slice(0, count),
      };
      let rest = part.tokens.length;
      let tokens = 0;
      while (rest > 0 && tokens < HORIZON * targetTokens) {
        rest -= 1;
        tokens += part.tokens[rest] as number;
      }
      const before = selectBoundaries(part, limits);
      const settled = before.filter((end) => end < rest);
      expect(settled.length).toBeGreaterThan(20);
      for (const end of settled) expect(after.has(end)).toBe(true);
    }
  });
});

describe('granularity', () => {
  const steps = [0, 0.1, 0.25, 0.4, 0.5, 0.65, 0.8, 0.9, 1];

  function ends(some: ScoredUnits, granularity: number): number[] {
    const limits = readLimits({ granularity, maxTokens: 512 });
    return selectNested(some, limits, granularity, 48, 384);
  }

  it('nests: each boundary of a coarser setting is one of every finer setting', () => {
    fc.assert(
      fc.property(units, (some) => {
        let finer: number[] | undefined;
        for (const granularity of steps) {
          const now = ends(some, granularity);
          if (finer) for (const end of now) expect(finer).toContain(end);
          expect(Math.max(...lengths(some, now))).toBeLessThanOrEqual(512);
          finer = now;
        }
      }),
      { numRuns: 60 },
    );
  });

  it('gives longer and longer blocks, from near 48 tokens to near 384', () => {
    const some = text(4000, 5);
    const means = steps.map((granularity) => {
      const all = lengths(some, ends(some, granularity));
      return all.reduce((sum, length) => sum + length, 0) / all.length;
    });
    expect(means).toEqual([...means].sort((a, b) => a - b));
    expect(means[0]).toBeGreaterThan(48 * 0.75);
    expect(means[0]).toBeLessThan(48 * 1.25);
    expect(means.at(-1)).toBeGreaterThan(384 * 0.75);
    expect(means.at(-1)).toBeLessThan(384 * 1.25);
  });
});
