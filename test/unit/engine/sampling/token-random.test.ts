import { describe, expect, it } from 'vitest';
import { uniform } from '../../../../src/engine/sampling/token-random.js';

describe('the random number of a draw', () => {
  it('depends on the seed and the number of the draw only', () => {
    expect(uniform(7, 3)).toBe(uniform(7, 3));
    const numbers = new Set(
      [0, 1, 2, 2 ** 31, 2 ** 32 - 1].flatMap((seed) => [0, 1, 2].map((at) => uniform(seed, at))),
    );
    expect(numbers.size).toBe(15);
  });

  it('takes the low 32 bits of a seed', () => {
    expect(uniform(2 ** 32 + 5, 1)).toBe(uniform(5, 1));
    expect(uniform(-1, 1)).toBe(uniform(2 ** 32 - 1, 1));
  });

  it('is the number that earlier versions drew', () => {
    expect([uniform(0, 0), uniform(1, 0), uniform(123456789, 5)]).toEqual([
      0.06307824824074104, 0.6500796335453153, 0.921440456798996,
    ]);
  });

  it('is spread evenly over [0, 1)', () => {
    const counts = new Array<number>(20).fill(0);
    for (let index = 0; index < 40_000; index++) {
      const bin = Math.floor(uniform(11, index) * 20);
      counts[bin] = (counts[bin] as number) + 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
    expect(chiSquare).toBeLessThan(19 + 5 * Math.sqrt(38));
  });
});
