/**
 * The whole path of a GPU without a GPU: the device library runs the CUDA kernels' device functions on the CPU
 * (kernels/test/emulated_gpu.cc), behind the addon, in the float16 graph, under the engine. A bfloat16 graph cannot run
 * here: ONNX Runtime has its operators for GPUs only.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';

import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { createEngine } from '../../../src/engine/create-engine.js';
import { type Engine, GREEDY, type SamplingParams } from '../../../src/engine/engine.js';
import { EngineGroup } from '../../../src/engine/engine-group.js';
import { loadAddon } from '../../../src/kernels/load-addon.js';
import { importModel } from '../../../src/model/import-model.js';
import type { ActivationType } from '../../../src/model/narrow-graph.js';
import type { PlanBlock, PromptPlan } from '../../../src/prompt/prompt-plan.js';
import { createTextService } from '../../../src/text/text-service.js';

const ROOT = join(import.meta.dirname, '../../..');
const CHECKPOINT = join(ROOT, 'models', 'demo');
const LIBRARY = join(ROOT, 'kernels', 'build', 'libblockstitch_emulated.so');
const SAMPLING: SamplingParams = { ...GREEDY, maxTokens: 10 };
const GPU = { number: 0, provider: 'cpu' } as const;

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-gpu-'));
const open: { engine: Engine; cache: BlockCache }[] = [];
let blocks: PlanBlock[];
let question: Int32Array;
let sinks: Int32Array;

beforeAll(async () => {
  if (!existsSync(LIBRARY)) throw new Error(`${LIBRARY} is missing: node kernels/build.mjs --tests`);
  const addon = loadAddon();
  addon.openDeviceLibrary(LIBRARY);
  expect(addon.devices()).toMatchObject([{ name: 'emulated GPU' }]);
  const text = await createTextService({ checkpointDir: CHECKPOINT });
  const samples = readdirSync(join(CHECKPOINT, 'samples')).filter((name) => name.endsWith('.txt'));
  const documents = samples
    .slice(0, 3)
    .map((name) => readFileSync(join(CHECKPOINT, 'samples', name), 'utf8').slice(0, 300));
  blocks = [];
  for (const document of documents) blocks.push({ kind: 'document', tokenIds: await text.encode(document) });
  question = await text.encode('\nWhat is it about? ');
  sinks = Int32Array.of(0);
  await text.close();
  expect(blocks.length).toBe(3);
});
afterAll(async () => {
  for (const { engine, cache } of open) {
    await engine.close();
    await cache.close();
  }
  rmSync(directory, { recursive: true, force: true });
});

async function start(
  activations: ActivationType,
  options: { kvDtype?: 'float16' | 'bfloat16' | 'int8'; engines?: number } = {},
) {
  const { kvDtype = 'float16', engines = 1 } = options;
  const model = await importModel({
    checkpointDir: CHECKPOINT,
    weights: 'int8',
    activations,
    cacheDir: join(directory, 'imports'),
  });
  const { layers, kvHeads, headDim } = model.config;
  const cache = new BlockCache({
    shape: { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: kvDtype },
    store: await LmdbStore.open(join(directory, `store-${open.length}`)),
    hostBytes: 16 << 20,
    cost: { leastWaitMs: 10_000, mostWaitMs: 10_000 },
  });
  const onGpu = activations !== 'float32';
  const all: Engine[] = [];
  for (let index = 0; index < engines; index++) {
    all.push(
      await createEngine({
        model,
        cache,
        kvDtype,
        // 0 on the GPU: the pool is made when the model is loaded, from what is free then.
        kvMemoryBytes: onGpu ? 0 : 8 << 20,
        ...(onGpu ? { device: GPU } : {}),
        threads: 1,
      }),
    );
  }
  const engine = all.length === 1 ? (all[0] as Engine) : new EngineGroup(all);
  open.push({ engine, cache });
  return engine;
}

async function run(engine: Engine, order: readonly number[]) {
  const plan: PromptPlan = {
    attention: 'block',
    sinkTokenIds: sinks,
    blocks: order.map((index) => blocks[index] as PlanBlock),
    finalTokenIds: question,
  };
  const tokens: number[] = [];
  let origins: string[] = [];
  for await (const event of engine.generate({ plan, sampling: SAMPLING })) {
    if (event.type === 'token') tokens.push(event.tokenId);
    if (event.type === 'prefilled') origins = event.blocks.map((each) => each.origin);
  }
  return { tokens, origins };
}

describe('an emulated GPU', () => {
  test('answers as the CPU does, from cold blocks, from its pool in another order, and from the host tier', async () => {
    const cpu = await start('float32');
    const gpu = await start('float16');
    const expected = await run(cpu, [0, 1, 2]);
    const cold = await run(gpu, [0, 1, 2]);
    expect(cold).toEqual({ tokens: expected.tokens, origins: ['computed', 'computed', 'computed'] });
    const turned = await run(gpu, [2, 0, 1]);
    expect(turned).toEqual({ tokens: (await run(cpu, [2, 0, 1])).tokens, origins: ['pool', 'pool', 'pool'] });
    await gpu.ingest(blocks, { sinkTokenIds: sinks });
    await (open.at(-1) as (typeof open)[number]).cache.forget({ prefix: '' }, new Set(['pool']));
    expect(await run(gpu, [0, 1, 2])).toEqual({ tokens: cold.tokens, origins: ['host', 'host', 'host'] });
    const { pool } = gpu.statistics();
    // 1 GiB free, less what a GPU keeps for activations.
    expect(pool.pages * pool.pageBytes).toBeGreaterThan(200 << 20);
  });

  test('keeps its cache in bfloat16 or int8 as well', async () => {
    for (const kvDtype of ['bfloat16', 'int8'] as const) {
      const gpu = await start('float16', { kvDtype });
      const cold = await run(gpu, [0, 1, 2]);
      expect(cold.tokens).toHaveLength(SAMPLING.maxTokens);
      expect(await run(gpu, [0, 1, 2])).toEqual({ tokens: cold.tokens, origins: ['pool', 'pool', 'pool'] });
    }
  });

  test('shares blocks between two engines of a group through the host tier', async () => {
    const group = await start('float16', { engines: 2 });
    await group.ingest(blocks, { sinkTokenIds: sinks });
    const [first, second] = await Promise.all([run(group, [0, 1, 2]), run(group, [0, 1, 2])]);
    expect(second.tokens).toEqual(first.tokens);
    expect([first.origins, second.origins].map((each) => each[0]).toSorted()).toEqual(['host', 'pool']);
    const { pool, running } = await group.statistics();
    expect(running).toBe(0);
    expect(pool.cachedBlocks).toBeGreaterThanOrEqual(2 * blocks.length);
  });
});
