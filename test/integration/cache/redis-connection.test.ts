/** The life of a connection to Redis: failover behind one address, silence, rights, slow lines, a server that still loads. */
import { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type ConnectOptions, connectRedis, type RedisState } from '../../../src/cache/connect-redis.js';
import { RedisStore } from '../../../src/cache/redis-store.js';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { loadConfig } from '../../../src/config.js';
import { DocumentRegistry } from '../../../src/documents/document-registry.js';
import { RedisShelf } from '../../../src/documents/redis-shelf.js';
import { documentRecord, putRecord } from '../../support/document-records.js';
import { startRedisProxy } from '../../support/redis-proxy.js';
import { startRedis } from '../../support/redis-server.js';

function connect(url: string, options?: ConnectOptions) {
  const client = connectRedis(loadConfig({ redisUrl: url }, {}), options);
  onTestFinished(() => client.disconnect());
  return client;
}

/** A store and documents over one line, and the server behind it. */
async function served(extra: readonly string[] = []) {
  const redis = await startRedis(undefined, extra);
  onTestFinished(() => redis.stop());
  const proxy = await startRedisProxy(redis.port);
  onTestFinished(() => proxy.close());
  const store = new RedisStore({
    client: connect(proxy.url),
    loads: connect(proxy.url, { carries: 'loads' }),
    ttlSeconds: 0,
  });
  const documents = new DocumentRegistry(new RedisShelf(connect(proxy.url, { carries: 'documents' })));
  const admin = new Redis(redis.url);
  onTestFinished(() => admin.disconnect());
  return { redis, proxy, store, documents, admin };
}

const value = (length: number) => new Uint8Array(length).fill(7);

test('after a failover behind one address nothing fails: what the old master refused goes to the new one', async () => {
  const { proxy, store, documents, admin } = await served();
  await store.put([{ key: 'a', value: value(10) }]);
  await putRecord(documents, documentRecord('old'));
  const next = await startRedis();
  onTestFinished(() => next.stop());
  proxy.lead(next.port);
  await admin.replicaof('127.0.0.1', next.port);
  await store.put([{ key: 'b', value: value(20) }]);
  await putRecord(documents, documentRecord('new'));
  expect(await store.lock('b', 10_000)).toBeDefined();
  const direct = new Redis(next.url);
  onTestFinished(() => direct.disconnect());
  expect(await direct.strlen('blockstitch:block:{b}:0')).toBe(20);
  expect((await documents.find(COMMON_SCOPE, 'new')).state).toBe('found');
});

test('two failovers one after the other fail nothing', async () => {
  const { redis, proxy, store, documents, admin } = await served();
  const next = await startRedis();
  onTestFinished(() => next.stop());
  const other = new Redis(next.url);
  onTestFinished(() => other.disconnect());
  await putRecord(documents, documentRecord('of the first'));
  proxy.lead(next.port);
  await admin.replicaof('127.0.0.1', next.port);
  await putRecord(documents, documentRecord('of the second'));
  await store.put([{ key: 'b', value: value(20) }]);
  await admin.replicaof('NO', 'ONE');
  await other.replicaof('127.0.0.1', redis.port);
  proxy.lead(redis.port);
  // Both connections were made anew less than a second ago, to what is a replica now.
  await putRecord(documents, documentRecord('of the first again'));
  await store.put([{ key: 'c', value: value(30) }]);
  expect(await admin.strlen('blockstitch:block:{c}:0')).toBe(30);
  expect((await documents.find(COMMON_SCOPE, 'of the first again')).state).toBe('found');
});

test('a server that stays read-only still answers, and is not connected to again and again', async () => {
  const { proxy, store, admin } = await served();
  await store.put([{ key: 'a', value: value(10) }]);
  const master = await startRedis();
  onTestFinished(() => master.stop());
  await admin.config('SET', 'replica-read-only', 'yes');
  await admin.config('SET', 'replica-serve-stale-data', 'yes');
  const before = proxy.connections;
  const startMs = performance.now();
  // Of a master that is not there: it keeps what it has.
  await master.stop();
  await admin.replicaof('127.0.0.1', master.port);
  for (let each = 0; each < 3; each++) {
    await expect(store.put([{ key: 'b', value: value(20) }])).rejects.toThrow('READONLY');
    expect((await store.get(['a']))[0]?.byteLength).toBe(10);
  }
  // One a second.
  expect(proxy.connections - before).toBeLessThanOrEqual(1 + (performance.now() - startMs) / 1_000);
});

test('a connection that goes silent without an end is replaced, and what waits on it is asked again', async () => {
  const { proxy, documents } = await served();
  await putRecord(documents, documentRecord('a'));
  proxy.lose();
  expect((await documents.find(COMMON_SCOPE, 'a')).state).toBe('found');
  await putRecord(documents, documentRecord('b'));
});

test('values that nobody waits for any more do not stand in front of others', async () => {
  const { proxy, store, documents } = await served();
  await putRecord(documents, documentRecord('a'));
  await store.put([{ key: 'large', value: value(2_000_000) }]);
  // Whole it takes 100 seconds.
  proxy.slow(20_000);
  const gone = new AbortController();
  const loads = Promise.all([store.get(['large'], gone.signal), store.get(['large'], gone.signal)]);
  await proxy.held('answers', 1_000_000);
  gone.abort(new Error('nobody waits'));
  await expect(loads).rejects.toThrow('nobody waits');
  expect((await documents.find(COMMON_SCOPE, 'a')).state).toBe('found');
  expect(await store.has(['large'])).toEqual([true]);
  proxy.slow();
  expect((await store.get(['large']))[0]?.byteLength).toBe(2_000_000);
});

test('a read that somebody waits for keeps the connection, whoever else has left', async () => {
  const { proxy, store } = await served();
  await store.put([{ key: 'a', value: value(1_000) }]);
  const before = proxy.connections;
  proxy.hold('answers');
  const gone = new AbortController();
  const left = store.get(['a'], gone.signal);
  const stayed = store.get(['a']);
  await proxy.held('answers');
  gone.abort(new Error('nobody waits'));
  await expect(left).rejects.toThrow('nobody waits');
  proxy.release('answers');
  expect((await stayed)[0]?.byteLength).toBe(1_000);
  expect(proxy.connections).toBe(before);
});

test('a user without scripts and INFO can do everything, and nothing is printed beside the log', async () => {
  const { redis, admin } = await served();
  await admin.acl('SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-@scripting', '-info');
  const printed = (['warn', 'error', 'log'] as const).map((name) => vi.spyOn(console, name));
  onTestFinished(() => void vi.restoreAllMocks());
  const url = redis.url.replace('//', '//app:secret@');
  const store = new RedisStore({ client: connect(url), ttlSeconds: 0 });
  const documents = new DocumentRegistry(new RedisShelf(connect(url, { carries: 'documents' })));
  const lock = await store.lock('k', 60_000);
  await lock?.release();
  expect(await admin.exists('blockstitch:lock:{k}')).toBe(0);
  const again = await store.lock('k', 60_000);
  await admin.set('blockstitch:lock:{k}', 'of another');
  await again?.release();
  expect(await admin.get('blockstitch:lock:{k}')).toBe('of another');
  await putRecord(documents, documentRecord('a'));
  await store.put([{ key: 'k', value: value(10) }]);
  expect((await store.get(['k']))[0]?.byteLength).toBe(10);
  for (const spy of printed) expect(spy).not.toHaveBeenCalled();
});

test('a wrong password is told at once, in Redis’ words, and once; nothing of a command stands in an error', async () => {
  const redis = await startRedis(undefined, ['--requirepass', 'right']);
  onTestFinished(() => redis.stop());
  const states: RedisState[] = [];
  let told = () => {};
  const first = new Promise<void>((resolve) => {
    told = resolve;
  });
  const client = connect(redis.url.replace('//', '//:wrong-secret@'), {
    carries: 'documents',
    onState: (state) => {
      states.push(state);
      told();
    },
  });
  await first;
  expect(states).toEqual([{ usable: false, reason: expect.stringMatching(/^WRONGPASS/) }]);
  const failed = await new DocumentRegistry(new RedisShelf(client))
    .find(COMMON_SCOPE, 'private-id')
    .catch((error: Error) => error);
  expect(failed).toMatchObject({ code: 'store_failed' });
  const cause = (failed as Error).cause as object;
  expect(JSON.stringify([failed, { ...cause }, String(cause)])).not.toMatch(/wrong-secret|private-id/);
  expect(states).toHaveLength(1);
  const admin = new Redis(redis.url.replace('//', '//:right@'));
  onTestFinished(() => admin.disconnect());
  await admin.config('SET', 'requirepass', 'wrong-secret');
  await vi.waitUntil(() => states.length === 2, { timeout: 60_000 });
  expect(states[1]).toEqual({ usable: true });
});
