/**
 * Prompt lookup in the real engine: every request gets, to the last bit, the tokens and log-probabilities that it gets
 * without. Small models with random weights soon repeat themselves, so their answers are full of accepted drafts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { createEngine } from '../../../src/engine/create-engine.js';
import { type Engine, type GenerateRequest, GREEDY, type SamplingParams } from '../../../src/engine/engine.js';
import type { KvDtype } from '../../../src/kernels/native-addon.js';
import { importModel } from '../../../src/model/import-model.js';
import type { WeightFormat } from '../../../src/model/imported-model.js';
import type { PlanBlock } from '../../../src/prompt/prompt-plan.js';

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-lookup-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function openEngine(checkpoint: string, weights: WeightFormat, kvDtype: KvDtype, pages: number) {
  const model = await importModel({ checkpointDir: join(CHECKPOINTS, checkpoint), weights, cacheDir: directory });
  const { fingerprint, config } = model;
  const { layers, kvHeads, headDim } = config;
  const cache = new BlockCache({ shape: { fingerprint, layers, kvHeads, headDim, dtype: kvDtype }, hostBytes: 0 });
  const elementBytes = { float32: 4, float16: 2, bfloat16: 2, int8: 1 }[kvDtype];
  const scaleBytes = kvDtype === 'int8' ? 4 : 0;
  const pageBytes = 16 * 2 * layers * kvHeads * (headDim * elementBytes + scaleBytes);
  const engine = await createEngine({
    ...{ model, cache, kvDtype, kvMemoryBytes: (pages + 1) * pageBytes, threads: 1, promptLookup: true },
    policy: { maxBatchTokens: 64, maxRunning: 4, mixedPrefillTokens: 32 },
  });
  onTestFinished(async () => {
    await engine.close();
    await cache.close();
  });
  return engine;
}

const documentOf = (name: number): PlanBlock => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length: 20 + name * 9 }, (_, at) => (name * 31 + ((at * at * 7) % 90)) % 180),
});

/** Biases as strong as these leave only their tokens. */
const ONE_TOKEN = new Map([[42, 100]]);
const FOUR_TOKENS = new Map([42, 43, 44, 45].map((id) => [id, 100]));

const SAMPLINGS: Partial<SamplingParams>[] = [
  { logitBias: ONE_TOKEN },
  { logitBias: FOUR_TOKENS, temperature: 1 },
  {},
  { topLogprobs: 2 },
  { temperature: 0.4 },
  { temperature: 0.3, repetitionPenalty: 1.05, topLogprobs: 1 },
  { temperature: 0.5, topP: 0.9 },
  { frequencyPenalty: 0.1, logitBias: new Map([[7, 1]]) },
];

const draws = fc.record({
  documents: fc.array(fc.nat(3), { maxLength: 3 }),
  final: fc.nat(5),
  maxTokens: fc.constantFrom(2, 20, 60),
  way: fc.constantFrom('block' as const, 'block' as const, 'full' as const, 'repair' as const),
  sampling: fc.constantFrom(...SAMPLINGS),
  seed: fc.nat(5),
  stops: fc.array(fc.nat(179), { maxLength: 2 }),
  predicted: fc.constantFrom(undefined, undefined, 0, 3),
  leavesAfter: fc.constantFrom(undefined, undefined, undefined, 0, 5),
});
type Draw = typeof draws extends fc.Arbitrary<infer T> ? T : never;

/** One is accepted whole, the other one is drawn from few tokens: drafts are made, and most of them end early. */
const SURE: Draw[] = SAMPLINGS.slice(0, 2).map((sampling) => ({
  ...{
    documents: [1, 2],
    final: 2,
    maxTokens: 60,
    way: 'block',
    sampling,
    seed: 1,
    stops: [],
    predicted: 0,
    leavesAfter: undefined,
  },
}));

function requestOf({ documents, final, maxTokens, way, sampling, seed, stops, predicted }: Draw): GenerateRequest {
  return {
    plan: {
      attention: way === 'full' ? 'full' : 'block',
      sinkTokenIds: Int32Array.of(1, 6),
      blocks: documents.map(documentOf),
      finalTokenIds: Int32Array.from({ length: 1 + final }, (_, at) => (final * 13 + at * 3) % 180),
    },
    ...(predicted === undefined ? {} : { predicted: documentOf(predicted).tokenIds }),
    ...(way === 'repair' ? { repair: { share: 0.3, by: 'first' as const } } : {}),
    sampling: { ...GREEDY, ...sampling, maxTokens, seed, stopTokenIds: stops },
  };
}

async function answer(engine: Engine, request: GenerateRequest, leavesAfter?: number) {
  const leave = new AbortController();
  if (leavesAfter === 0) leave.abort();
  const tokens: unknown[] = [];
  let proposed = 0;
  let accepted = 0;
  let reason = '';
  for await (const event of engine.generate(request, leave.signal)) {
    if (event.type === 'prefilled') continue;
    proposed += event.proposedTokens ?? 0;
    if (event.type === 'finish') reason = event.reason;
    else {
      tokens.push([event.tokenId, event.logprob, event.topLogprobs]);
      accepted += event.accepted ? 1 : 0;
      if (tokens.length === leavesAfter) leave.abort();
    }
  }
  return { tokens, reason, proposed, accepted };
}

const plain = (request: GenerateRequest) => ({ ...request, sampling: { ...request.sampling, promptLookup: false } });

describe.each<[string, WeightFormat, KvDtype]>([
  ['qwen3-norm', 'int8', 'float16'],
  ['mistral-window', 'int4', 'int8'],
  ['qwen2-bias', 'fp32', 'bfloat16'],
])('over %s as %s with %s KV', (checkpoint, weights, kvDtype) => {
  test('requests beside one another get what each gets alone and without it, and all pages come back', async () => {
    // Room for about two requests: they are preempted, and blocks leave.
    const engine = await openEngine(checkpoint, weights, kvDtype, 28);
    await fc.assert(
      fc.asyncProperty(fc.array(draws, { minLength: 1, maxLength: 6 }), async (drawn) => {
        const expected: Awaited<ReturnType<typeof answer>>[] = [];
        for (const draw of drawn) expected.push(await answer(engine, plain(requestOf(draw))));
        const answers = await Promise.all(drawn.map((draw) => answer(engine, requestOf(draw), draw.leavesAfter)));
        for (const [index, { tokens, reason, proposed, accepted }] of answers.entries()) {
          const whole = expected[index] as (typeof expected)[number];
          expect(whole.proposed).toBe(0);
          if (reason !== 'cancelled') expect([tokens, reason]).toEqual([whole.tokens, whole.reason]);
          else expect(tokens).toEqual(whole.tokens.slice(0, tokens.length));
          expect(accepted).toBeLessThanOrEqual(proposed);
        }
        await expect.poll(() => engine.statistics().pool.activePages, { timeout: 120_000, interval: 5 }).toBe(0);
      }),
      { numRuns: 12, examples: [[SURE]] },
    );
    const { drafts, draftTokens, acceptedTokens } = engine.statistics();
    expect(drafts).toBeGreaterThan(0);
    expect(acceptedTokens).toBeGreaterThan(0);
    expect(draftTokens).toBeGreaterThan(acceptedTokens);
  });
});

test('an answer that repeats itself takes fewer steps', async () => {
  const engine = await openEngine('qwen3-norm', 'fp32', 'float32', 60);
  const request: GenerateRequest = {
    plan: {
      attention: 'block',
      sinkTokenIds: Int32Array.of(1, 6),
      blocks: [documentOf(1)],
      finalTokenIds: Int32Array.of(7, 8, 9),
    },
    sampling: { ...GREEDY, maxTokens: 100, logitBias: ONE_TOKEN },
  };
  const steps = async (asked: GenerateRequest) => {
    const before = engine.statistics().steps;
    const { tokens } = await answer(engine, asked);
    expect(tokens).toHaveLength(100);
    return engine.statistics().steps - before;
  };
  await steps(plain(request));
  expect(await steps(plain(request))).toBe(100);
  expect(await steps(request)).toBeLessThan(50);
});

test('a predicted answer comes out as it is without, in few steps, also if parts of it are wrong', async () => {
  const engine = await openEngine('qwen3-norm', 'fp32', 'float32', 60);
  const request: GenerateRequest = {
    plan: {
      attention: 'block',
      sinkTokenIds: Int32Array.of(1, 6),
      blocks: [documentOf(1)],
      finalTokenIds: Int32Array.of(7, 8, 9),
    },
    // An answer that does not repeat itself: without a prediction there is little to propose.
    sampling: { ...GREEDY, temperature: 1, repetitionPenalty: 10, seed: 3, maxTokens: 100 },
  };
  const asked = async (predicted?: Int32Array) => {
    const before = engine.statistics().steps;
    const { tokens, accepted } = await answer(engine, predicted === undefined ? request : { ...request, predicted });
    return { tokens, accepted, steps: engine.statistics().steps - before };
  };
  await asked();
  const free = await asked();
  const predicted = Int32Array.from(free.tokens as [number][], ([tokenId]) => tokenId);
  const whole = await asked(predicted);
  expect(whole.tokens).toEqual(free.tokens);
  expect(free.steps).toBeGreaterThan(60);
  expect(whole.steps).toBeLessThan(20);
  expect(whole.accepted).toBeGreaterThan(free.accepted + 50);
  const changed = await asked(predicted.map((id, at) => (at % 30 === 29 ? (id + 1) % 180 : id)));
  expect(changed.tokens).toEqual(free.tokens);
  expect(changed.steps).toBeLessThan(free.steps);
  await expect(asked(Int32Array.of(1, 2, 1e6))).rejects.toMatchObject({ code: 'invalid_request' });
});
