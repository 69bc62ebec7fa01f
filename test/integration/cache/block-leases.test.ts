/** One replica computes a block, and the others wait for it: for as long as it lives, and no longer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlockCache } from '../../../src/cache/block-cache.js';
import { type ByteStore, LockEnded } from '../../../src/cache/byte-store.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import type { BlockShape, BlockValue } from '../../../src/cache/tiers.js';
import { FaultyStore } from '../../support/faulty-store.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const SHAPE: BlockShape = { fingerprint: 'cd'.repeat(32), layers: 1, kvHeads: 1, headDim: 8, dtype: 'float16' };
/** Nobody would wait by the clock of a request. */
const HURRIED = { leastWaitMs: 0, mostWaitMs: 0 };
const NEVER_MS = 3_600_000;
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-leases-'));
const lmdb = await LmdbStore.open(directory);
const clients: Redis[] = [];
let redis: TestRedis;
let keys = 0;

const freshKey = () => `key-${++keys}`;
const value = (tokens: number): BlockValue => ({ tokens, payload: new Uint8Array(tokens * 32).fill(tokens) });
const open = (store: ByteStore, leaseMs?: number) =>
  new BlockCache({ shape: SHAPE, store, hostBytes: 0, cost: HURRIED, ...(leaseMs === undefined ? {} : { leaseMs }) });

function connect(username?: string): Redis {
  const client = new Redis(redis.url, username === undefined ? {} : { username, password: 'p' });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  redis = await startRedis();
  await connect().call('ACL', 'SETUSER', 'unscripted', 'on', '>p', '~*', '+@all', '-@scripting');
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await redis.stop();
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

const STORES: [string, () => ByteStore][] = [
  ['LMDB', () => lmdb],
  ['Redis', () => new RedisStore({ client: connect(), ttlSeconds: 0 })],
  ['Redis with a time to live', () => new RedisStore({ client: connect(), ttlSeconds: 600 })],
  ['Redis for a user without scripts', () => new RedisStore({ client: connect('unscripted'), ttlSeconds: 0 })],
];

describe.each(STORES)('a lock in %s', (_, store) => {
  test('lets its holder write, and nobody whose lock has ended', async () => {
    const key = freshKey();
    const first = await store().lock(key, NEVER_MS);
    await store().put([{ key, value: Uint8Array.of(1), fence: String(first?.token) }]);
    await first?.release();
    const second = await store().lock(key, NEVER_MS);
    const late = store().put([{ key, value: Uint8Array.of(2), fence: String(first?.token) }]);
    await expect(late).rejects.toBeInstanceOf(LockEnded);
    expect(await first?.renew(1)).toBe(false);
    await first?.release();
    expect(await store().lock(key, NEVER_MS)).toBeUndefined();
    await store().put([{ key, value: Uint8Array.of(3), fence: String(second?.token) }]);
    expect([...((await store().get([key]))[0] as Uint8Array)]).toEqual([3]);
  });

  test('is renewed by its holder', async () => {
    const key = freshKey();
    const lock = await store().lock(key, 10_000);
    expect(await lock?.renew(NEVER_MS)).toBe(true);
    expect(await store().lock(key, 1)).toBeUndefined();
    await lock?.release();
  });
});

describe.each(STORES)('replicas over %s', (_, store) => {
  test('an ingestion waits for the replica that computes the block, whatever a prefill should take', async () => {
    const looked = new FaultyStore(store());
    const [first, second] = [open(store(), NEVER_MS), open(looked, NEVER_MS)];
    const key = freshKey();
    const right = await first.hold(key, { patient: true });
    let over = false;
    const waiting = second.hold(key, { computeMs: 0, patient: true }).finally(() => (over = true));
    await expect.poll(() => looked.gets, { timeout: 120_000 }).toBeGreaterThan(8);
    expect(over).toBe(false);
    expect(await first.computed(key, async () => value(3))).toEqual({ durable: true });
    if (!right.found) await right.release();
    expect(await waiting).toMatchObject({ found: true, value: { tokens: 3 } });
  });

  test('takes over from a replica that is gone when its lock ends', async () => {
    const key = freshKey();
    // Nobody renews this one.
    expect(await store().lock(key, 100)).toBeDefined();
    const outcome = await open(store()).hold(key, { patient: true });
    expect(outcome.found).toBe(false);
    if (!outcome.found) await outcome.release();
  });
});

describe.each(STORES.slice(1))('replicas over %s', (_, store) => {
  test('a replica that was away for longer than its lock lives saves nothing beside its successor', async () => {
    const [away, next] = [open(store(), NEVER_MS), open(store(), NEVER_MS)];
    const key = freshKey();
    const late = await away.hold(key, { patient: true });
    // The process stands still, and its lock ends meanwhile.
    await endLock(key);
    const right = await next.hold(key, { patient: true });
    expect([late.found, right.found]).toEqual([false, false]);
    const saving = away.computed(key, async () => value(9));
    await next.computed(key, async () => value(4));
    if (!right.found) await right.release();
    expect(await saving).toEqual({ durable: true });
    expect(await open(store()).hold(key, { patient: true })).toMatchObject({ found: true, value: { tokens: 4 } });
    if (!late.found) await late.release();
  });

  test('a replica whose lock has ended, and whom nobody followed, saves under a new one', async () => {
    const cache = open(store(), NEVER_MS);
    const key = freshKey();
    const right = await cache.hold(key, { patient: true });
    await endLock(key);
    expect(await cache.computed(key, async () => value(5))).toEqual({ durable: true });
    expect(await store().lock(key, NEVER_MS)).toBeDefined();
    if (!right.found) await right.release();
    expect(await store().lock(key, NEVER_MS)).toBeUndefined();
  });
});

/** As if the time of a lock were over, whoever holds it. */
async function endLock(key: string): Promise<void> {
  await clients[0]?.del(`blockstitch:lock:{${key}}`);
}
