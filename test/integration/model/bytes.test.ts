/** int8 weights: near float32, the same on processors of both kinds, and a row's logits never depend on the rows beside it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readGolden, relativeDifference, StepModel } from '../../../bench/step-model.js';
import { importModel } from '../../../src/model/import-model.js';

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const TOKENS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9];
/** Byte weights and rows are each half a step of 127 off at most; random models of three layers lose this much. */
const MOST_LOST = 0.12;

describe.each(['llama-tied-llama3', 'qwen2-bias', 'qwen3-norm', 'mistral-window'])('%s', (name) => {
  const checkpoint = join(CHECKPOINTS, name);
  let model: StepModel;
  beforeAll(async () => {
    model = await StepModel.open(checkpoint, 'float32', 'int8');
  });
  afterAll(() => model.close());

  test('the logits are near those of float32 weights', async () => {
    const { plan, logits } = await readGolden(checkpoint);
    const all = [...plan.sinks, ...plan.blocks.flat(), ...plan.final];
    const exact = await StepModel.open(checkpoint);
    const { logits: right } = await exact.prefill(all, 0, [], 1000);
    await exact.close();
    const { logits: rounded } = await model.prefill(all, 0, [], 1000);
    const difference = relativeDifference(rounded, right);
    expect(logits.size).toBeGreaterThan(0);
    expect(difference).toBeLessThan(MOST_LOST);
    expect(difference).toBeGreaterThan(0);
  });

  test('unsigned weights, for processors that multiply signed bytes with errors, give the same bits', async () => {
    const { logits: signed } = await model.prefill(TOKENS, 0, [], 1000);
    const other = await StepModel.open(checkpoint, 'float32', 'int8', undefined, 'unsigned');
    const { logits: unsigned } = await other.prefill(TOKENS, 0, [], 1000);
    await other.close();
    expect(unsigned).toEqual(signed);
  });

  test('a row alone, in chunks, and beside other rows gives the same bits', async () => {
    const { logits: together } = await model.prefill(TOKENS, 0, [], 1000);
    for (const chunk of [1, 4]) {
      const { logits } = await model.prefill(TOKENS, 0, [], chunk);
      expect(logits).toEqual(together);
    }
  });
});

test('imports of both kinds lie side by side in one directory under one fingerprint', async () => {
  const cacheDir = await mkdtemp(join(tmpdir(), 'blockstitch-bytes-'));
  const checkpointDir = join(CHECKPOINTS, 'qwen2-bias');
  const paths = new Set<string>();
  const fingerprints = new Set<string>();
  for (const byteForm of ['signed', 'unsigned', 'signed'] as const) {
    let cached: boolean | undefined;
    const onProgress = (progress: { cached?: boolean }) => {
      cached = progress.cached ?? cached;
    };
    const model = await importModel({ checkpointDir, weights: 'int8', cacheDir, byteForm, onProgress });
    expect(cached).toBe(paths.has(model.graphPath));
    paths.add(model.graphPath);
    fingerprints.add(model.fingerprint);
  }
  expect(paths.size).toBe(2);
  expect(fingerprints.size).toBe(1);
  await rm(cacheDir, { recursive: true });
});
