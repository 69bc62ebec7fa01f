import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GREEDY, type SamplingParams } from '../../../../src/engine/engine.js';
import { bestTokens, drawFromBest } from '../../../../src/engine/sampling/best-tokens.js';
import { LogitAdjustments } from '../../../../src/engine/sampling/logit-adjustments.js';
import { logitsNeeded, Sampler } from '../../../../src/engine/sampling/sampler.js';
import { uniform } from '../../../../src/engine/sampling/token-random.js';
import { NO_DRAFT } from '../../../../src/engine/schedule/step-plan.js';
import { block, CoreBench, request } from '../../../support/core-bench.js';
import { adjustedRow, distribution, drawnTokens, rowOf, sortedIds } from '../../../support/reference-sampling.js';

const VOCAB = 500;
const id = fc.integer({ min: 0, max: VOCAB - 1 });
const off = <T>(value: T, others: fc.Arbitrary<T>) => fc.oneof(fc.constant(value), others);
/** Rows from flat to peaked, with equals and tokens ruled out. */
const rows = fc
  .record({
    spread: fc.constantFrom(0, 1e-3, 1, 4, 10),
    seed: fc.integer({ min: 1, max: 2 ** 31 }),
    rounded: fc.boolean(),
    ruledOut: fc.array(id, { maxLength: 20 }),
    more: fc.array(fc.tuple(id, fc.float({ min: -50, max: 50, noNaN: true })), { maxLength: 5 }),
  })
  .map(({ spread, seed, rounded, ruledOut, more }) => {
    const row = Float32Array.from({ length: VOCAB }, (_, index) => {
      const sum = uniform(seed, 3 * index) + uniform(seed, 3 * index + 1) + uniform(seed, 3 * index + 2);
      const value = spread * 2 * (sum - 1.5);
      return rounded ? Math.round(value) : value;
    });
    for (const each of ruledOut) row[each] = Number.NEGATIVE_INFINITY;
    for (const [each, value] of more) row[each] = value;
    return row;
  })
  .filter((row) => row.some((value) => Number.isFinite(value)));
const temperature = fc.oneof(fc.double({ min: 0.01, max: 2, noNaN: true }), fc.constantFrom(0.7, 1));
const sampling: fc.Arbitrary<SamplingParams> = fc.record({
  maxTokens: fc.constant(8),
  stopTokenIds: fc.constant([]),
  temperature: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 6, arbitrary: temperature }),
  topP: off(1, fc.oneof(fc.double({ min: 1e-6, max: 1, noNaN: true }), fc.constantFrom(1e-300, 0.9, 1 - 2 ** -53))),
  topK: off(0, fc.integer({ min: 1, max: VOCAB + 10 })),
  minP: off(0, fc.double({ min: 0, max: 1, noNaN: true })),
  repetitionPenalty: off(1, fc.oneof(fc.double({ min: 0.01, max: 10, noNaN: true }), fc.constant(1.1))),
  presencePenalty: off(0, fc.double({ min: -2, max: 2, noNaN: true })),
  frequencyPenalty: off(0, fc.double({ min: -2, max: 2, noNaN: true })),
  logitBias: fc
    .array(fc.tuple(id, fc.oneof(fc.double({ min: -100, max: 100, noNaN: true }), fc.constantFrom(-100, 100))), {
      maxLength: 8,
    })
    .map((pairs) => new Map(pairs)),
});
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** What the definition gives for the next token. */
function expected(row: Float32Array, asked: SamplingParams, prompt: number[], generated: number[], seed: number) {
  const adjusted = adjustedRow(row, asked, prompt, generated);
  if (asked.temperature === 0) return new Set(sortedIds(adjusted).slice(0, 1));
  return drawnTokens(adjusted, asked, uniform(seed, generated.length));
}

describe('the next token', () => {
  it('is the one that the definition gives, whatever the row, the parameters and the tokens so far', () => {
    fc.assert(
      fc.property(
        fc.array(rows, { minLength: 1, maxLength: 4 }),
        sampling,
        fc.array(id, { maxLength: 60 }),
        seeds,
        (steps, asked, prompt, seed) => {
          const sampler = new Sampler(asked, seed, [Int32Array.from(prompt)]);
          const generated: number[] = [];
          for (const full of steps) {
            const { topK, fullRow } = logitsNeeded(asked);
            const row = rowOf(full, topK);
            const { tokenId } = sampler.next({ ...row, full: fullRow ? full : undefined });
            expect(expected(full, asked, prompt, generated, seed)).toContain(tokenId);
            generated.push(tokenId);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is drawn from the best tokens alone only where the whole row would give the same', () => {
    let settled = 0;
    const u = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(rows, sampling, u, fc.integer({ min: 1, max: 300 }), (full, given, drawn, topK) => {
        const asked = given.temperature === 0 ? { ...given, temperature: 0.7 } : given;
        const adjustments = new LogitAdjustments(asked, [Int32Array.of(1, 2, 3)]);
        const row = rowOf(full, topK);
        const token = drawFromBest(bestTokens(row, adjustments), row, asked, drawn);
        if (token === undefined) return;
        settled++;
        expect(drawnTokens(adjustedRow(full, asked, [1, 2, 3], []), asked, drawn)).toContain(token);
      }),
      { numRuns: 500 },
    );
    expect(settled).toBeGreaterThan(100);
  });

  it('rarely needs the whole row where the model is sure of itself, with a repetition penalty as without', () => {
    const VOCABULARY = 20_000;
    const full = Float32Array.from({ length: VOCABULARY }, (_, index) => 6 * uniform(5, index));
    for (let index = 0; index < 80; index++) full[index * 31] = 24 - index / 5;
    const row = { ...rowOf(full, 128), full: undefined };
    const prompt = Int32Array.from({ length: 4000 }, (_, index) => index * 3);
    const adjustments = new LogitAdjustments({ ...GREEDY, repetitionPenalty: 1.1 }, [prompt]);
    let settled = 0;
    for (let index = 0; index < 1000; index++) {
      const tokens = bestTokens(row, adjustments);
      if (drawFromBest(tokens, row, { temperature: 0.7, topP: 1, topK: 0, minP: 0 }, uniform(9, index)) !== undefined) {
        settled++;
      }
    }
    expect(settled).toBeGreaterThan(990);
  });

  it('comes as often as its probability says, after penalties, bias, top_k and top_p', () => {
    const full = Float32Array.from({ length: 60 }, (_, index) => 4 * uniform(3, index));
    const asked = {
      ...GREEDY,
      temperature: 0.8,
      topP: 0.95,
      topK: 40,
      repetitionPenalty: 1.3,
      logitBias: new Map([[5, 1.5]]),
    };
    const prompt = [1, 2, 3, 4, 5, 6, 7, 8];
    const tokens = distribution(adjustedRow(full, asked, prompt, []), asked);
    const total = tokens.reduce((sum, { weight }) => sum + weight, 0);
    const row = rowOf(full, 16);
    const DRAWS = 15_000;
    const counts = new Map<number, number>();
    for (let seed = 0; seed < DRAWS; seed++) {
      const { tokenId } = new Sampler(asked, seed, [Int32Array.from(prompt)]).next(row);
      counts.set(tokenId, (counts.get(tokenId) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(tokens.map((token) => token.id).sort());
    let chiSquare = 0;
    for (const token of tokens) {
      const share = (DRAWS * token.weight) / total;
      chiSquare += ((counts.get(token.id) ?? 0) - share) ** 2 / share;
    }
    // Mean of the distribution plus five standard deviations.
    const freedom = tokens.length - 1;
    expect(chiSquare).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
  });

  it('does not change the row that the model gave', () => {
    const full = Float32Array.from({ length: 300 }, () => 1);
    const before = full.slice();
    const asked = { ...GREEDY, temperature: 1.5, repetitionPenalty: 2, logitBias: new Map([[7, 3]]) };
    new Sampler(asked, 1, [Int32Array.of(1, 2)]).next(rowOf(full, 128));
    expect(full).toEqual(before);
  });

  it('has the log-probability that the model gave it, before all changes', () => {
    const full = Float32Array.from({ length: 300 }, (_, index) => index / 100);
    const asked = { ...GREEDY, temperature: 0, topLogprobs: 2, logitBias: new Map([[10, 100]]) };
    const row = rowOf(full, 128);
    const { tokenId, logprob, topLogprobs } = new Sampler(asked, 1, []).next(row);
    expect(tokenId).toBe(10);
    expect(logprob).toBe((full[10] as number) - row.logSumExp);
    expect(topLogprobs?.map((token) => token.tokenId)).toEqual([299, 298]);
  });

  it('is the one that the graph drew, where the graph draws', () => {
    const asked = { ...GREEDY, temperature: 0.7, topLogprobs: 1, repetitionPenalty: 1.1, frequencyPenalty: 0.5 };
    const sampler = new Sampler(asked, 3, [Int32Array.of(4, 5, 4)], { graphDraws: true });
    expect(sampler.needed).toEqual({ topK: 1, fullRow: false });
    const best = { values: Float32Array.of(9), ids: Int32Array.of(2) };
    const row = { best, logSumExp: 9.5, full: undefined, vocabSize: 300 };
    const points: number[] = [];
    for (const id of [7, 7, 5]) {
      const [draw] = sampler.graphDraws(NO_DRAFT);
      expect(draw).toMatchObject({ temperature: 0.7, repetition: 1.1, presence: 0, frequency: 0.5 });
      points.push(draw?.point ?? Number.NaN);
      expect(sampler.next({ ...row, drawn: { id, logit: 4 } })).toMatchObject({ tokenId: id, logprob: 4 - 9.5 });
    }
    expect(points).toEqual([0, 1, 2].map((index) => uniform(3, index)));
    // Each token once: id, twice the times it was generated plus one for the penalty, no bias.
    expect(sampler.graphDraws(NO_DRAFT)[0]?.adjusted).toEqual(Int32Array.of(4, 1, 0, 5, 3, 0, 7, 5, 0));
    expect(() => sampler.next(row)).toThrow(TypeError);
  });

  it('is asked of the graph for a whole draft as it would be token by token', () => {
    const asked = { ...GREEDY, temperature: 0.7, repetitionPenalty: 1.1, logitBias: new Map([[9, 2]]) };
    const samplers = [0, 1].map(() => new Sampler(asked, 3, [Int32Array.of(4, 5)], { graphDraws: true }));
    const [ahead, after] = samplers as [Sampler, Sampler];
    const draft = Int32Array.of(7, 5, 7, 9);
    const draws = ahead.graphDraws(draft);
    expect(draws).toHaveLength(5);
    const best = { values: Float32Array.of(9), ids: Int32Array.of(2) };
    for (const [index, draw] of draws.entries()) {
      expect(draw).toEqual(after.graphDraws(NO_DRAFT)[0]);
      after.next({ best, logSumExp: 9.5, full: undefined, drawn: { id: draft[index] ?? 0, logit: 4 }, vocabSize: 300 });
    }
    // Nothing of it has come yet.
    expect(ahead.graphDraws(NO_DRAFT)[0]).toEqual(draws[0]);
  });

  it.each([{ topP: 0.9 }, { topK: 5 }, { minP: 0.1 }, { temperature: 0 }])(
    'is not left to the graph with %o',
    (limits) => {
      const sampler = new Sampler({ ...GREEDY, temperature: 0.7, ...limits }, 1, [], { graphDraws: true });
      expect(sampler.graphDraws(NO_DRAFT)).toEqual([]);
      expect(sampler.needed).toEqual(logitsNeeded({ ...GREEDY, temperature: 0.7, ...limits }));
    },
  );

  it('is an error where the logits are not finite', () => {
    const row = rowOf(Float32Array.of(1, 2), 2);
    row.best.values[0] = Number.NaN;
    expect(() => new Sampler(GREEDY, 1, []).next(row)).toThrow(RangeError);
  });
});

describe('a request with penalties', () => {
  it('gets the same tokens alone and among others', async () => {
    const asked = { ...GREEDY, maxTokens: 8, temperature: 0.7, repetitionPenalty: 1.1, logitBias: new Map([[3, 2]]) };
    const spec = (name: string) => request(name, [block(1, 7), block(2, 9)], { sampling: asked, seed: 42 });
    const alone = new CoreBench();
    alone.submit(spec('sampled'));
    await alone.drain();
    const among = new CoreBench();
    const wide = { ...asked, temperature: 1.9, topK: 200 };
    among.submit(request('other', [block(1, 7)], { sampling: wide, seed: 3 }));
    among.submit(spec('sampled'));
    among.submit(request('greedy', [block(2, 9)]));
    await among.drain();
    expect(alone.tokens('sampled')).toHaveLength(8);
    expect(among.tokens('sampled')).toEqual(alone.tokens('sampled'));
  });
});
