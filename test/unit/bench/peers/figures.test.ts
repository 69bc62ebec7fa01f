/** What is best, what is gained, and which goals are judged, over figures made up. */
import { describe, expect, test } from 'vitest';
import { Figures } from '../../../../bench/peers/figures.js';
import { goals } from '../../../../bench/peers/goals.js';
import { ROW } from '../../../../bench/peers/rows.js';

const LLAMA = 'llama.cpp Q8_0 flash';

function figuresOf(rows: Record<string, Record<string, number[]>>): Figures {
  const figures = new Figures();
  for (const [row, values] of Object.entries(rows))
    for (const [contender, each] of Object.entries(values)) figures.add(row, contender, each);
  return figures;
}

describe('figures', () => {
  test('the median of all rounds counts', () => {
    const figures = new Figures();
    for (const value of [5, 1, 100]) figures.add(ROW.prefill(512), 'ours int8', [value]);
    expect(figures.median(ROW.prefill(512), 'ours int8')).toBe(5);
    expect(figures.count(ROW.prefill(512), 'ours int8')).toBe(3);
    expect(figures.median(ROW.prefill(512), LLAMA)).toBeUndefined();
  });

  test('a gain is more than one when ours is faster, in rates as in times', () => {
    const figures = figuresOf({
      [ROW.decode(16)]: { 'vLLM bf16': [30], [LLAMA]: [60], 'ours int8': [90], 'ours int4': [120] },
      [ROW.turned(8000)]: { 'vLLM bf16': [18_000], [LLAMA]: [37_000], 'ours int8': [100], 'ours int4': [90] },
      [ROW.memory()]: { 'vLLM bf16': [2000], 'ours int8': [500] },
    });
    expect(figures.gain(ROW.decode(16))).toBe(2);
    expect(figures.gain(ROW.decode(16), ['vLLM bf16'])).toBe(4);
    expect(figures.gain(ROW.turned(8000))).toBe(200);
    expect(figures.gain(ROW.memory())).toBe(4);
    expect(figures.best(ROW.turned(8000), figures.peers(ROW.turned(8000)))?.contender).toBe('vLLM bf16');
  });

  test('a row without a peer has no gain', () => {
    const figures = figuresOf({ [ROW.restarted(8000)]: { 'ours int8': [400] } });
    expect(figures.gain(ROW.restarted(8000))).toBeUndefined();
  });
});

describe('goals', () => {
  test('only goals whose rows were measured are judged', () => {
    const figures = figuresOf({ [ROW.prefill(512)]: { 'vLLM bf16': [1000], 'ours int8': [1400] } });
    expect(goals(figures, 8000, undefined)).toEqual([
      { claim: `ours / best peer, ${ROW.prefill(512)} >= 1.3`, value: 1.4, holds: true },
    ]);
  });

  test('the best of ours is compared with the floor and with vLLM', () => {
    const figures = figuresOf({
      [ROW.turned(8000)]: { 'vLLM bf16': [19_900], [LLAMA]: [10], 'ours int8': [100], 'ours int4': [110] },
      [ROW.same(8000)]: { 'vLLM bf16': [361], [LLAMA]: [53], 'ours int8': [119] },
    });
    const checks = goals(figures, 8000, 80);
    expect(checks.map(({ value, holds }) => [value, holds])).toEqual([
      [199, false],
      [361 / 119, true],
      [1.25, true],
    ]);
  });
});
