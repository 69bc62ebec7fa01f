/** A disk that is full while the server runs: a clear message, answers go on, nothing acknowledged is lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { RANDOM_SHAPES, writeRandomCheckpoint } from '../../bench/random-checkpoint.js';
import { BlockCache } from '../../src/cache/block-cache.js';
import { LmdbStore } from '../../src/cache/lmdb-store.js';
import { DocumentRegistry } from '../../src/documents/document-registry.js';
import { LmdbShelf } from '../../src/documents/lmdb-shelf.js';
import { createEngine } from '../../src/engine/create-engine.js';
import { type Engine, GREEDY } from '../../src/engine/engine.js';
import { importModel } from '../../src/model/import-model.js';
import type { ImportedModel } from '../../src/model/imported-model.js';
import type { PlanBlock } from '../../src/prompt/prompt-plan.js';
import { documentRecord, putRecord, textOf } from '../support/document-records.js';
import { emptyDisk, fillDisk, mayMount } from '../support/small-disk.js';

const ALL = { prefix: '' };
const POOL = new Set(['pool'] as const);

const CHECKPOINT = join(import.meta.dirname, '../fixtures/checkpoints/qwen3-norm');
const SINKS = Int32Array.of(1, 5);
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-full-'));
let model: ImportedModel;

beforeAll(async () => {
  model = await importModel({ checkpointDir: CHECKPOINT, weights: 'fp32', cacheDir: join(directory, 'imports') });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const block = (name: number): PlanBlock => ({
  kind: 'document',
  tokenIds: Int32Array.from({ length: 96 }, (_, at) => (name * 31 + at * at * 7) % 180),
});

async function openEngine(store: LmdbStore) {
  const { layers, kvHeads, headDim } = model.config;
  const told: string[] = [];
  const cache = new BlockCache({
    shape: { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float32' },
    store,
    hostBytes: 0,
    breaker: { restMs: 20 },
    cost: { leastWaitMs: 10_000, mostWaitMs: 10_000 },
    onStoreChange: (state, calls, reason) => told.push(`${calls} ${state}: ${reason}`),
  });
  const engine = await createEngine({ model, cache, kvDtype: 'float32', kvMemoryBytes: 4 << 20, threads: 1 });
  const close = async () => {
    await engine.close();
    await cache.close();
  };
  return { engine, cache, told, close };
}

async function answer(engine: Engine, blocks: PlanBlock[]): Promise<number[]> {
  const plan = { attention: 'block', sinkTokenIds: SINKS, blocks, finalTokenIds: Int32Array.of(7, 8) } as const;
  const sampling = { ...GREEDY, maxTokens: 6 };
  const tokens: number[] = [];
  for await (const event of engine.generate({ plan, sampling })) {
    if (event.type === 'token') tokens.push(event.tokenId);
  }
  return tokens;
}

/** Ingests blocks until the store takes no more. @returns the names acknowledged, and why it stopped */
async function fill(engine: Engine, most: number): Promise<{ kept: number[]; error: unknown }> {
  const kept: number[] = [];
  for (let name = 0; name < most; name++) {
    try {
      await engine.ingest([block(name)], { sinkTokenIds: SINKS });
      kept.push(name);
    } catch (error) {
      return { kept, error };
    }
  }
  return { kept, error: undefined };
}

describe('a full disk', () => {
  test.skipIf(!mayMount)('is named to who ingests, and requests go on as if nothing were cached', async () => {
    const path = join(emptyDisk(), 'store');
    const first = await openEngine(await LmdbStore.open(path));
    const { kept, error } = await fill(first.engine, 200);
    expect(kept.length).toBeGreaterThan(3);
    expect(error).toMatchObject({ code: 'store_failed', status: 503 });
    expect(String(error)).toContain('is full');
    const refused = [block(300), block(301)];
    const cold = await answer(first.engine, refused);
    await first.cache.forget(ALL, POOL);
    expect(await answer(first.engine, refused)).toEqual(cold);
    expect((await first.cache.statistics()).store?.failures).toBeGreaterThan(0);
    await first.close();

    const second = await openEngine(await LmdbStore.open(path));
    onTestFinished(() => second.close());
    const keys = kept.map((name) => second.engine.blockKey(block(name).tokenIds, SINKS));
    const places = await second.cache.find(keys);
    expect(places.map(({ tiers }) => tiers)).toEqual(kept.map(() => ['store']));
    for (const key of keys) expect((await second.cache.hold(key)).found).toBe(true);
    // Room again: the store takes blocks again.
    await second.cache.forget(ALL);
    await expect
      .poll(() =>
        second.engine.ingest([block(400)], { sinkTokenIds: SINKS }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
  });

  test.skipIf(!mayMount)('refuses a document with its reason, and keeps those it had taken', async () => {
    const store = await LmdbStore.open(join(emptyDisk(), 'documents'));
    onTestFinished(() => store.close());
    const registry = new DocumentRegistry(new LmdbShelf(store));
    const taken: string[] = [];
    let error: unknown;
    while (error === undefined && taken.length < 100) {
      const id = `document-${taken.length}`;
      try {
        await putRecord(registry, documentRecord(id, { text: id.repeat(10_000) }));
        taken.push(id);
      } catch (reason) {
        error = reason;
      }
    }
    expect(error).toMatchObject({ code: 'store_failed' });
    expect(String(error)).toContain('is full');
    for (const id of taken) expect((await textOf(registry, id))?.length).toBe(id.length * 10_000);
  });
});

test.skipIf(!mayMount)('an import that does not fit says how much is missing before it begins', async () => {
  const checkpointDir = join(directory, 'checkpoint');
  await writeRandomCheckpoint(checkpointDir, { ...RANDOM_SHAPES.tiny, maxPositions: 65_536 });
  const cacheDir = join(emptyDisk(), 'imports');
  await expect(importModel({ checkpointDir, weights: 'fp32', cacheDir })).rejects.toMatchObject({
    code: 'import_failed',
    message: expect.stringMatching(/the disk is full: \d+ bytes are needed, \d+ are free/),
  });
});

test.skipIf(!mayMount)('a store cannot be opened on a full disk, and says why', async () => {
  const path = emptyDisk();
  fillDisk(path);
  await expect(LmdbStore.open(join(path, 'late'))).rejects.toThrow('is full');
});

test('a store at its own limit makes room: what was used longest ago goes, passages before documents', async () => {
  const store = await LmdbStore.open(join(directory, 'limited'), { maxBytes: 1_000_000 });
  const { engine, cache, told, close } = await openEngine(store);
  onTestFinished(close);
  const { kept, error } = await fill(engine, 50);
  expect([kept.length, error]).toEqual([50, undefined]);
  const stored = async (names: readonly number[]) => {
    const keys = names.map((name) => engine.blockKey(block(name).tokenIds, SINKS));
    return (await cache.find(keys)).map(({ tiers }) => tiers.includes('store'));
  };
  const documents = (await stored(kept)).lastIndexOf(false) + 1;
  const newest = kept.slice(documents);
  expect(newest.length).toBeGreaterThan(2);
  expect((await stored(kept)).slice(0, documents)).not.toContain(true);
  const others = [block(60), block(61)];
  const cold = await answer(engine, others);
  await cache.forget(ALL, POOL);
  expect(await answer(engine, others)).toEqual(cold);
  for (const name of [70, 71, 72, 73, 74, 75]) await answer(engine, [block(name)]);
  await expect.poll(() => stored([75])).toEqual([true]);
  expect((await stored(newest.slice(2))).every(Boolean)).toBe(true);
  expect(told).toEqual([]);
  expect((await cache.statistics()).store?.bytes).toBeLessThanOrEqual(1_000_000);
  expect((await cache.statistics()).store?.evicted).toBeGreaterThan(documents);
});
