import { describe, expect, test } from 'vitest';
import { LoadCostModel } from '../../../src/cache/load-cost-model.js';

/** A model on a clock that moves when told to, and a load of a size that takes so long. */
function bench(options: ConstructorParameters<typeof LoadCostModel>[0] = {}) {
  let nowMs = 0;
  const model = new LoadCostModel({ ...options, now: () => nowMs });
  return {
    model,
    pass: (ms: number) => {
      nowMs += ms;
    },
    load(bytes: number, ms: number, computeMs = 1_000) {
      const clock = model.begin(computeMs);
      nowMs += ms;
      clock.end(bytes);
    },
  };
}

describe('choosing between loading and computing', () => {
  test('loads while nothing was measured', () => {
    const { model } = bench();
    expect(model.worthLoading(1_000_000, 1)).toBe(true);
    expect(model.estimateMs(1_000_000)).toBeUndefined();
  });

  test('computes where loads have taken longer than computing, and loads again once they are faster', () => {
    const { model, load, pass } = bench({ probeMs: 1_000 });
    for (let each = 0; each < 10; each++) load(1_000_000, 200);
    expect(model.estimateMs(500_000)).toBeCloseTo(100);
    expect(model.worthLoading(1_000_000, 300)).toBe(true);
    expect(model.worthLoading(1_000_000, 50)).toBe(false);
    pass(1_000);
    expect(model.worthLoading(1_000_000, 50)).toBe(true);
    expect(model.worthLoading(1_000_000, 50)).toBe(false);
    for (let each = 0; each < 100; each++) load(1_000_000, 10);
    expect(model.worthLoading(1_000_000, 50)).toBe(true);
  });

  test('a probe that finds a slow store fast again counts at once, however much was slow before', () => {
    const { model, load, pass } = bench({ probeMs: 1_000 });
    for (let each = 0; each < 40; each++) load(1_000_000, 2_000);
    model.worthLoading(1_000_000, undefined);
    expect(model.worthLoading(1_000_000, 50)).toBe(false);
    pass(1_000);
    expect(model.worthLoading(1_000_000, 50)).toBe(true);
    load(1_000_000, 10);
    expect(model.estimateMs(1_000_000)).toBeCloseTo(10);
    expect(model.worthLoading(1_000_000, 50)).toBe(true);
  });

  test('a probe that finds it slow still leaves the measure slow', () => {
    const { model, load, pass } = bench({ probeMs: 10_000 });
    for (let each = 0; each < 10; each++) load(1_000_000, 2_000);
    pass(10_000);
    expect(model.worthLoading(1_000_000, 50)).toBe(true);
    load(1_000_000, 1_900);
    expect(model.worthLoading(1_000_000, 50)).toBe(false);
  });

  test('loads that never came are measured as well: the store is at least so slow', () => {
    const { model, pass } = bench();
    model.worthLoading(1_000_000, undefined);
    for (let each = 0; each < 4; each++) {
      const clock = model.begin(50);
      pass(1_000);
      clock.drop(1_000_000);
    }
    expect(model.estimateMs(1_000_000)).toBeCloseTo(1_000);
    expect(model.worthLoading(1_000_000, 50)).toBe(false);
  });

  test('old measures lose their weight with time', () => {
    const { model, load, pass } = bench();
    for (let each = 0; each < 40; each++) load(1_000_000, 2_000);
    pass(10 * 60_000);
    load(1_000_000, 10);
    expect(model.estimateMs(1_000_000)).toBeLessThan(20);
  });

  test('loads where the cost of computing is not known', () => {
    const { model, load } = bench();
    for (let each = 0; each < 10; each++) load(1_000, 500);
    expect(model.worthLoading(1_000, undefined)).toBe(true);
  });

  test('never passes over a load that costs next to nothing', () => {
    const { model, load } = bench({ leastWaitMs: 25 });
    for (let each = 0; each < 10; each++) load(1_000, 2);
    expect(model.worthLoading(1_000, 0.5)).toBe(true);
  });

  test('charges each of several loads at once with its own share of the time', () => {
    const { model, pass } = bench();
    const clocks = Array.from({ length: 10 }, () => model.begin(100));
    for (const clock of clocks) {
      pass(5);
      clock.end(1_000);
    }
    expect(model.estimateMs(1_000)).toBeCloseTo(5);
  });
});

describe('how long a load may take', () => {
  test('as long as computing, within its bounds', () => {
    const wait = (computeMs: number | undefined) =>
      new LoadCostModel({ leastWaitMs: 20, mostWaitMs: 500 }).begin(computeMs).waitMs;
    expect(wait(100)).toBe(100);
    expect(wait(1)).toBe(20);
    expect(wait(9_000)).toBe(500);
    expect(wait(undefined)).toBe(500);
  });

  test('loads at once may take as long as computing them all, and those given up no longer count', () => {
    const { model } = bench({ mostWaitMs: 10_000 });
    const first = model.begin(100);
    expect(model.begin(100).waitMs).toBe(200);
    first.giveUp();
    first.giveUp();
    expect(model.begin(100).waitMs).toBe(200);
    first.end(10);
    expect(model.begin(100).waitMs).toBe(300);
  });
});
