/** Plots are read back: where points and names stand. */
import { describe, expect, test } from 'vitest';
import { contextPlot } from '../../../bench/context-plot.js';
import { linePlot } from '../../../bench/line-plot.js';

const plotOf = (lines: Parameters<typeof linePlot>[0]['lines']) =>
  linePlot({ title: 'T', about: 'A & B', xLabel: 'tokens', yText: String, lines });

const circles = (svg: string) =>
  [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y)] as const);
const heightOf = (svg: string, words: string) =>
  Number(new RegExp(`<text x="[\\d.]+" y="([\\d.]+)"[^>]*>${words}<`).exec(svg)?.[1]);

describe('linePlot', () => {
  test('more tokens stand to the right, more time higher', () => {
    const points = [
      { x: 512, y: 20 },
      { x: 1024, y: 100 },
      { x: 8000, y: 4000 },
    ];
    const drawn = circles(plotOf([{ name: 'one', colour: '#123456', points }]));
    expect(drawn).toHaveLength(3);
    const [first, second, third] = drawn as [[number, number], [number, number], [number, number]];
    expect(first[0]).toBeLessThan(second[0]);
    expect(second[0]).toBeLessThan(third[0]);
    expect(first[1]).toBeGreaterThan(second[1]);
    expect(second[1]).toBeGreaterThan(third[1]);
  });

  test('equal factors take equal heights', () => {
    const points = [10, 100, 1000].map((y, at) => ({ x: 1 + at, y }));
    const [a, b, c] = circles(plotOf([{ name: 'one', colour: '#123456', points }])).map(([, y]) => y) as [
      number,
      number,
      number,
    ];
    expect(a - b).toBeCloseTo(b - c);
  });

  test('values that are near each other have steps of 1, 2 and 5', () => {
    const points = [
      { x: 1, y: 30 },
      { x: 2, y: 70 },
    ];
    const svg = plotOf([{ name: 'one', colour: '#123456', points }]);
    for (const tick of ['20', '50', '100']) expect(svg).toContain(`>${tick}</text>`);
    expect(svg).not.toContain('>10</text>');
  });

  test('names of lines that end at one height stand below each other', () => {
    const points = [
      { x: 1, y: 10 },
      { x: 2, y: 50 },
    ];
    const svg = plotOf([
      { name: 'first', colour: '#123456', points },
      { name: 'second', colour: '#654321', points },
    ]);
    expect(Math.abs(heightOf(svg, 'first') - heightOf(svg, 'second'))).toBeGreaterThanOrEqual(14);
  });

  test('text is escaped', () => {
    const svg = plotOf([{ name: 'a<b', colour: '#123456', points: [{ x: 1, y: 1 }] }]);
    expect(svg).toContain('A &amp; B');
    expect(svg).toContain('a&lt;b');
  });

  test('a point that has no logarithm is refused', () => {
    expect(() => plotOf([{ name: 'one', colour: '#123456', points: [{ x: 1, y: 0 }] }])).toThrow(TypeError);
    expect(() => plotOf([])).toThrow(TypeError);
  });
});

test('TTFT against context has a line for each way', () => {
  const point = { fullMs: 800, coldMs: 1000, cachedMs: 60 };
  const svg = contextPlot(
    [
      { tokens: 512, ...point },
      { tokens: 1024, ...point, fullMs: 1700 },
    ],
    'a model',
  );
  expect(circles(svg)).toHaveLength(6);
  for (const words of ['full prefill', 'blocks, first time', 'blocks cached,', 'in a new order', '1 s', '1,024'])
    expect(svg).toContain(`>${words}</text>`);
});
