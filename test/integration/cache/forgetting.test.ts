/** Forgets by every subset of the tiers, and deletes and refused writes on stores that are full: LMDB and Redis. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BlockCache, type BlockCacheOptions, type Pool } from '../../../src/cache/block-cache.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import { type BlockSelection, type BlockShape, type CacheTier, covering } from '../../../src/cache/tiers.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const SHAPE: BlockShape = { fingerprint: 'ab'.repeat(32), layers: 1, kvHeads: 1, headDim: 8, dtype: 'float16' };
const value = (tokens: number) => ({ tokens, payload: Uint8Array.from({ length: tokens * 32 }, (_, at) => at * 3) });
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-forgetting-'));
const lmdb = await LmdbStore.open(join(directory, 'store'));
let redis: TestRedis;
let client: Redis;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
});
afterEach(async () => {
  await client.flushall();
  await lmdb.clear();
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

const STORES: [string, () => ByteStore][] = [
  ['LMDB', () => lmdb],
  ['Redis', () => new RedisStore({ client, ttlSeconds: 0 })],
];
const SUBSETS: CacheTier[][] = [
  ...[['pool'], ['host'], ['store']],
  ...[
    ['pool', 'host'],
    ['pool', 'store'],
    ['host', 'store'],
  ],
  ['pool', 'host', 'store'],
] as CacheTier[][];

const open = (store: ByteStore, more: Partial<BlockCacheOptions> = {}) =>
  new BlockCache({ shape: SHAPE, store, hostBytes: 1 << 20, ...more });

/** An engine's pool that forgets at once. */
class MapPool implements Pool {
  readonly blocks = new Map<string, number>();
  payloadBytes = (tokens: number) => tokens * 32;
  async forget(selection: BlockSelection, tiers: ReadonlySet<CacheTier>): Promise<void> {
    const covers = covering(selection);
    if (tiers.has('pool')) for (const key of [...this.blocks.keys()]) if (covers(key)) this.blocks.delete(key);
  }
}

/** Blocks of two tenants in every tier of a cache with two pools, and what is where. */
async function filled(store: ByteStore) {
  const cache = open(store);
  const pools = [new MapPool(), new MapPool()];
  for (const pool of pools) cache.addPool(pool);
  const keys = Array.from({ length: 6 }, (_, at) => `${at % 2 === 0 ? 'aa' : 'bb'}${'0'.repeat(61)}${at}`);
  for (const [at, key] of keys.entries()) {
    expect(await cache.computed(key, async () => value(3))).toEqual({ durable: true });
    pools[at % 2]?.blocks.set(key, 3);
  }
  const places = async () => (await cache.find(keys)).map(({ tiers }) => tiers);
  const all: CacheTier[] = ['pool', 'host', 'store'];
  expect(await places()).toEqual(keys.map(() => all));
  return { cache, keys, places, all };
}

describe.each(STORES)('a forget in a cache over %s', (_, store) => {
  test.each(SUBSETS.map((tiers) => ({ tiers })))('by $tiers empties exactly those', async ({ tiers }) => {
    const { cache, keys, places, all } = await filled(store());
    const left = all.filter((tier) => !tiers.includes(tier));
    const isOf = (tenant: string) => (key: string) => key.startsWith(tenant);

    // One block; then those of a tenant, by prefix; then all that is left.
    const [first = '', second = ''] = keys;
    expect(await cache.forget({ keys: [first, first, 'cc'.repeat(32)] }, new Set(tiers))).toEqual({ blocks: 1 });
    expect(await places()).toEqual(keys.map((key) => (key === first ? left : all)));
    expect(await cache.forget({ keys: [first] }, new Set(tiers))).toEqual({ blocks: 0 });
    expect(await cache.forget({ prefix: 'aa' }, new Set(tiers))).toEqual({ blocks: 2 });
    expect(await places()).toEqual(keys.map((key) => (isOf('aa')(key) ? left : all)));
    expect(await cache.forget({ keys: [second] }, new Set(tiers))).toEqual({ blocks: 1 });
    expect(await cache.forget({ prefix: '' }, new Set(tiers))).toEqual({ blocks: 2 });
    expect(await places()).toEqual(keys.map(() => left));
    expect(await cache.forget({ prefix: '' }, new Set(tiers))).toEqual({ blocks: 0 });

    // What was left is still what it was; what was dropped is not found by a look for it.
    for (const key of keys) {
      const outcome = await cache.hold(key);
      expect(outcome.found).toBe(left.includes('host') || left.includes('store'));
      if (outcome.found) expect([...(outcome.value?.payload ?? [])]).toEqual([...value(3).payload]);
      else await outcome.release();
    }
  });

  test('by no tier at all drops nothing', async () => {
    const { cache, keys, places, all } = await filled(store());
    expect(await cache.forget({ prefix: '' }, new Set())).toEqual({ blocks: 0 });
    expect(await places()).toEqual(keys.map(() => all));
  });

  test('counts a block once, wherever parts of it are', async () => {
    const { cache, keys } = await filled(store());
    const [a = '', b = '', c = ''] = keys;
    await cache.forget({ keys: [a] }, new Set(['pool', 'host']));
    await cache.forget({ keys: [b] }, new Set(['store']));
    await cache.forget({ keys: [c] });
    expect(await cache.forget({ keys })).toEqual({ blocks: keys.length - 1 });
  });
});

/** Fills a cache until its store refuses three times in a row. @returns the keys that were taken */
async function untilRefused(cache: BlockCache, reason: RegExp): Promise<string[]> {
  const kept: string[] = [];
  let refused = 0;
  for (let number = 0; refused < 3 && number < 500; number++) {
    const key = `${number}`.padStart(64, '0');
    const outcome = await cache.computed(key, async () => value(500));
    if (outcome.durable) {
      kept.push(key);
      refused = 0;
    } else {
      refused++;
      expect(outcome.reason).toMatch(reason);
    }
  }
  expect([kept.length > 2, refused]).toEqual([true, 3]);
  expect((await cache.statistics()).store).toMatchObject({ breaker: 'open' });
  return kept;
}

async function fullRedis(): Promise<Redis> {
  const server = await startRedis(undefined, ['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction']);
  const full = new Redis(server.url);
  onTestFinished(async () => {
    full.disconnect();
    await server.stop();
  });
  return full;
}

const FULL: [string, RegExp, () => Promise<ByteStore>][] = [
  ['Redis without eviction', /OOM/, async () => new RedisStore({ client: await fullRedis(), ttlSeconds: 0 })],
];

describe.each(FULL)('%s', (_, reason, store) => {
  test('deletes and reports after three refused writes, while the breaker of writes is open', async () => {
    const cache = open(await store(), { hostBytes: 0, breaker: { restMs: 3_600_000 } });
    const kept = await untilRefused(cache, reason);
    const [one = '', ...others] = kept;
    expect(await cache.forget({ keys: [one] }, new Set(['store']))).toEqual({ blocks: 1 });
    expect((await cache.find([one]))[0]?.tiers).toEqual([]);
    expect((await cache.find(others)).every(({ tiers }) => tiers.includes('store'))).toBe(true);
    expect((await cache.statistics()).store).toMatchObject({ breaker: 'open' });
    expect(await cache.forget({ prefix: '' })).toEqual({ blocks: others.length });
    expect((await cache.find(kept)).every(({ tiers }) => tiers.length === 0)).toBe(true);
  });

  test('refuses a larger value over an old one and leaves the old one', async () => {
    const bytes = await store();
    const cache = open(bytes, { hostBytes: 0 });
    const kept = await untilRefused(cache, reason);
    const before = await bytes.statistics();
    for (const key of kept.slice(0, 3)) {
      const [old] = await bytes.get([key]);
      await expect(bytes.put([{ key, value: new Uint8Array(4 << 20) }])).rejects.toThrow(reason);
      expect(Buffer.compare((await bytes.get([key]))[0] as Uint8Array, old as Uint8Array)).toBe(0);
    }
    expect(await bytes.statistics()).toMatchObject(before);
    for (const key of kept) expect(await cache.hold(key)).toMatchObject({ found: true, value: { tokens: 500 } });
  });
});
