/** The real engine when it is full, late or short of pages, and when its worker dies. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { createEngine, type EngineOptions } from '../../../src/engine/create-engine.js';
import { type Engine, type GenerateEvent, GREEDY, type SamplingParams } from '../../../src/engine/engine.js';
import { importModel } from '../../../src/model/import-model.js';
import type { ImportedModel } from '../../../src/model/imported-model.js';
import type { PlanBlock } from '../../../src/prompt/prompt-plan.js';

const CHECKPOINT = join(import.meta.dirname, '../../fixtures/checkpoints/qwen3-norm');
/** 16 tokens of 2 layers of keys and values of 2 heads of 48 dimensions of 4 bytes. */
const PAGE_BYTES = 16 * 2 * 2 * 2 * 48 * 4;
const SINKS = Int32Array.of(1, 6);
const SAMPLING: SamplingParams = { ...GREEDY, maxTokens: 8 };
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-limits-'));
let model: ImportedModel;
let numbers = 0;

beforeAll(async () => {
  model = await importModel({ checkpointDir: CHECKPOINT, weights: 'fp32', cacheDir: join(directory, 'imports') });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function openEngine(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const { layers, kvHeads, headDim } = model.config;
  const cache = new BlockCache({
    shape: { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float32' },
    store: await LmdbStore.open(join(directory, `store-${++numbers}`)),
    hostBytes: 0,
    cost: { leastWaitMs: 10_000, mostWaitMs: 10_000 },
  });
  const engine = await createEngine({
    ...{ model, cache, kvDtype: 'float32', kvMemoryBytes: 65 * PAGE_BYTES, threads: 1 },
    ...options,
  });
  onTestFinished(async () => {
    await engine.close();
    await cache.close();
  });
  return engine;
}

const block = (name: number, length = 30): PlanBlock => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length }, (_, at) => (name * 31 + at * at * 7) % 180),
});

interface Ask {
  blocks?: PlanBlock[];
  sampling?: Partial<SamplingParams>;
  deadlineMs?: number;
  onEvent?: (event: GenerateEvent) => void;
}

async function ask(engine: Engine, { blocks = [], sampling, deadlineMs, onEvent }: Ask = {}) {
  const plan = { attention: 'block', sinkTokenIds: SINKS, blocks, finalTokenIds: Int32Array.of(7, 8) } as const;
  const tokens: number[] = [];
  let finish: GenerateEvent | undefined;
  const request = { id: `limits-${++numbers}`, plan, sampling: { ...SAMPLING, ...sampling } };
  for await (const event of engine.generate(deadlineMs === undefined ? request : { ...request, deadlineMs })) {
    onEvent?.(event);
    if (event.type === 'token') tokens.push(event.tokenId);
    finish = event;
  }
  return { tokens, finish };
}

/** Resolves once no request holds a page. */
const free = (engine: Engine) =>
  expect.poll(async () => engine.statistics().pool.activePages, { timeout: 120_000 }).toBe(0);

describe('a full queue', () => {
  test('refuses the next request at once, and takes one again when there is room', async () => {
    const engine = await openEngine({ maxQueue: 2, policy: { maxRunning: 1 } });
    let started: () => void = () => {};
    const running = new Promise<void>((resolve) => (started = resolve));
    const first = ask(engine, { sampling: { maxTokens: 200 }, onEvent: () => started() });
    await running;
    const waiting = [ask(engine), ask(engine)];
    await expect(ask(engine)).rejects.toMatchObject({ code: 'queue_full', status: 429, details: { limit: 2 } });
    expect((await first).tokens).toHaveLength(200);
    for (const each of waiting) expect((await each).tokens).toHaveLength(8);
    expect((await ask(engine)).tokens).toHaveLength(8);
    await free(engine);
  });
});

describe('a deadline', () => {
  test('ends a request that runs and one that waits, and frees their pages', async () => {
    const engine = await openEngine({ policy: { maxRunning: 1 } });
    const whole = (await ask(engine, { sampling: { maxTokens: 250 } })).tokens;
    let stop: () => void = () => {};
    const begun = new Promise<void>((resolve) => (stop = resolve));
    const running = ask(engine, { sampling: { maxTokens: 250 }, deadlineMs: 15, onEvent: () => stop() });
    const waiting = ask(engine, { deadlineMs: 1 });
    await begun;
    for (const late of [await running, await waiting]) {
      expect(late.finish).toMatchObject({ type: 'finish', reason: 'deadline', generatedTokens: late.tokens.length });
      expect(late.tokens).toEqual(whole.slice(0, late.tokens.length));
    }
    await free(engine);
  });
});

describe('a pool that is too small for all', () => {
  test('sends the youngest request back, and each gives what it gives alone', async () => {
    const engine = await openEngine({ kvMemoryBytes: 19 * PAGE_BYTES });
    const sampling = { maxTokens: 200 };
    const plans = [[block(1)], [block(2)], [block(3, 17)]];
    const alone: number[][] = [];
    for (const blocks of plans) alone.push((await ask(engine, { blocks, sampling })).tokens);
    const together = await Promise.all(plans.map((blocks) => ask(engine, { blocks, sampling })));
    expect(together.map(({ tokens }) => tokens)).toEqual(alone);
    expect(engine.statistics().preemptions).toBeGreaterThan(0);
    await free(engine);
  });

  test('refuses a request that can never fit, by name', async () => {
    const engine = await openEngine({ kvMemoryBytes: 5 * PAGE_BYTES });
    await expect(ask(engine, { sampling: { maxTokens: 100 } })).rejects.toMatchObject({ code: 'pool_too_small' });
    const ingesting = engine.ingest([block(1, 100)], { sinkTokenIds: SINKS });
    await expect(ingesting).rejects.toMatchObject({ code: 'pool_too_small' });
    await free(engine);
  });
});

describe('a worker that dies', () => {
  /** Only a program can send this; it throws in the middle of a step, outside of anything that catches. */
  const POISON = { sampling: { stopTokenIds: null as unknown as number[] } };

  test('fails the running requests and is started again: later answers are the same', async () => {
    const told: string[] = [];
    const logger = { info: () => {}, error: (_: object, message: string) => told.push(message) };
    const engine = await openEngine({ logger });
    const blocks = [block(1), block(2), block(3)];
    const before = await ask(engine, { blocks });
    await engine.ingest(blocks, { sinkTokenIds: SINKS });
    const served = [ask(engine, { blocks, sampling: { maxTokens: 150 } }), ask(engine, POISON)];
    for (const outcome of await Promise.allSettled(served)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'engine_failed', status: 500 } });
    }
    expect(told).toContain('engine worker ended');
    await expect
      .poll(
        () =>
          ask(engine).then(
            () => 'up',
            (error) => error.code,
          ),
        { timeout: 120_000 },
      )
      .toBe('up');
    let origins: string[] = [];
    const after = await ask(engine, {
      blocks,
      onEvent: (event) => {
        if (event.type === 'prefilled') origins = event.blocks.map(({ origin }) => origin);
      },
    });
    expect(after.tokens).toEqual(before.tokens);
    // The pool is new and empty; what had been stored is still there.
    expect(origins).toEqual(['store', 'store', 'store']);
    await free(engine);
  });

  test('fails an ingestion that was under way, and one after it goes through', async () => {
    const engine = await openEngine({ policy: { ingestTokens: 16, maxBatchTokens: 32 } });
    const blocks = Array.from({ length: 12 }, (_, index) => block(40 + index, 64));
    const ingesting = engine.ingest(blocks, { sinkTokenIds: SINKS });
    const outcomes = await Promise.allSettled([ingesting, ask(engine, POISON)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const again = () => engine.ingest(blocks, { sinkTokenIds: SINKS }).then((reports) => reports.length);
    await expect.poll(() => again().catch(() => 0), { timeout: 120_000 }).toBe(12);
    await free(engine);
  });

  test('while the engine closes keeps nobody waiting', async () => {
    const engine = await openEngine();
    const served = Promise.allSettled([ask(engine, { sampling: { maxTokens: 200 } }), ask(engine, POISON)]);
    const startMs = performance.now();
    await engine.close(60_000);
    expect(performance.now() - startMs).toBeLessThan(30_000);
    expect((await served).every(({ status }) => status === 'rejected')).toBe(true);
    await expect(ask(engine)).rejects.toMatchObject({ code: 'shutting_down' });
  });
});
