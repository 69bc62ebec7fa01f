/** A store at its limit, and tenants at theirs: what leaves, what stays, what is refused. Over real LMDB and Redis. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { open as openLmdb } from 'lmdb';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { HEADER_BYTES, payloadBytes } from '../../../src/cache/block-codec.js';
import { tenantTag } from '../../../src/cache/block-key.js';
import type { ByteStore } from '../../../src/cache/byte-store.js';
import { LmdbStore, type LmdbStoreOptions } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import { StoreMacs } from '../../../src/cache/store-macs.js';
import type { RoomAnswer } from '../../../src/cache/tenant-room.js';
import type { BlockShape } from '../../../src/cache/tiers.js';
import { startRedis } from '../../support/redis-server.js';

const SHAPE: BlockShape = { fingerprint: 'ab'.repeat(32), layers: 1, kvHeads: 1, headDim: 4, dtype: 'float32' };
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-limits-'));
const redis = await startRedis();
const client = new Redis(redis.url);
afterAll(async () => {
  client.disconnect();
  await redis.stop();
  rmSync(directory, { recursive: true, force: true });
});

let made = 0;
const path = () => join(directory, String(made++));
async function lmdb(options: LmdbStoreOptions, at = path()): Promise<LmdbStore> {
  const store = await LmdbStore.open(at, options);
  let closed = false;
  const { close } = store;
  store.close = async () => {
    if (!closed) await close.call(store);
    closed = true;
  };
  onTestFinished(() => store.close());
  return store;
}

const keyOf = (name: string, tag = 'aa'.repeat(8)) => tag + Buffer.from(name).toString('hex').padEnd(48, '0');
/** @param wanted names of what ingestions count on */
const put = (store: ByteStore, name: string, bytes = 100, wanted = '') =>
  store.put([
    { key: keyOf(name), value: new Uint8Array(bytes).fill(1), wanted: new Set([...wanted].map((each) => keyOf(each))) },
  ]);
const there = async (store: ByteStore, names: string) => {
  const found = await store.has([...names].map((name) => keyOf(name)));
  return [...names].filter((_, index) => found[index]).join('');
};

describe('LMDB at --store-max', () => {
  test('drops what was used longest ago, also across a restart', async () => {
    let nowMs = 0;
    const options = { maxBytes: 400, useGrainMs: 0, now: () => ++nowMs };
    const at = path();
    const store = await lmdb(options, at);
    for (const name of 'abcd') await put(store, name);
    await store.get([keyOf('a')]);
    store.used([keyOf('b')]);
    await put(store, 'e');
    expect(await there(store, 'abcde')).toBe('abde');
    await store.get([keyOf('d')]);
    await store.close();
    const again = await lmdb(options, at);
    await put(again, 'f', 200);
    expect(await there(again, 'abcdef')).toBe('def');
    expect(await again.statistics()).toEqual({ entries: 3, bytes: 400, evicted: 2 });
  });

  test('drops what documents need last', async () => {
    let nowMs = 0;
    const store = await lmdb({ maxBytes: 400, useGrainMs: 0, now: () => ++nowMs });
    await put(store, 'a', 100, 'a');
    for (const name of 'bcd') await put(store, name);
    await store.keep([keyOf('b'), keyOf('nobody')]);
    for (const name of 'efg') await put(store, name);
    expect(await there(store, 'abcdefg')).toBe('abfg');
    await put(store, 'h', 300);
    expect(await there(store, 'abcdefgh')).toBe('bh');
    // A block that is written again is still needed.
    await put(store, 'b');
    await put(store, 'i', 300);
    expect(await there(store, 'bhi')).toBe('bi');
  });

  test('never drops one block of an ingestion for another: what is larger than the store is refused', async () => {
    const store = await lmdb({ maxBytes: 400 });
    for (const name of 'ab') await put(store, name, 100, 'abcde');
    await put(store, 'x', 200);
    for (const name of 'cd') await put(store, name, 100, 'abcde');
    await expect(put(store, 'e', 100, 'abcde')).rejects.toThrow('100 more do not fit');
    expect(await there(store, 'abcdex')).toBe('abcd');
  });

  test('refuses a value that does not fit at all, and drops nothing for it', async () => {
    const store = await lmdb({ maxBytes: 400 });
    for (const name of 'abcd') await put(store, name);
    await expect(put(store, 'a', 401)).rejects.toThrow('at most 400 bytes');
    await expect(put(store, 'z', 401)).rejects.toThrow('at most 400 bytes');
    expect(await there(store, 'abcdz')).toBe('abcd');
    expect((await store.get([keyOf('a')]))[0]?.byteLength).toBe(100);
  });

  test('shrinks to a smaller limit with the next value, in one transaction', async () => {
    const at = path();
    const before = await lmdb({}, at);
    for (const name of 'abcd') await put(before, name, 1_000);
    await before.close();
    const store = await lmdb({ maxBytes: 2_500 }, at);
    expect(await there(store, 'abcd')).toBe('abcd');
    await put(store, 'e', 1_000);
    expect((await store.statistics()).bytes).toBe(2_000);
    expect(await there(store, 'e')).toBe('e');
  });

  test('takes over the index of an older version, and finds in the records what documents need', async () => {
    const at = path();
    const root = openLmdb<Buffer, string>({ path: at, encoding: 'binary', maxDbs: 8 });
    const database = (name: string) => root.openDB<Buffer, string>({ name, encoding: 'binary' });
    const float64 = (...values: number[]) => Buffer.from(Float64Array.from(values).buffer);
    for (const name of 'abc') {
      await database('blocks').put(`${keyOf(name)}:0`, Buffer.alloc(100));
      await database('sizes').put(keyOf(name), float64(100));
    }
    await database('sizes').put('totals', float64(3, 300));
    await database('documents').put('x/y', Buffer.from(`{"blocks":[{"hash":"${keyOf('a')}"}]}`));
    await root.close();
    const store = await lmdb({ maxBytes: 300 }, at);
    expect(await store.statistics()).toMatchObject({ entries: 3, bytes: 300 });
    await put(store, 'd', 200);
    expect(await there(store, 'abcd')).toBe('ad');
  });
});

const STORES: [string, () => Promise<ByteStore>][] = [
  ['LMDB', () => lmdb({})],
  ['Redis', async () => new RedisStore({ client, ttlSeconds: 0, prefix: `limits-${made++}:` })],
];

describe.each(STORES)('%s', (brand, open) => {
  test('knows the size of each tenant, and lists what it has', async () => {
    const store = await open();
    const [one, two] = ['11'.repeat(8), '22'.repeat(8)];
    const big = new Uint8Array(16 * 1024 * 1024 + 5);
    await store.put([
      { key: keyOf('a', one), value: new Uint8Array(10) },
      { key: keyOf('b', one), value: big },
      { key: keyOf('c', two), value: new Uint8Array(20) },
    ]);
    expect(await store.usage(one)).toMatchObject({ entries: 2, bytes: 10 + big.byteLength });
    expect(await store.usage(two)).toMatchObject({ entries: 1, bytes: 20 });
    expect(await store.usage('33'.repeat(8))).toMatchObject({ entries: 0, bytes: 0 });
    const listed = async (prefix?: string) => {
      const all: [string, number][] = [];
      for await (const { key, bytes } of store.list(prefix)) all.push([key, bytes]);
      return all.sort();
    };
    expect(await listed(one)).toEqual([
      [keyOf('a', one), 10],
      [keyOf('b', one), big.byteLength],
    ]);
    expect((await listed()).length).toBe(3);
    await store.delete([keyOf('b', one)]);
    expect((await store.usage(one)).bytes).toBe(10);
    await store.clear(one);
    expect(await store.usage(one)).toMatchObject({ entries: 0, bytes: 0 });
    expect((await listed()).length).toBe(1);
    expect(brand.toLowerCase()).toBe(store.brand);
  });

  test('takes no more blocks of a tenant at its limit, and all of another', async () => {
    const tokens = 8;
    const bytes = HEADER_BYTES + payloadBytes(SHAPE, tokens);
    const [poor, rich] = [tenantTag('poor'), tenantTag('rich')];
    const store = await open();
    const limits = new Map([[poor, 2 * bytes]]);
    const storedBytesOf = (tag: string) => limits.get(tag);
    const cache = new BlockCache({ shape: SHAPE, store, hostBytes: 1 << 20, storedBytesOf });
    const value = { tokens, payload: new Uint8Array(payloadBytes(SHAPE, tokens)) };
    const save = (name: string, tag: string) => cache.computed(keyOf(name, tag), async () => value);
    const reserve = (tag: string, names: string) =>
      cache.reserveRoom(tag, new Map([...names].map((name) => [keyOf(name, tag), tokens])));
    const release = (...answers: RoomAnswer[]) => {
      for (const answer of answers) if (answer.ok) answer.release();
    };
    const fitting = await reserve(poor, 'xy');
    expect(fitting.ok).toBe(true);
    // What is reserved is not there for others; the same blocks need no more.
    expect(await reserve(poor, 'z')).toEqual({ ok: false, stored: 2 * bytes, limit: 2 * bytes, wanted: bytes });
    const again = await reserve(poor, 'x');
    expect(again.ok).toBe(true);
    release(fitting);
    expect(await reserve(poor, 'yz')).toMatchObject({ ok: false, stored: bytes });
    release(again);
    expect(await reserve(poor, 'abc')).toMatchObject({ ok: false, limit: 2 * bytes, wanted: 3 * bytes });
    expect((await reserve(rich, 'abcdefghijklmnop')).ok).toBe(true);
    // Redis is counted every ten seconds: it is asked for the first time now.
    if (store.brand === 'redis') await client.flushall();
    for (const name of 'ab') expect(await save(name, poor)).toEqual({ durable: true });
    if (store.brand === 'redis') return;
    expect(await save('c', poor)).toMatchObject({ durable: false, reason: expect.stringContaining('of this tenant') });
    for (const name of 'abc') expect(await save(name, rich)).toEqual({ durable: true });
    expect((await cache.statistics()).store?.breaker).toBe('closed');
    // It is found in host memory all the same.
    expect(await cache.hold(keyOf('c', poor))).toMatchObject({ found: true, tier: 'host' });
    await cache.forget({ keys: [keyOf('a', poor)] });
    expect(await save('c', poor)).toEqual({ durable: true });
  });

  test('signed values: keys are changed one after another, and what is not signed is a miss, counted and made anew', async () => {
    const store = await open();
    const [old, young] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const refused: string[] = [];
    const cacheWith = (macs: StoreMacs | undefined) =>
      new BlockCache({
        ...{ shape: SHAPE, store, hostBytes: 0, onCorrupt: (_key, reason) => refused.push(reason) },
        ...(macs === undefined ? {} : { macs }),
      });
    const value = { tokens: 2, payload: new Uint8Array(payloadBytes(SHAPE, 2)).fill(9) };
    const key = keyOf('signed');
    const save = (cache: BlockCache) => cache.computed(key, async () => value);
    const found = async (cache: BlockCache) => {
      const outcome = await cache.hold(key);
      if (!outcome.found) await outcome.release();
      return outcome.found;
    };
    await save(cacheWith(undefined));
    const first = cacheWith(new StoreMacs([old]));
    expect(await found(first)).toBe(false);
    expect((await first.statistics()).store).toMatchObject({ corrupt: 1, misses: 1 });
    expect(await store.has([key])).toEqual([false]);
    expect(await save(first)).toEqual({ durable: true });
    const both = cacheWith(new StoreMacs([young, old]));
    expect([await found(first), await found(both)]).toEqual([true, true]);
    expect(await save(both)).toEqual({ durable: true });
    expect([await found(cacheWith(new StoreMacs([young]))), await found(both)]).toEqual([true, true]);
    expect(await found(first)).toBe(false);
    // Counted each time, reported once for a key.
    expect((await first.statistics()).store?.corrupt).toBe(2);
    expect(refused).toEqual(['not signed']);
  });
});
