import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readGolden, relativeDifference, StepModel } from '../../../bench/step-model.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import type { KvDtype } from '../../../src/kernels/native-addon.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { stitched, stitchedThrough } from '../../support/stitched-prefill.js';

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
