/** The page and the plots of a run, from figures made up. */
import { describe, expect, test } from 'vitest';
import { Figures } from '../../../../bench/peers/figures.js';
import { numberText, type PeersPage, peersPage } from '../../../../bench/peers/markdown.js';
import { peersPlots } from '../../../../bench/peers/plots.js';
import { ROW } from '../../../../bench/peers/rows.js';

const figures = new Figures();
for (const [tokens, factor] of [
  [512, 1],
  [2048, 2],
] as const) {
  for (let round = 0; round < 5; round++) {
    figures.add(ROW.prefill(tokens), 'vLLM bf16', [1136 / factor]);
    figures.add(ROW.prefill(tokens), 'llama.cpp Q4_0', [700 / factor]);
    figures.add(ROW.prefill(tokens), 'llama.cpp Q8_0 flash', [800 / factor]);
    figures.add(ROW.prefill(tokens), 'ours int8', [1704 / factor]);
  }
  figures.add(ROW.turned(tokens), 'vLLM bf16', [1000 * factor]);
  figures.add(ROW.turned(tokens), 'ours int8', [20]);
}
figures.add(ROW.memory(), 'vLLM bf16', [2471.3]);

const PAGE: PeersPage = {
  model: 'a model',
  machine: { cpu: 'a CPU', cores: 2, memoryGiB: 24, node: 'v20' },
  versions: ['vLLM bf16 0.32.0'],
  command: 'npm run bench -- peers',
  rounds: 5,
  runs: [
    {
      threads: 2,
      figures,
      checks: [{ claim: 'fast >= 2', value: 1.5, holds: false }],
      floor: { linearMs: 5, attentionMs: 45, totalMs: 50 },
      ceilings: { readBytesPerSecond: 2e10, byteOperationsPerSecond: 1.8e12, attentionOperationsPerSecond: 3e11 },
    },
  ],
  plots: ['../images/peers-ttft.svg'],
};

describe('peersPage', () => {
  const lines = peersPage(PAGE).split('\n');

  test('a row has the best of llama.cpp with its settings, the best peer in bold, and the gain', () => {
    expect(lines).toContain('| prefill, 512 tokens (tokens/s) | **1,140** | 800, Q8_0 flash | 1,700 | - | 1.5 |');
  });

  test('fewer values than rounds are said, but memory has one', () => {
    expect(lines.find((line) => line.includes('new order, 512'))).toContain('| **1,000 (1)** | - | 20 (1) |');
    expect(lines.find((line) => line.includes('peak memory'))).toContain('| **2,470** |');
  });

  test('floor, goals that are missed, and plots are there', () => {
    const page = lines.join('\n');
    expect(page).toContain('50 ms (linear layers 5,');
    expect(page).toContain('| fast >= 2 | 1.5 | **no** |');
    expect(page).toContain('![peers-ttft](../images/peers-ttft.svg)');
  });

  test('every line of a table has the same number of cells', () => {
    const cells = (line: string) => line.split('|').length;
    const from = lines.findIndex((line) => line.startsWith('| | vLLM'));
    const to = lines.indexOf('', from);
    expect(new Set(lines.slice(from, to).map(cells)).size).toBe(1);
    expect(to - from).toBe(2 + figures.rows.length);
  });
});

test('numbers have three digits that count', () => {
  expect([1136.4, 0.12345, 18_293, 2].map(numberText)).toEqual(['1,140', '0.123', '18,300', '2']);
});

describe('peersPlots', () => {
  test('a plot has the contenders that were measured; without two lengths there is no plot', () => {
    const plots = peersPlots('m', figures, [16, 512, 2048], 'a model');
    expect([...plots.keys()]).toEqual(['peers-m-ttft', 'peers-m-prefill']);
    expect(plots.get('peers-m-prefill')).toContain('>llama.cpp, best</text>');
    expect(plots.get('peers-m-ttft')).not.toContain('llama.cpp');
    expect(plots.get('peers-m-ttft')).not.toContain('ours int4');
  });
});
