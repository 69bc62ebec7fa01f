/**
 * `stores`: what a store below the pool costs the first token, for known documents after a restart. Three engines by turns
 * over the same blocks: in the pool, from LMDB, and from Redis where REDIS_URL names one (a scratch server:
 * the bench writes blocks under a prefix of its own and removes them). Beside each, the bare reading of the same bytes.
 * BLOCKSTITCH_STORE_HMAC_KEYS signs them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { BlockCache } from '../src/cache/block-cache.js';
import type { ByteStore } from '../src/cache/byte-store.js';
import { connectRedis } from '../src/cache/connect-redis.js';
import { LmdbStore } from '../src/cache/lmdb-store.js';
import { RedisStore } from '../src/cache/redis-store.js';
import { StoreMacs } from '../src/cache/store-macs.js';
import { withNamedModel } from '../src/cli/named-models.js';
import { loadConfig } from '../src/config.js';
import { createEngine } from '../src/engine/create-engine.js';
import { importModel } from '../src/model/import-model.js';
import type { ImportedModel } from '../src/model/imported-model.js';
import type { PromptPlan } from '../src/prompt/prompt-plan.js';
import {
  type BenchEngine,
  documentBlocks,
  IMPORT_CACHE,
  randomTokens,
  THREADS,
  timed,
  tokenTimes,
} from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const QUESTION_TOKENS = 26;
const KV_BYTES = 1 << 30;
const LMDB_SLACK = 1.3;
const REDIS_SLACK = 1.5;

export async function run({ quick, progress, model: named }: BenchOptions): Promise<BenchReport> {
  const config = loadConfig();
  const checkpoint = withNamedModel({ ...config, model: named ?? config.model, adapter: 'none' }).model;
  const model = await importModel({ checkpointDir: checkpoint, weights: config.weights, cacheDir: IMPORT_CACHE });
  const tokens = quick ? 2000 : 7800;
  const rounds = quick ? 2 : 7;
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-stores-'));
  const prefix = `blockstitch-bench-${process.pid}:`;
  const clients: ReturnType<typeof connectRedis>[] = [];
  const redis = (carries: 'blocks' | 'loads') => {
    const client = connectRedis(config, { carries });
    clients.push(client);
    return client;
  };
  const openers: Record<string, () => Promise<ByteStore>> = { lmdb: () => LmdbStore.open(directory) };
  if (config.redisUrl !== '') {
    openers['redis'] = async () =>
      new RedisStore({ client: redis('blocks'), loads: redis('loads'), ttlSeconds: 600, prefix });
  }
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const checks: BenchReport['checks'] = [];
  try {
    for (const [name, open] of Object.entries(openers)) {
      progress(`${name}: prefilling ${tokens} tokens`);
      await once(model, await open(), promptOf(model, tokens, 0), true);
      const pool: number[] = [];
      const stored: number[] = [];
      const bare: number[] = [];
      for (let round = 1; round <= rounds; round++) {
        const { coldMs, warmMs } = await once(model, await open(), promptOf(model, tokens, round), false);
        stored.push(coldMs);
        pool.push(warmMs);
        bare.push(name === 'lmdb' ? await readFileMs(directory) : await readRedisMs(redis('loads') as Redis, prefix));
        progress(
          `${name}, round ${round}: ${coldMs.toFixed(0)} ms, in the pool ${warmMs.toFixed(0)}, bare ${bare.at(-1)?.toFixed(0)}`,
        );
      }
      medians[`${name}: TTFT after a restart, ms`] = median(stored);
      medians[`${name}: TTFT in the pool, ms`] = median(pool);
      medians[`${name}: bare reading, ms`] = median(bare);
      const slack = name === 'lmdb' ? LMDB_SLACK : REDIS_SLACK;
      const value = median(stored) / (median(pool) + median(bare));
      ratios[`${name}: TTFT / (in the pool + bare reading)`] = value;
      checks.push({ claim: `${name}: TTFT / (in the pool + bare reading) <= ${slack}`, value, holds: value <= slack });
    }
  } finally {
    for (const client of clients) client.disconnect();
    if (config.redisUrl !== '') await forget(connectRedis(config) as Redis, prefix);
    rmSync(directory, { recursive: true, force: true });
  }
  return {
    name: 'stores',
    machine: describeMachine(),
    config: {
      model: checkpoint,
      weights: model.weights,
      tokens,
      questionTokens: QUESTION_TOKENS,
      rounds,
      threads: THREADS,
    },
    medians,
    ratios,
    checks,
  };
}

function promptOf(model: ImportedModel, tokens: number, question: number): PromptPlan {
  const { vocabSize } = model.config;
  const blocks = documentBlocks(1, tokens, vocabSize);
  return {
    attention: 'block',
    sinkTokenIds: Int32Array.of(1),
    blocks: question % 2 === 0 ? blocks : blocks.reverse(),
    finalTokenIds: randomTokens(9000 + question, QUESTION_TOKENS, vocabSize),
  };
}

/** One process life: an engine with an empty pool over the store; the first question, and another one after it. */
async function once(model: ImportedModel, store: ByteStore, plan: PromptPlan, saves: boolean) {
  const { engine, close } = await openEngine(model, store);
  const first = async (asked: PromptPlan) => tokenTimes(await timed(engine, asked, { maxTokens: 1 }))[0] as number;
  try {
    const coldMs = await first(plan);
    const again = [];
    for (let each = 0; each < 3 && !saves; each++) {
      const finalTokenIds = randomTokens(7000 + each, QUESTION_TOKENS, model.config.vocabSize);
      again.push(await first({ ...plan, blocks: [...plan.blocks].reverse(), finalTokenIds }));
    }
    return { coldMs, warmMs: saves ? coldMs : median(again) };
  } finally {
    await close();
  }
}

async function openEngine(model: ImportedModel, store: ByteStore): Promise<Pick<BenchEngine, 'engine' | 'close'>> {
  const { layers, kvHeads, headDim } = model.config;
  const shape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' as const };
  const macs = StoreMacs.ofSetting(loadConfig().storeHmacKeys);
  const cache = new BlockCache({ shape, hostBytes: 0, store, ...(macs && { macs }) });
  const engine = await createEngine({ model, cache, kvDtype: 'float16', kvMemoryBytes: KV_BYTES, threads: THREADS });
  const close = async () => {
    await engine.close();
    await cache.close();
  };
  return { engine, close };
}

/** Reads the data file once, as LMDB's memory map would. */
async function readFileMs(directory: string): Promise<number> {
  const startMs = performance.now();
  await readFile(join(directory, 'data.mdb'));
  return performance.now() - startMs;
}

/** All values under the prefix, as a bare client gets them: one batch of GET. */
async function readRedisMs(client: Redis, prefix: string): Promise<number> {
  const keys = await client.keys(`${prefix}*`);
  const strings: string[] = [];
  for (const key of keys) if ((await client.type(key)) === 'string') strings.push(key);
  const startMs = performance.now();
  await Promise.all(strings.map((key) => client.getBuffer(key)));
  const took = performance.now() - startMs;
  client.disconnect();
  return took;
}

async function forget(client: Redis, prefix: string): Promise<void> {
  const keys = await client.keys(`${prefix}*`);
  if (keys.length > 0) await client.unlink(...keys);
  client.disconnect();
}
