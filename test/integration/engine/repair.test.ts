/** Repair through the whole engine: worker, scheduler, operator, probe. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';

import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { createEngine } from '../../../src/engine/create-engine.js';
import type { RepairOptions } from '../../../src/engine/engine.js';
import { type Engine, type GenerateEvent, GREEDY, type SamplingParams } from '../../../src/engine/engine.js';
import { importModel } from '../../../src/model/import-model.js';
import type { ImportedModel } from '../../../src/model/imported-model.js';
import type { PlanBlock, PromptPlan } from '../../../src/prompt/prompt-plan.js';

const ALL = { prefix: '' };
const POOL = new Set(['pool'] as const);

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const SAMPLING: SamplingParams = { ...GREEDY, maxTokens: 6, topLogprobs: 2 };
const SINKS = Int32Array.of(1, 5);
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-repair-'));

const block = (seed: number, length: number): PlanBlock => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length }, (_, index) => (seed * 31 + index * index * 7) % 180),
});
const plan = (blocks: PlanBlock[], attention: 'block' | 'full' = 'block'): PromptPlan => ({
  attention,
  sinkTokenIds: SINKS,
  blocks,
  finalTokenIds: Int32Array.of(7, 8, 9),
});

interface Opened {
  engine: Engine;
  cache: BlockCache;
  close: () => Promise<void>;
}

async function open(model: ImportedModel, name: string, maxBatchTokens?: number): Promise<Opened> {
  const { layers, kvHeads, headDim } = model.config;
  const cache: BlockCache = new BlockCache({
    shape: { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' },
    store: await LmdbStore.open(join(directory, name)),
    hostBytes: 0,
  });
  const engine = await createEngine({
    model,
    cache,
    kvDtype: 'float16',
    kvMemoryBytes: 4 << 20,
    threads: 1,
    ...(maxBatchTokens === undefined ? {} : { policy: { maxBatchTokens } }),
  });
  return {
    engine,
    cache,
    close: async () => {
      await engine.close();
      await cache.close();
    },
  };
}

/** The whole answer: tokens with their logprobs, and the report of the prefill. */
async function answer(engine: Engine, prompt: PromptPlan, repair?: RepairOptions, signal?: AbortSignal) {
  const events: GenerateEvent[] = [];
  const request = {
    plan: prompt,
    sampling: SAMPLING,
    ...(repair === undefined ? {} : { repair }),
  };
  for await (const event of engine.generate(request, signal)) events.push(event);
  const prefilled = events.find((event) => event.type === 'prefilled');
  if (prefilled?.type !== 'prefilled') throw new Error('no prefill was reported');
  return { tokens: events.filter((event) => event.type === 'token'), prefilled };
}

let model: ImportedModel;
let opened: Opened;
beforeAll(async () => {
  const checkpointDir = join(CHECKPOINTS, 'qwen3-norm');
  model = await importModel({ checkpointDir, weights: 'fp32', cacheDir: join(directory, 'imports') });
  opened = await open(model, 'store');
});
afterAll(async () => {
  await opened.close();
  rmSync(directory, { recursive: true, force: true });
});

const BLOCKS = [block(1, 40), block(2, 17), block(3, 33), block(4, 50)];

describe.each(['first', 'deviation'] as const)('a repair that chooses %s', (by) => {
  const repair = { share: 0.3, by };

  test('answers the same from cold blocks, from the pool and from the store', async () => {
    const { engine, cache } = opened;
    await cache.forget(ALL);
    const cold = await answer(engine, plan(BLOCKS), repair);
    const warm = await answer(engine, plan(BLOCKS), repair);
    expect(warm.tokens).toEqual(cold.tokens);
    expect(warm.prefilled.blocks.map(({ origin }) => origin)).toEqual(['pool', 'pool', 'pool', 'pool']);
    await engine.ingest(BLOCKS, { sinkTokenIds: SINKS });
    await cache.forget(ALL, POOL);
    const loaded = await answer(engine, plan(BLOCKS), repair);
    expect(loaded.prefilled.blocks.map(({ origin }) => origin)).toEqual(['store', 'store', 'store', 'store']);
    expect(loaded.tokens).toEqual(cold.tokens);
  });

  test('answers otherwise than plain block attention, and nearer to full attention', async () => {
    const { engine } = opened;
    const plain = await answer(engine, plan(BLOCKS));
    const full = await answer(engine, plan(BLOCKS, 'full'));
    const most = await answer(engine, plan(BLOCKS), { share: 0.97, by });
    const firstLogprob = ({ tokens }: typeof plain) =>
      (tokens[0]?.type === 'token' ? tokens[0].logprob : undefined) ?? 0;
    expect(Math.abs(firstLogprob(most) - firstLogprob(full))).toBeLessThan(
      Math.abs(firstLogprob(plain) - firstLogprob(full)),
    );
    expect((await answer(engine, plan(BLOCKS), repair)).tokens).not.toEqual(plain.tokens);
  });

  test('reports what it computed again, and counts it', async () => {
    const { engine } = opened;
    await answer(engine, plan(BLOCKS));
    const before = engine.statistics().repairedTokens;
    const { prefilled } = await answer(engine, plan(BLOCKS), repair);
    const repaired = prefilled.blocks.reduce((sum, { repairedTokens }) => sum + (repairedTokens ?? 0), 0);
    expect(prefilled.blocks[0]?.repairedTokens).toBeUndefined();
    expect(repaired).toBeGreaterThan(0);
    expect(repaired).toBeLessThanOrEqual(2 * 16);
    expect(prefilled.cachedTokens).toBe(SINKS.length + 140 - repaired);
    await expect.poll(async () => engine.statistics().repairedTokens).toBe(before + repaired);
  });

  test('of everything is full attention, to the last bit', async () => {
    const { engine } = opened;
    const full = await answer(engine, plan(BLOCKS, 'full'));
    const whole = await answer(engine, plan(BLOCKS), { share: 1, by });
    expect(whole.tokens).toEqual(full.tokens);
    expect(whole.prefilled.cachedTokens).toBe(0);
  });

  test('answers the same beside others and in small steps', async () => {
    const prompts = [1, 2, 3, 4].map((seed) => plan([block(seed, 12 * seed), block(9, 21), block(seed, 30)]));
    const alone = [];
    for (const prompt of prompts) alone.push((await answer(opened.engine, prompt, repair)).tokens);
    await opened.cache.forget(ALL);
    const together = await Promise.all(prompts.map((prompt) => answer(opened.engine, prompt, repair)));
    expect(together.map(({ tokens }) => tokens)).toEqual(alone);
    const small = await open(model, `small-${by}`, 32);
    const chunked = await Promise.all(prompts.map((prompt) => answer(small.engine, prompt, repair)));
    expect(chunked.map(({ tokens }) => tokens)).toEqual(alone);
    await small.close();
  });

  test('holds no page once it is over, cancelled or not', async () => {
    const { engine } = opened;
    const cancel = new AbortController();
    const request = { id: `c-${by}`, plan: plan(BLOCKS), sampling: { ...SAMPLING, maxTokens: 90 }, repair };
    for await (const event of engine.generate(request, cancel.signal)) if (event.type === 'token') cancel.abort();
    await answer(engine, plan([]));
    await expect.poll(async () => engine.statistics().pool.activePages).toBe(0);
  });
});

test('a model of one layer is told that it cannot choose by deviation', async () => {
  const checkpointDir = join(CHECKPOINTS, 'qwen2-yarn-old-spelling');
  const shallow = await importModel({ checkpointDir, weights: 'fp32', cacheDir: join(directory, 'imports') });
  const { engine, close } = await open(shallow, 'shallow');
  const repair = { share: 0.2, by: 'deviation' as const };
  await expect(answer(engine, plan(BLOCKS), repair)).rejects.toMatchObject({ code: 'invalid_request' });
  await answer(engine, plan(BLOCKS), { share: 0.2, by: 'first' });
  await close();
});
