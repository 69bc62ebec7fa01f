import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { blockKey } from '../../../src/cache/block-key.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import type { KvDtype } from '../../../src/kernels/native-addon.js';
import type { Segment } from '../../../src/kernels/step-metadata.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { type GoldenPlan, readGolden, relativeDifference, StepModel } from '../../support/step-model.js';

const CHECKPOINTS = join(import.meta.dirname, '../../fixtures/checkpoints');
const GGUF = join(import.meta.dirname, '../../fixtures/gguf');
const NAMES = readdirSync(CHECKPOINTS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);
/** Name, checkpoint, and the directory with the golden logits: directories, and the same weights as GGUF files. */
const MODELS: [string, string, string][] = NAMES.flatMap((name): [string, string, string][] => {
  const directory = join(CHECKPOINTS, name);
  const file = join(GGUF, `${name}.gguf`);
  const models: [string, string, string][] = [[name, directory, directory]];
  if (existsSync(file)) models.push([`${name}.gguf`, file, directory]);
  return models;
});

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-parity-'));
let redis: TestRedis;
let client: Redis;
let lmdb: LmdbStore;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
  lmdb = await LmdbStore.open(directory);
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

const STORES: [string, () => ByteStore][] = [
  ['LMDB', () => lmdb],
  ['Redis', () => new RedisStore({ client, ttlSeconds: 60 })],
];

interface Stitched {
  segments: Segment[];
  position: number;
}

/** Segments of blocks that lie in `cached` pages, stitched in `order` behind the sinks. */
function stitch(sinks: Segment, cached: readonly { pages: Int32Array; length: number }[], order: readonly number[]) {
  const segments = [sinks];
  let position = sinks.length;
  for (const index of order) {
    const block = cached[index] as { pages: Int32Array; length: number };
    segments.push({ ...block, delta: position - sinks.length });
    position += block.length;
  }
  return { segments, position };
}

/**
 * As the engine does it with a store: every block is prefilled alone, read out of its pages and saved; its pages are
 * then overwritten (evicted), and the block comes back from the store into other pages. Nothing is kept in memory.
 */
async function stitchedThrough(store: ByteStore, model: StepModel, plan: GoldenPlan, chunk: number): Promise<Stitched> {
  const { layers, kvHeads, headDim } = model.model.config;
  const { fingerprint } = model.model;
  const shape = { fingerprint, layers, kvHeads, headDim, dtype: 'float32' as const };
  const cache = new BlockCache({ shape, store, hostBytes: 0 });
  const sinkTokenIds = Int32Array.from(plan.sinks);
  const keys = plan.blocks.map((block) =>
    blockKey({ fingerprint, kvDtype: 'float32', sinkTokenIds, tokenIds: Int32Array.from(block) }),
  );
  const { pages } = await model.prefill(plan.sinks, 0, [], chunk);
  const sinks: Segment = { pages, length: plan.sinks.length, delta: 0 };
  for (const [index, block] of plan.blocks.entries()) {
    const prefilled = await model.prefill(block, sinks.length, [sinks], chunk);
    const payload = await model.pool.readPages(prefilled.pages, block.length);
    await cache.computed(keys[index] as string, async () => ({ tokens: block.length, payload }));
    await model.pool.writePages(prefilled.pages, block.length, new Uint8Array(payload.byteLength).fill(0x7f));
  }
  const cached = await Promise.all(
    plan.blocks.map(async (block, index) => {
      const found = await cache.hold(keys[index] as string);
      if (!found.found || found.tier !== 'store') throw new Error(`block ${index} did not come from the store`);
      const loaded = model.pages(block.length);
      await model.pool.writePages(loaded, found.value.tokens, found.value.payload);
      return { pages: loaded, length: block.length };
    }),
  );
  return stitch(sinks, cached, plan.shuffled);
}

/** Prefills sinks and blocks each for itself, moves every payload into other pages, and stitches. */
async function stitched(
  model: StepModel,
  plan: GoldenPlan,
  order: readonly number[],
  chunk: number,
): Promise<Stitched> {
  const k = plan.sinks.length;
  const sinks = await model.prefill(plan.sinks, 0, [], chunk);
  const sinkSegment: Segment = { pages: sinks.pages, length: k, delta: 0 };
  const cached: { pages: Int32Array; length: number }[] = [];
  for (const block of plan.blocks) {
    const { pages } = await model.prefill(block, k, [sinkSegment], chunk);
    const payload = await model.pool.readPages(pages, block.length);
    const moved = model.pages(block.length);
    await model.pool.writePages(moved, block.length, payload);
    cached.push({ pages: moved, length: block.length });
  }
  return stitch(sinkSegment, cached, order);
}

describe.each(MODELS)('%s against transformers', (_name, checkpoint, directory) => {
  let model: StepModel;
  let golden: Awaited<ReturnType<typeof readGolden>>;
  beforeAll(async () => {
    model = await StepModel.open(checkpoint);
    golden = await readGolden(directory);
  });
  afterAll(() => model.close());

  const logitsOf = (key: string) => golden.logits.get(key) as Float32Array;

  test.each([1000, 7, 1])('full attention, prefilled %i tokens at a time', async (chunk) => {
    const { plan } = golden;
    const tokens = [...plan.sinks, ...plan.blocks.flat(), ...plan.final];
    const { logits } = await model.prefill(tokens, 0, [], chunk);
    expect(relativeDifference(logits, logitsOf('full'))).toBeLessThan(1e-3);
  });

  test('blocks prefilled apart, copied out of their pages and into others, stitched in order', async () => {
    const { plan } = golden;
    const { segments, position } = await stitched(
      model,
      plan,
      plan.blocks.map((_, index) => index),
      1000,
    );
    const { logits } = await model.prefill(plan.final, position, segments, 1000);
    expect(relativeDifference(logits, logitsOf('block'))).toBeLessThan(1e-3);
  });

  test('the same blocks in another order, in chunks of 5', async () => {
    const { plan } = golden;
    const { segments, position } = await stitched(model, plan, plan.shuffled, 5);
    const { logits } = await model.prefill(plan.final, position, segments, 2);
    expect(relativeDifference(logits, logitsOf('block_shuffled'))).toBeLessThan(1e-3);
  });

  test.each(STORES)('blocks saved, evicted and loaded back from %s, in another order', async (_, open) => {
    const { plan } = golden;
    const { segments, position } = await stitchedThrough(open(), model, plan, 1000);
    const { logits } = await model.prefill(plan.final, position, segments, 1000);
    expect(relativeDifference(logits, logitsOf('block_shuffled'))).toBeLessThan(1e-3);
  });

  test.each(STORES)('chunks of any size, blocks through %s, beside any other requests', async (_, open) => {
    const { plan } = golden;
    const rows = plan.final.length;
    const vocabulary = model.model.config.vocabSize;
    const other = fc.record({
      tokens: fc.array(fc.integer({ min: 0, max: vocabulary - 1 }), { minLength: 1, maxLength: 40 }),
      stitched: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: rows }),
        fc.array(other, { maxLength: 3 }),
        fc.nat(3),
        async (blockChunk, finalChunk, others, place) => {
          model.forgetPages();
          const { segments, position } = await stitchedThrough(open(), model, plan, blockChunk);
          const pages = model.pages(rows);
          const logits = new Float32Array(rows * vocabulary);
          for (let past = 0; past < rows; past += finalChunk) {
            const tokens = plan.final.slice(past, past + finalChunk);
            const own = { tokens, sequence: { rows: tokens.length, segments, tail: { pages, position, past } } };
            const runs = others.map(({ tokens: ids, stitched: behind }) => {
              const tail = { pages: model.pages(ids.length), position: behind ? position : 0, past: 0 };
              return { tokens: ids, sequence: { rows: ids.length, segments: behind ? segments : [], tail } };
            });
            runs.splice(place, 0, own);
            const before = runs.slice(0, runs.indexOf(own)).reduce((sum, run) => sum + run.tokens.length, 0);
            const all = await model.step(runs);
            logits.set(all.subarray(before * vocabulary, (before + tokens.length) * vocabulary), past * vocabulary);
          }
          expect(relativeDifference(logits, logitsOf('block_shuffled'))).toBeLessThan(1e-3);
        },
      ),
      { numRuns: 8 },
    );
  });

  test('beside other requests in the same step', async () => {
    const { plan } = golden;
    const { segments, position } = await stitched(model, plan, plan.shuffled, 1000);
    const other = model.pages(9);
    const own = model.pages(plan.final.length);
    const logits = await model.step([
      {
        tokens: [3, 1, 4, 1, 5, 9, 2, 6, 5],
        sequence: { rows: 9, segments: [], tail: { pages: other, position: 0, past: 0 } },
      },
      { tokens: plan.final, sequence: { rows: plan.final.length, segments, tail: { pages: own, position, past: 0 } } },
    ]);
    const vocabulary = model.model.config.vocabSize;
    expect(relativeDifference(logits.subarray(9 * vocabulary), logitsOf('block_shuffled'))).toBeLessThan(1e-3);
  });
});

test.each<[KvDtype, number]>([
  ['float16', 5e-3],
  ['bfloat16', 4e-2],
  ['int8', 4e-2],
])('%s keys and values stay near float32', async (dtype, tolerance) => {
  const checkpoint = join(CHECKPOINTS, 'qwen3-norm');
  const model = await StepModel.open(checkpoint, dtype);
  const { plan, logits: golden } = await readGolden(checkpoint);
  const { segments, position } = await stitched(model, plan, plan.shuffled, 1000);
  const { logits } = await model.prefill(plan.final, position, segments, 1000);
  expect(relativeDifference(logits, golden.get('block_shuffled') as Float32Array)).toBeLessThan(tolerance);
  await model.close();
});
