import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import type { BlockShape } from '../../../src/cache/tiers.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-stores-'));
const SHAPE: BlockShape = { fingerprint: 'ab'.repeat(32), layers: 1, kvHeads: 1, headDim: 8, dtype: 'float16' };
const payload = (tokens: number, seed: number) => Uint8Array.from({ length: tokens * 32 }, (_, index) => index * seed);
const lmdb = await LmdbStore.open(directory);
let redis: TestRedis;
let client: Redis;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
  client.on('error', () => undefined);
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

const STORES: [string, () => ByteStore][] = [
  ['lmdb', () => lmdb],
  ['redis', () => new RedisStore({ client, ttlSeconds: 60 })],
];

describe.each(STORES)('the %s store', (_, open) => {
  test('gives back what was put, splits what is large, and forgets what is deleted', async () => {
    const store = open();
    const large = new Uint8Array(33 * 1024 * 1024).fill(7);
    await store.put([
      { key: 'a', value: Uint8Array.of(1, 2, 3) },
      { key: 'large', value: large },
    ]);
    const [a, missing, back] = await store.get(['a', 'missing', 'large']);
    expect([...(a as Uint8Array)]).toEqual([1, 2, 3]);
    expect(missing).toBeUndefined();
    expect(Buffer.compare(back as Uint8Array, large)).toBe(0);
    expect(await store.has(['a', 'missing'])).toEqual([true, false]);
    expect(await store.statistics()).toMatchObject({ entries: 2 });
    expect(await store.delete(['a', 'missing'])).toBe(1);
    expect(await store.clear()).toBe(1);
    expect(await store.statistics()).toMatchObject({ entries: 0, bytes: 0 });
  });

  test('gives a lock to one at a time', async () => {
    const store = open();
    const first = await store.lock('k', 5_000);
    expect(await store.lock('k', 5_000)).toBeUndefined();
    await first?.release();
    const second = await store.lock('k', 5_000);
    expect(second).toBeDefined();
    await second?.release();
  });

  test('keeps blocks for a cache, and refuses what was damaged', async () => {
    const store = open();
    const refused: string[] = [];
    const cache = new BlockCache({
      shape: SHAPE,
      store,
      hostBytes: 0,
      onCorrupt: (_key, reason) => refused.push(reason),
    });
    expect(await cache.computed('good', async () => ({ tokens: 5, payload: payload(5, 3) }))).toEqual({
      durable: true,
    });
    const found = await cache.hold('good');
    expect(found).toMatchObject({ found: true, tier: 'store', value: { tokens: 5 } });
    const [bytes] = await store.get(['good']);
    const damaged = Uint8Array.from(bytes as Uint8Array);
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
    await store.put([{ key: 'good', value: damaged }]);
    const missed = await cache.hold('good');
    expect(missed.found).toBe(false);
    if (!missed.found) await missed.release();
    expect(refused).toEqual(['payload checksum']);
    expect((await cache.statistics()).store).toMatchObject({ corrupt: 1, hits: 1, breaker: 'closed' });
  });
});

test('a store that is gone is a miss, and requests go on', async () => {
  const own = await startRedis();
  const lost = new Redis(own.url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
  lost.on('error', () => undefined);
  const store = new RedisStore({ client: lost, ttlSeconds: 0 });
  const cache = new BlockCache({ shape: SHAPE, store, hostBytes: 1 << 20 });
  await cache.computed('x', async () => ({ tokens: 2, payload: payload(2, 1) }));
  await own.stop();
  for (let turn = 0; turn < 4; turn++) expect((await cache.hold(`gone-${turn}`)).found).toBe(false);
  expect(await cache.hold('x')).toMatchObject({ found: true, tier: 'host' });
  expect((await cache.statistics()).store).toMatchObject({ breaker: 'open' });
  lost.disconnect();
});
