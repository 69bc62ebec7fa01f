/** The operator inside ONNX Runtime: a step is planned once, a step that fails says why, and attaching leaves no trace. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StepModel } from '../../../bench/step-model.js';
import { PACKAGE_DIR } from '../../../src/config.js';
import { loadAddon } from '../../../src/kernels/load-addon.js';

const CHECKPOINT = join(import.meta.dirname, '../../fixtures/checkpoints/qwen3-norm');
const TOKENS = [5, 6, 7, 8, 9, 10, 11];

describe('a graph of several layers', () => {
  let model: StepModel;

  beforeAll(async () => {
    model = await StepModel.open(CHECKPOINT);
  });

  afterAll(() => model.close());

  test('plans a step once, however many layers it has', async () => {
    const addon = loadAddon();
    const { layers } = model.model.config;
    expect(layers).toBeGreaterThan(1);
    const before = addon.operatorStatistics();
    await model.prefill(TOKENS, 0, [], 2);
    const after = addon.operatorStatistics();
    const steps = Math.ceil(TOKENS.length / 2);
    expect(after.calls - before.calls).toBe(steps * layers);
    expect(after.plans - before.plans).toBe(steps);
  });

  test('never takes the plan of a table that differed in a page number alone', async () => {
    const first = model.pages(TOKENS.length);
    const second = model.pages(TOKENS.length);
    const step = (pages: Int32Array, tokens: number[]) =>
      model.step([{ tokens, sequence: { rows: tokens.length, segments: [], tail: { pages, position: 0, past: 0 } } }]);
    await step(first, TOKENS);
    await step(second, [...TOKENS].reverse());
    const read = (pages: Int32Array) => model.pool.readPages(pages, TOKENS.length);
    const [forwards, backwards] = [await read(first), await read(second)];
    expect(forwards).not.toEqual(backwards);
    await step(second, TOKENS);
    await step(first, [...TOKENS].reverse());
    expect(await read(second)).toEqual(forwards);
    expect(await read(first)).toEqual(backwards);
  });

  test('fails a bad step with the reason, and runs the next one', async () => {
    const pages = model.pages(TOKENS.length);
    const run = (tail: Int32Array) =>
      model.step([
        {
          tokens: TOKENS,
          sequence: { rows: TOKENS.length, segments: [], tail: { pages: tail, position: 0, past: 0 } },
        },
      ]);
    const good = await run(pages);
    await expect(run(Int32Array.of(1 << 20))).rejects.toThrow(
      /BlockAttention: step metadata, sequence 0: tail page 1048576 lies outside the pool of 256 pages/,
    );
    await expect(run(new Int32Array())).rejects.toThrow(
      /BlockAttention: step metadata, sequence 0: too few tail pages: 0 for 7 tokens/,
    );
    expect(await run(pages)).toEqual(good);
  });
});

test("attaching leaves every page of ONNX Runtime's library as protected as the loader made it", () => {
  const script = (before: string) => `
    import { readFileSync } from 'node:fs';
    ${before}
    await import('onnxruntime-node');
    const lines = readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes('libonnxruntime.so'));
    const origin = parseInt(lines[0], 16);
    for (const line of lines) {
      const [range, flags] = line.split(' ');
      const [from, to] = range.split('-').map((address) => parseInt(address, 16) - origin);
      console.log(from, to, flags);
    }`;
  const layout = (before: string) => {
    const args = ['--input-type=module', '-e', script(before)];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: PACKAGE_DIR, encoding: 'utf8' });
    expect(stderr).toBe('');
    return stdout;
  };
  const loader = JSON.stringify(join(PACKAGE_DIR, 'dist/src/kernels/load-addon.js'));
  const attached = layout(`(await import(${loader})).loadAddon();`);
  expect(attached).toContain('r--p');
  expect(attached).toBe(layout(''));
});
