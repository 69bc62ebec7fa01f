/** Ends in the middle of native work: `close` waits for the step that runs, and then the thread is gone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { RANDOM_SHAPES, writeRandomCheckpoint } from '../../../bench/random-checkpoint.js';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { createEngine } from '../../../src/engine/create-engine.js';
import { type Engine, GREEDY } from '../../../src/engine/engine.js';
import { workerStarter } from '../../../src/engine/host/worker-link.js';
import { SharedCounters } from '../../../src/engine/wire/shared-counters.js';
import { importModel } from '../../../src/model/import-model.js';
import type { ImportedModel } from '../../../src/model/imported-model.js';
import type { PlanBlock } from '../../../src/prompt/prompt-plan.js';

const SINKS = Int32Array.of(1, 6);
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-closing-'));
let model: ImportedModel;

beforeAll(async () => {
  const checkpointDir = join(directory, 'checkpoint');
  // Steps of a whole batch take long enough to be met in the middle.
  await writeRandomCheckpoint(checkpointDir, { ...RANDOM_SHAPES.tiny, maxPositions: 4096 });
  model = await importModel({ checkpointDir, weights: 'fp32', cacheDir: join(directory, 'imports') });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function openEngine(): Promise<{ engine: Engine; cache: BlockCache }> {
  const { layers, kvHeads, headDim } = model.config;
  const cache = new BlockCache({
    shape: { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float32' },
    hostBytes: 0,
  });
  const engine = await createEngine({ model, cache, kvDtype: 'float32', kvMemoryBytes: 64 << 20, threads: 2 });
  return { engine, cache };
}

const blocks: PlanBlock[] = Array.from({ length: 8 }, (_, name) => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length: 500 }, (_, at) => (name * 31 + at * at * 7) % 180),
}));

test('an engine that is closed in a prefill ends its step, fails waiting requests, and leaves no thread', async () => {
  const terminate = vi.spyOn(Worker.prototype, 'terminate');
  for (let round = 0; round < 6; round++) {
    const { engine, cache } = await openEngine();
    const plan = { attention: 'block', sinkTokenIds: SINKS, blocks, finalTokenIds: Int32Array.of(7, 8) } as const;
    const answer = (async () => {
      for await (const event of engine.generate({ plan, sampling: { ...GREEDY, maxTokens: 50 } })) void event;
    })();
    const outcome = answer.then(
      () => 'finished',
      (error) => error.code,
    );
    // From before the first step to well within them.
    if (round > 0)
      await expect.poll(() => engine.statistics().pool.activePages > round * 4, { interval: 0 }).toBe(true);
    await engine.close();
    expect(await outcome).toBe('shutting_down');
    await cache.close();
  }
  expect(terminate).not.toHaveBeenCalled();
  terminate.mockRestore();
});

test('a start whose pool cannot be made says why once its thread is gone', async () => {
  const start = workerStarter(
    {
      model,
      threads: 1,
      pageTokens: 16,
      policy: {
        ...{ maxBatchTokens: 16, mixedPrefillTokens: 8, ingestTokens: 8 },
        ...{ ingestEverySteps: 4, ingestSliceTokens: 4, maxRunning: 4 },
      },
      promptLookup: false,
      counters: new SharedCounters().buffer,
    },
    () => {
      throw new Error('no memory for the pool');
    },
  );
  const failed = vi.fn();
  await expect(start({ news: () => {}, failed })).rejects.toThrow('no memory for the pool');
  expect(failed).not.toHaveBeenCalled();
});
