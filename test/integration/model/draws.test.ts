/** The graph's own draws against their definition, over the logits of the same step. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StepModel } from '../../../bench/step-model.js';
import { GREEDY, type SamplingParams } from '../../../src/engine/engine.js';
import { encodeDraws, type GraphDraw } from '../../../src/engine/sampling/graph-draws.js';
import { LogitAdjustments } from '../../../src/engine/sampling/logit-adjustments.js';
import { Sampler } from '../../../src/engine/sampling/sampler.js';
import { NO_DRAFT } from '../../../src/engine/schedule/step-plan.js';

/** Float32 weights and sums may move an edge between two tokens by this share of the total. */
const ROUNDING = 1e-5;
const PROMPT = Int32Array.of(3, 17, 17, 40);

let model: StepModel;
beforeAll(async () => {
  model = await StepModel.open(new URL('../../fixtures/checkpoints/qwen2-bias', import.meta.url).pathname);
});
afterAll(() => model.close());

/** A step of so many rows, each a sequence of its own. */
async function step(rows: number, draws: (GraphDraw | undefined)[]) {
  model.forgetPages();
  const runs = Array.from({ length: rows }, (_, row) => ({
    tokens: [row + 1],
    sequence: { rows: 1, segments: [], tail: { pages: model.pages(1), position: 0, past: 0 } },
  }));
  return model.run(runs, encodeDraws(draws));
}

/** Whether the definition draws this token: in order of id, within rounding. */
function allows(row: Float32Array, { temperature, point }: GraphDraw, id: number): boolean {
  const best = Math.max(...row);
  const weights = Array.from(row, (logit) => Math.exp((logit - best) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const before = weights.slice(0, id).reduce((sum, weight) => sum + weight, 0);
  const goal = point * total;
  return before <= goal + ROUNDING * total && before + (weights[id] as number) >= goal - ROUNDING * total;
}

const CASES: Partial<SamplingParams>[] = [
  { temperature: 8 },
  { temperature: 0.05 },
  { temperature: 5, repetitionPenalty: 1.3 },
  { temperature: 8, repetitionPenalty: 1.1, presencePenalty: 0.4, frequencyPenalty: -0.7 },
  {
    temperature: 8,
    logitBias: new Map([
      [5, 4.25],
      [17, -100],
      [1_000_000, 3],
    ]),
  },
];

test.each(CASES)('with %o are those of the definition, beside rows without a draw', async (asked) => {
  const sampling = { ...GREEDY, ...asked };
  const drawn = new Set<number>();
  for (let seed = 0; seed < 20; seed++) {
    const generated = [17, 9, 9];
    const sampler = new Sampler(sampling, seed, [PROMPT], { graphDraws: true });
    const adjustments = new LogitAdjustments(sampling, [PROMPT]);
    for (const id of generated) {
      sampler.next({
        best: { ids: Int32Array.of(0), values: Float32Array.of(0) },
        logSumExp: 0,
        full: undefined,
        drawn: { id, logit: 0 },
        vocabSize: 1,
      });
      adjustments.accept(id);
    }
    const [draw] = sampler.graphDraws(NO_DRAFT) as [GraphDraw];
    const output = await step(4, [undefined, draw, undefined, draw]);
    const vocab = (output.logits?.length ?? 0) / 4;
    for (const row of [1, 3]) {
      const logits = output.logits?.slice(row * vocab, (row + 1) * vocab) as Float32Array;
      const id = output.drawnIds?.[row] as number;
      expect(output.drawnLogits?.[row]).toBe(logits[id]);
      adjustments.adjustRow(logits);
      expect(allows(logits, draw, id), `seed ${seed}, token ${id}`).toBe(true);
      drawn.add(id);
    }
    expect([output.drawnIds?.[0], output.drawnIds?.[2]]).toEqual([0, 0]);
  }
  if (sampling.temperature >= 0.7) expect(drawn.size).toBeGreaterThan(5);
});

test('are refused where the inputs do not fit together, and the next step runs', async () => {
  const sampler = new Sampler({ ...GREEDY, temperature: 1, repetitionPenalty: 2 }, 1, [PROMPT], { graphDraws: true });
  const [draw] = sampler.graphDraws(NO_DRAFT) as [GraphDraw];
  const pages = () => ({ pages: model.pages(1), position: 0, past: 0 });
  const run = (change: (draws: ReturnType<typeof encodeDraws>) => void) => {
    model.forgetPages();
    const draws = encodeDraws([draw]);
    change(draws);
    return model.run([{ tokens: [1], sequence: { rows: 1, segments: [], tail: pages() } }], draws);
  };
  await expect(run(({ adjustedFrom }) => adjustedFrom.set([0, 99]))).rejects.toThrow(
    'DrawToken: adjusted_from goes beyond',
  );
  await expect(run(({ adjustedFrom }) => adjustedFrom.set([2, 1]))).rejects.toThrow(
    'DrawToken: adjusted_from must not descend',
  );
  expect((await run(() => undefined)).drawnIds).toHaveLength(1);
});
