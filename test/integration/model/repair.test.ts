/** Repaired prompts through the real operator, against the mixtures that training/fixtures/make_repair.py computed. */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Run, readGolden, relativeDifference, StepModel } from '../../../bench/step-model.js';
import { PromptRepair, type RepairRun } from '../../../src/engine/repair/prompt-repair.js';
import { chooseFirst } from '../../../src/engine/repair/repair-plan.js';
import type { Segment } from '../../../src/kernels/step-metadata.js';

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const NAMES = readdirSync(CHECKPOINTS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
const PAGE_TOKENS = 16;

interface RepairCase {
  order: number[];
  pages: number[][];
}
const CASES = JSON.parse(await readFile(join(CHECKPOINTS, 'repair.json'), 'utf8')) as Record<string, RepairCase>;

test('the pages of the golden case `first` are those that a share of one half chooses', async () => {
  const { plan } = await readGolden(join(CHECKPOINTS, 'qwen3-norm'));
  const { order, pages } = CASES['first'] as RepairCase;
  const lengths = order.map((index) => plan.blocks[index]?.length as number);
  expect(chooseFirst(lengths, 0.5, PAGE_TOKENS).map((flags) => [...flags])).toEqual(pages);
});

describe.each(NAMES)('%s, repaired, against transformers', (name) => {
  const checkpoint = join(CHECKPOINTS, name);
  let model: StepModel;
  let golden: Awaited<ReturnType<typeof readGolden>>;
  let repaired: Map<string, Float32Array>;
  beforeAll(async () => {
    model = await StepModel.open(checkpoint);
    golden = await readGolden(checkpoint);
    ({ logits: repaired } = await readGolden(checkpoint, 'repair.safetensors'));
  });
  afterAll(() => model.close());

  /** Blocks prefilled alone, then the runs and segments of a case. */
  async function layOut({ order, pages }: RepairCase) {
    model.forgetPages();
    const { plan } = golden;
    const front = await model.prefill(plan.sinks, 0, [], 1000);
    const sinks: Segment = { pages: front.pages, length: plan.sinks.length, delta: 0 };
    const blocks = [];
    for (const index of order) {
      const tokens = plan.blocks[index] as number[];
      const prefilled = await model.prefill(tokens, sinks.length, [sinks], 1000);
      blocks.push({ tokenIds: Int32Array.from(tokens), pages: prefilled.pages });
    }
    const lengths = blocks.map(({ tokenIds }) => tokenIds.length);
    const repair = new PromptRepair({ share: 0.99, by: 'first' }, lengths, PAGE_TOKENS);
    repair.choose(pages.map((flags) => Uint8Array.from(flags)));
    repair.pages = model.pages(repair.pageBudget * PAGE_TOKENS);
    const segments = repair.layOut(sinks, blocks);
    const position = segments.reduce((sum, { length }) => sum + length, 0);
    return { runs: repair.runs, segments, position };
  }

  /** Rows of one run, or of the final block, as the engine's steps have them. */
  const rowsOf = (run: RepairRun, past: number, count: number): Run => {
    const tokens = [...run.tokenIds.subarray(past, past + count)];
    const { segments, pages, position } = run;
    return { tokens, sequence: { rows: tokens.length, segments, tail: { pages, position, past } } };
  };

  test.each(Object.keys(CASES))('%s, all runs and the final block in one step', async (which) => {
    const { runs, segments, position } = await layOut(CASES[which] as RepairCase);
    const { final } = golden.plan;
    const last = {
      position,
      tokenIds: Int32Array.from(final),
      pages: model.pages(final.length),
      segments,
      computed: 0,
    };
    const logits = await model.step([...runs, last].map((run) => rowsOf(run, 0, run.tokenIds.length)));
    const own = logits.subarray(logits.length - final.length * model.model.config.vocabSize);
    expect(relativeDifference(own, repaired.get(which) as Float32Array)).toBeLessThan(1e-3);
  });

  test('runs and final block in steps of any size, beside another request', async () => {
    const vocabulary = model.model.config.vocabSize;
    const { final } = golden.plan;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(CASES)),
        fc.integer({ min: 1, max: 30 }),
        fc.nat(20),
        async (which, budget, other) => {
          const { runs, segments, position } = await layOut(CASES[which] as RepairCase);
          const pages = model.pages(final.length);
          const last = { position, tokenIds: Int32Array.from(final), pages, segments, computed: 0 };
          const logits: number[] = [];
          const waiting = [...runs, last];
          while (waiting.length > 0) {
            const step: Run[] = [];
            let left = budget;
            if (other > 0) {
              const tail = { pages: model.pages(other), position: 0, past: 0 };
              const sequence = { rows: other, segments: [], tail };
              step.push({ tokens: Array.from({ length: other }, (_, index) => index + 3), sequence });
            }
            let finalRows = 0;
            while (left > 0 && waiting[0] !== undefined) {
              const run = waiting[0];
              const count = Math.min(left, run.tokenIds.length - run.computed);
              step.push(rowsOf(run, run.computed, count));
              run.computed += count;
              left -= count;
              if (run === last) finalRows = count;
              if (run.computed === run.tokenIds.length) waiting.shift();
            }
            const output = await model.step(step);
            logits.push(...output.subarray(output.length - finalRows * vocabulary));
          }
          expect(relativeDifference(Float32Array.from(logits), repaired.get(which) as Float32Array)).toBeLessThan(1e-3);
        },
      ),
      { numRuns: 6 },
    );
  });
});
