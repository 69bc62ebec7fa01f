import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';

import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { createEngine } from '../../../src/engine/create-engine.js';
import { type Engine, type GenerateEvent, GREEDY, type SamplingParams } from '../../../src/engine/engine.js';
import { importModel } from '../../../src/model/import-model.js';
import type { ImportedModel } from '../../../src/model/imported-model.js';
import type { PlanBlock, PromptPlan } from '../../../src/prompt/prompt-plan.js';

const ALL = { prefix: '' };
const POOL = new Set(['pool'] as const);

const CHECKPOINT = join(import.meta.dirname, '../../fixtures/checkpoints/qwen3-norm');
const SAMPLING: SamplingParams = { ...GREEDY, maxTokens: 12 };
const SINKS = Int32Array.of(1, 5);

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-engine-'));
let model: ImportedModel;
let cache: BlockCache;
let engine: Engine;

const block = (seed: number, length: number): PlanBlock => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length }, (_, index) => (seed * 31 + index * index * 7) % 180),
});
const plan = (blocks: PlanBlock[], final = [7, 8, 9], attention: 'block' | 'full' = 'block'): PromptPlan => ({
  attention,
  sinkTokenIds: SINKS,
  blocks,
  finalTokenIds: Int32Array.from(final),
});

async function run(prompt: PromptPlan, sampling: Partial<SamplingParams> = {}, signal?: AbortSignal) {
  const events: GenerateEvent[] = [];
  for await (const event of engine.generate({ plan: prompt, sampling: { ...SAMPLING, ...sampling } }, signal)) {
    events.push(event);
  }
  const tokens = events.flatMap((event) => (event.type === 'token' ? [event.tokenId] : []));
  const prefilled = events.find((event) => event.type === 'prefilled');
  return { tokens, prefilled, finish: events.at(-1) };
}

/** Waits until no request holds a page: the worker counts after each turn. */
async function activePages(): Promise<number> {
  return engine.statistics().pool.activePages;
}

beforeAll(async () => {
  model = await importModel({ checkpointDir: CHECKPOINT, weights: 'fp32', cacheDir: join(directory, 'imports') });
  const { layers, kvHeads, headDim } = model.config;
  cache = new BlockCache({
    shape: { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' },
    store: await LmdbStore.open(join(directory, 'store')),
    hostBytes: 0,
    // However slow the machine is: these tests name where a block must come from.
    cost: { leastWaitMs: 10_000, mostWaitMs: 10_000 },
  });
  engine = await createEngine({ model, cache, kvDtype: 'float16', kvMemoryBytes: 4 << 20, threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await cache.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('the engine', () => {
  test('answers the same from cold blocks, from the pool and from the store', async () => {
    const prompt = plan([block(1, 40), block(2, 17), block(3, 33)]);
    const cold = await run(prompt);
    expect(cold.prefilled).toMatchObject({ cachedTokens: 0 });
    const warm = await run(prompt);
    expect(warm.tokens).toEqual(cold.tokens);
    expect(warm.prefilled?.type === 'prefilled' && warm.prefilled.blocks.map((each) => each.origin)).toEqual([
      'pool',
      'pool',
      'pool',
    ]);
    await engine.ingest(prompt.blocks, { sinkTokenIds: SINKS });
    await cache.forget(ALL, POOL);
    const loaded = await run(prompt);
    expect(loaded.tokens).toEqual(cold.tokens);
    expect(loaded.prefilled?.type === 'prefilled' && loaded.prefilled.blocks.map((each) => each.origin)).toEqual([
      'store',
      'store',
      'store',
    ]);
  });

  test('hits every block in another order, and answers as with cold blocks in that order', async () => {
    const blocks = [block(4, 30), block(5, 64), block(6, 5)];
    await run(plan(blocks));
    const shuffled = plan([blocks[2] as PlanBlock, blocks[0] as PlanBlock, blocks[1] as PlanBlock]);
    const cached = await run(shuffled);
    expect(cached.prefilled).toMatchObject({ cachedTokens: 99 + SINKS.length });
    await cache.forget(ALL);
    const cold = await run(shuffled);
    expect(cached.tokens).toEqual(cold.tokens);
  });

  test('answers the same alone and beside others', async () => {
    const prompts = [1, 2, 3, 4, 5].map((seed) => plan([block(seed, 10 * seed), block(9, 21)], [seed, 3]));
    const alone = [];
    for (const prompt of prompts) alone.push((await run(prompt)).tokens);
    await cache.forget(ALL);
    const together = await Promise.all(prompts.map(async (prompt) => (await run(prompt)).tokens));
    expect(together).toEqual(alone);
  });

  test('frees the pages of a request that is cancelled', async () => {
    const cancel = new AbortController();
    const events: string[] = [];
    const request = { plan: plan([block(7, 20)]), sampling: { ...SAMPLING, maxTokens: 200 } };
    for await (const event of engine.generate(request, cancel.signal)) {
      events.push(event.type);
      if (event.type === 'token') cancel.abort();
    }
    expect(events.at(-1)).toBe('finish');
    await run(plan([], [3]), { maxTokens: 1 });
    await expect.poll(activePages).toBe(0);
  });

  test('refuses a request that can never fit, and names the limit', async () => {
    await expect(run(plan([block(1, 8)]), { maxTokens: 10_000_000 })).rejects.toMatchObject({
      code: 'context_length_exceeded',
    });
  });

  test('samples the same with the same seed', async () => {
    const sampling = { temperature: 1, seed: 42 };
    const prompt = plan([block(8, 12)]);
    expect((await run(prompt, sampling)).tokens).toEqual((await run(prompt, sampling)).tokens);
  });
});
