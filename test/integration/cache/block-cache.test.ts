import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { open as openLmdb } from 'lmdb';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BlockCache, type BlockCacheOptions } from '../../../src/cache/block-cache.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import type { BlockShape, BlockValue } from '../../../src/cache/tiers.js';
import { DocumentRegistry } from '../../../src/documents/document-registry.js';
import { RedisShelf } from '../../../src/documents/redis-shelf.js';
import { documentRecord, putRecord, textOf } from '../../support/document-records.js';
import { FaultyStore } from '../../support/faulty-store.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 2, kvHeads: 2, headDim: 8, dtype: 'float16' };
const PATIENT = { leastWaitMs: 10_000, mostWaitMs: 10_000 };
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-cache-'));
const lmdb = await LmdbStore.open(directory);
let redis: TestRedis;
let client: Redis;
let keys = 0;

const freshKey = () => `key-${++keys}`;
const value = (tokens: number): BlockValue => ({
  tokens,
  payload: Uint8Array.from({ length: tokens * 2 * 2 * 2 * 16 }, (_, index) => index * tokens),
});
const open = (store: ByteStore, more: Partial<BlockCacheOptions> = {}) =>
  new BlockCache({ shape: SHAPE, store, hostBytes: 0, cost: PATIENT, ...more });

async function payloadOf(cache: BlockCache, key: string): Promise<Uint8Array | undefined> {
  const outcome = await cache.hold(key);
  return outcome.found && outcome.value ? Uint8Array.from(outcome.value.payload) : undefined;
}

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
  client.on('error', () => undefined);
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

describe.each(STORES)('two replicas over one %s', (_, store) => {
  test('compute a missing block once: the other waits for it and finds it', async () => {
    const [first, second] = [open(store()), open(store())];
    const key = freshKey();
    const right = await first.hold(key, { computeMs: 5_000 });
    expect(right.found).toBe(false);
    const waiting = second.hold(key, { computeMs: 5_000 });
    await first.computed(key, async () => value(3));
    if (!right.found) await right.release();
    expect(await waiting).toMatchObject({ found: true, value: { tokens: 3 } });
  });

  test('a request waits for the other replica no longer than computing takes', async () => {
    const [first, second] = [open(store()), open(store())];
    const key = freshKey();
    await first.hold(key, { computeMs: 5_000 });
    const startMs = performance.now();
    const outcome = await second.hold(key, { computeMs: 60 });
    const waitedMs = performance.now() - startMs;
    expect(outcome.found).toBe(false);
    expect(waitedMs).toBeGreaterThanOrEqual(55);
    expect(waitedMs).toBeLessThan(1_000);
  });

  test('a replica that gives its right back lets the other compute at once', async () => {
    const [first, second] = [open(store()), open(store())];
    const key = freshKey();
    const right = await first.hold(key, { computeMs: 30_000 });
    const waiting = second.hold(key, { computeMs: 30_000 });
    if (!right.found) await right.release();
    expect((await waiting).found).toBe(false);
  });
});

test("a lock in Redis ends with its holder's time, and only its holder can release it", async () => {
  const store = new RedisStore({ client, ttlSeconds: 0 });
  const key = freshKey();
  const dead = await store.lock(key, 30);
  await expect.poll(() => store.lock(key, 10_000), { timeout: 120_000 }).toBeDefined();
  await dead?.release();
  expect(await store.lock(key, 10_000)).toBeUndefined();
});

test('a block in Redis leaves after its time to live', async () => {
  const key = freshKey();
  await open(new RedisStore({ client, ttlSeconds: 3_600 })).computed(key, async () => value(1));
  const ttl = await client.ttl(`blockstitch:block:{${key}}:0`);
  expect(ttl).toBeGreaterThan(3_500);
  expect(ttl).toBeLessThanOrEqual(3_600);
});

describe.each(STORES)('a damaged value in %s', (_, store) => {
  test('is a miss each time, counted, logged once, and replaced by the next save', async () => {
    const faulty = new FaultyStore(store());
    const refused: string[] = [];
    const cache = open(faulty, { onCorrupt: (key, reason) => refused.push(`${key}: ${reason}`) });
    const key = freshKey();
    for (let turn = 1; turn <= 3; turn++) {
      faulty.fault = 'none';
      await cache.computed(key, async () => value(4));
      expect((await cache.hold(key)).found).toBe(true);
      faulty.fault = 'damages';
      const outcome = await cache.hold(key);
      expect(outcome.found).toBe(false);
      if (!outcome.found) await outcome.release();
      expect(await faulty.has([key])).toEqual([false]);
      expect((await cache.statistics()).store?.corrupt).toBe(turn);
    }
    expect(refused).toHaveLength(1);
    faulty.fault = 'none';
    await cache.computed(key, async () => value(4));
    expect(await payloadOf(cache, key)).toEqual(value(4).payload);
  });

  test('of another model is refused by its fingerprint', async () => {
    const key = freshKey();
    await open(store()).computed(key, async () => value(2));
    const other = open(store(), { shape: { ...SHAPE, fingerprint: 'ef'.repeat(32) } });
    expect((await other.hold(key)).found).toBe(false);
  });
});

describe('a store in trouble', () => {
  test('that hangs costs no request more than computing the block would', async () => {
    const faulty = new FaultyStore(lmdb);
    faulty.fault = 'hangs';
    const cache = open(faulty, { cost: { leastWaitMs: 10, mostWaitMs: 10_000 } });
    const startMs = performance.now();
    const outcome = await cache.hold(freshKey(), { tokens: 4, computeMs: 40 });
    expect(outcome.found).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(38);
  });

  test('that hangs is given up for a while, and used again when it answers', async () => {
    const faulty = new FaultyStore(lmdb);
    const changes: string[] = [];
    const cache = open(faulty, {
      cost: { leastWaitMs: 5, mostWaitMs: 5 },
      breaker: { threshold: 2, restMs: 60, timeoutMs: 20 },
      onStoreChange: (state, calls) => changes.push(`${calls} ${state}`),
    });
    const key = freshKey();
    await cache.computed(key, async () => value(2));
    faulty.fault = 'hangs';
    await expect
      .poll(
        async () => {
          await cache.hold(freshKey());
          return (await cache.statistics()).store?.breaker;
        },
        { timeout: 120_000, interval: 5 },
      )
      .toBe('open');
    faulty.fault = 'none';
    await expect.poll(async () => (await cache.hold(key)).found).toBe(true);
    expect(changes).toContain('reads open');
    expect(changes).toContain('reads closed');
    await expect
      .poll(async () => {
        await cache.hold(freshKey());
        return (await cache.statistics()).store?.breaker;
      })
      .toBe('closed');
  });

  test('that cannot be written to is still read from', async () => {
    const small = await LmdbStore.open(join(directory, 'small'), { maxBytes: 4_000 });
    const cache = open(small, { breaker: { threshold: 2 } });
    const kept = freshKey();
    expect(await cache.computed(kept, async () => value(20))).toEqual({ durable: true });
    for (let turn = 0; turn < 3; turn++) {
      const refused = await cache.computed(freshKey(), async () => value(40));
      expect(refused).toMatchObject({ durable: false, reason: expect.stringContaining('at most 4000 bytes') });
    }
    expect(await payloadOf(cache, kept)).toEqual(value(20).payload);
    expect((await cache.statistics()).store).toMatchObject({ entries: 1, breaker: 'open' });
    await cache.close();
  });

  test('that is slower than computing is passed over, and what it has is not written again', async () => {
    const faulty = new FaultyStore(lmdb);
    const cache = open(faulty, { cost: { leastWaitMs: 1, mostWaitMs: 1_000, probeMs: 60_000 } });
    const stored = Array.from({ length: 6 }, freshKey);
    for (const key of stored) await cache.computed(key, async () => value(2));
    faulty.fault = 'slow';
    faulty.delayMs = 30;
    for (const key of stored) await cache.hold(key, { tokens: 2, computeMs: 1_000 });
    const { gets, puts } = faulty;
    const [key = ''] = stored;
    expect((await cache.hold(key, { tokens: 2, computeMs: 3 })).found).toBe(false);
    expect(faulty.gets).toBe(gets);
    expect(await cache.computed(key, async () => value(2))).toEqual({ durable: true });
    expect(faulty.puts).toBe(puts);
    expect((await cache.statistics()).store).toMatchObject({ passedOver: 1 });
  });

  test('Redis that dies is left alone, and used again when it is back', async () => {
    const own = await startRedis();
    const lost = new Redis(own.url, { maxRetriesPerRequest: 1, retryStrategy: () => 20, commandTimeout: 500 });
    lost.on('error', () => undefined);
    const cache = open(new RedisStore({ client: lost, ttlSeconds: 0 }), { breaker: { restMs: 50 } });
    const key = freshKey();
    await cache.computed(key, async () => value(2));
    await own.stop();
    for (let turn = 0; turn < 4; turn++) expect((await cache.hold(freshKey())).found).toBe(false);
    expect((await cache.statistics()).store?.breaker).not.toBe('closed');
    const back = await startRedis(own.port);
    await expect
      .poll(async () => (await cache.computed(key, async () => value(2))).durable, { timeout: 120_000 })
      .toBe(true);
    await expect.poll(async () => (await cache.hold(key)).found, { timeout: 120_000 }).toBe(true);
    lost.disconnect();
    await back.stop();
  });
});

test('Redis that is full refuses blocks and documents by name, and is still read from', async () => {
  const server = await startRedis(undefined, ['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction']);
  onTestFinished(() => server.stop());
  const full = new Redis(server.url);
  onTestFinished(() => full.disconnect());
  const cache = open(new RedisStore({ client: full, ttlSeconds: 0 }), { breaker: { threshold: 2 } });
  const kept: string[] = [];
  let refused: string | undefined;
  while (refused === undefined && kept.length < 200) {
    const key = freshKey();
    const outcome = await cache.computed(key, async () => value(500));
    if (outcome.durable) kept.push(key);
    else refused = outcome.reason;
  }
  expect(refused).toContain('OOM');
  expect(kept.length).toBeGreaterThan(0);
  for (const key of kept) expect((await cache.hold(key)).found).toBe(true);
  const registry = new DocumentRegistry(new RedisShelf(full));
  const put = putRecord(registry, documentRecord('a', { text: 'x'.repeat(1_000_000) }));
  await expect(put).rejects.toMatchObject({ code: 'store_failed', status: 503 });
  expect(await textOf(registry, 'a')).toBeUndefined();
});

describe('LMDB', () => {
  test('counts entries and bytes across restarts', async () => {
    const path = join(directory, 'counted');
    const first = await LmdbStore.open(path);
    await first.put([
      { key: 'a', value: new Uint8Array(100) },
      { key: 'b', value: new Uint8Array(17 * 1024 * 1024) },
    ]);
    await first.put([{ key: 'a', value: new Uint8Array(50) }]);
    const expected = { entries: 2, bytes: 50 + 17 * 1024 * 1024 };
    expect(await first.statistics()).toMatchObject(expected);
    await first.close();
    const second = await LmdbStore.open(path);
    expect(await second.statistics()).toMatchObject(expected);
    expect(await second.delete(['b', 'c'])).toBe(1);
    expect(await second.statistics()).toMatchObject({ entries: 1, bytes: 50 });
    await second.close();
  });

  test('that was written before there was an index gets one when it is opened', async () => {
    const path = join(directory, 'old');
    const old = openLmdb({ path, encoding: 'binary', maxDbs: 4 });
    const blocks = old.openDB<Buffer, string>({ name: 'blocks', encoding: 'binary' });
    await blocks.put('a:0', Buffer.alloc(10, 1));
    await blocks.put('b:0', Buffer.alloc(16 * 1024 * 1024, 2));
    await blocks.put('b:1', Buffer.alloc(5, 3));
    await old.close();
    const store = await LmdbStore.open(path);
    expect(await store.statistics()).toMatchObject({ entries: 2, bytes: 15 + 16 * 1024 * 1024 });
    const [a, b] = await store.get(['a', 'b']);
    expect([a?.byteLength, b?.byteLength, b?.at(-1)]).toEqual([10, 5 + 16 * 1024 * 1024, 3]);
    await store.close();
  });
});
