import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KvDtype } from '../../../src/kernels/native-addon.js';
import type { Segment } from '../../../src/kernels/step-metadata.js';
import { type GoldenPlan, readGolden, relativeDifference, StepModel } from './step-model.js';

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const NAMES = readdirSync(CHECKPOINTS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

/** Prefills sinks and blocks each for itself, sends every payload out and back through `store`, and stitches. */
async function stitched(
  model: StepModel,
  plan: GoldenPlan,
  order: readonly number[],
  chunk: number,
): Promise<{ segments: Segment[]; position: number }> {
  const k = plan.sinks.length;
  const sinks = await model.prefill(plan.sinks, 0, [], chunk);
  const sinkSegment: Segment = { pages: sinks.pages, length: k, delta: 0 };
  const cached: { pages: Int32Array; length: number }[] = [];
  for (const block of plan.blocks) {
    const { pages } = await model.prefill(block, k, [sinkSegment], chunk);
    const payload = await model.pool.readPages(pages, block.length);
    const moved = model.pages(block.length);
    await model.pool.writePages(moved, block.length, payload);
    cached.push({ pages: moved, length: block.length });
  }
  const segments = [sinkSegment];
  let position = k;
  for (const index of order) {
    const block = cached[index] as { pages: Int32Array; length: number };
    segments.push({ ...block, delta: position - k });
    position += block.length;
  }
  return { segments, position };
}

describe.each(NAMES)('%s against transformers', (name) => {
  const directory = join(CHECKPOINTS, name);
  let model: StepModel;
  let golden: Awaited<ReturnType<typeof readGolden>>;
  beforeAll(async () => {
    model = await StepModel.open(directory);
    golden = await readGolden(directory);
  });
  afterAll(() => model.close());

  const logitsOf = (key: string) => golden.logits.get(key) as Float32Array;

  test.each([1000, 7, 1])('full attention, prefilled %i tokens at a time', async (chunk) => {
    const { plan } = golden;
    const tokens = [...plan.sinks, ...plan.blocks.flat(), ...plan.final];
    const { logits } = await model.prefill(tokens, 0, [], chunk);
    expect(relativeDifference(logits, logitsOf('full'))).toBeLessThan(1e-3);
  });

  test('blocks prefilled apart, copied out of their pages and into others, stitched in order', async () => {
    const { plan } = golden;
    const { segments, position } = await stitched(
      model,
      plan,
      plan.blocks.map((_, index) => index),
      1000,
    );
    const { logits } = await model.prefill(plan.final, position, segments, 1000);
    expect(relativeDifference(logits, logitsOf('block'))).toBeLessThan(1e-3);
  });

  test('the same blocks in another order, in chunks of 5', async () => {
    const { plan } = golden;
    const { segments, position } = await stitched(model, plan, plan.shuffled, 5);
    const { logits } = await model.prefill(plan.final, position, segments, 2);
    expect(relativeDifference(logits, logitsOf('block_shuffled'))).toBeLessThan(1e-3);
  });

  test('beside other requests in the same step', async () => {
    const { plan } = golden;
    const { segments, position } = await stitched(model, plan, plan.shuffled, 1000);
    const other = model.pages(9);
    const own = model.pages(plan.final.length);
    const logits = await model.step([
      {
        tokens: [3, 1, 4, 1, 5, 9, 2, 6, 5],
        sequence: { rows: 9, segments: [], tail: { pages: other, position: 0, past: 0 } },
      },
      { tokens: plan.final, sequence: { rows: plan.final.length, segments, tail: { pages: own, position, past: 0 } } },
    ]);
    const vocabulary = model.model.config.vocabSize;
    expect(relativeDifference(logits.subarray(9 * vocabulary), logitsOf('block_shuffled'))).toBeLessThan(1e-3);
  });
});

test.each<[KvDtype, number]>([
  ['float16', 5e-3],
  ['bfloat16', 4e-2],
  ['int8', 4e-2],
])('%s keys and values stay near float32', async (dtype, tolerance) => {
  const directory = join(CHECKPOINTS, 'qwen3-norm');
  const model = await StepModel.open(directory, dtype);
  const { plan, logits: golden } = await readGolden(directory);
  const { segments, position } = await stitched(model, plan, plan.shuffled, 1000);
  const { logits } = await model.prefill(plan.final, position, segments, 1000);
  expect(relativeDifference(logits, golden.get('block_shuffled') as Float32Array)).toBeLessThan(tolerance);
  await model.close();
});
