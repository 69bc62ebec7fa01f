/** Records and jobs in the real LMDB and the real Redis: one fact under one key, compared before it is changed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { COMMON_SCOPE } from '../../../src/cache/tiers.js';
import { MAX_ID_BYTES } from '../../../src/documents/document-limits.js';
import { DocumentRegistry } from '../../../src/documents/document-registry.js';
import { type DocumentShelf, headOf, idKey, shelfName } from '../../../src/documents/document-shelf.js';
import type { JobLeases } from '../../../src/documents/job-queue.js';
import type { JobShelf } from '../../../src/documents/job-shelf.js';
import { LmdbJobShelf } from '../../../src/documents/lmdb-job-shelf.js';
import { LmdbShelf } from '../../../src/documents/lmdb-shelf.js';
import { RedisJobLeases } from '../../../src/documents/redis-job-leases.js';
import { RedisJobShelf } from '../../../src/documents/redis-job-shelf.js';
import { RedisShelf } from '../../../src/documents/redis-shelf.js';
import { documentRecord, putRecord, textOf } from '../../support/document-records.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-shelves-'));
const bytes = (text: string) => Buffer.from(text.padEnd(200, '.'));
let lmdb: LmdbStore;
let redis: TestRedis;
let client: Redis;
/** May not run scripts. */
let plain: Redis;

beforeAll(async () => {
  lmdb = await LmdbStore.open(directory);
  redis = await startRedis();
  client = new Redis(redis.url, { maxRetriesPerRequest: 1 });
  await client.call('ACL', 'SETUSER', 'plain', 'on', '>secret', '~*', '+@all', '-@scripting');
  plain = new Redis(redis.port, '127.0.0.1', { username: 'plain', password: 'secret' });
});
afterAll(async () => {
  client.disconnect();
  plain.disconnect();
  await redis.stop();
  await lmdb.close();
  rmSync(directory, { recursive: true, force: true });
});

const SHELVES: [string, () => DocumentShelf][] = [
  ['lmdb', () => new LmdbShelf(lmdb)],
  ['redis', () => new RedisShelf(client)],
  ['redis without scripts', () => new RedisShelf(plain, 'plain:')],
];

describe.each(SHELVES)('documents in %s', (_, open) => {
  test('are changed only if the writer has read their present state', async () => {
    const shelf = open();
    expect(await shelf.put('t', 'x', bytes('one'), undefined)).toBe(true);
    expect(await shelf.put('t', 'x', bytes('two'), undefined)).toBe(false);
    expect(await shelf.put('t', 'x', bytes('two'), headOf(bytes('other')))).toBe(false);
    expect(await shelf.get('t', 'x')).toEqual(bytes('one'));
    expect(await shelf.put('t', 'x', bytes('two'), headOf(bytes('one')))).toBe(true);
    expect(await shelf.remove('t', 'x', headOf(bytes('one')))).toBe(false);
    expect(await shelf.remove('t', 'x', headOf(bytes('two')))).toBe(true);
    expect([await shelf.get('t', 'x'), await shelf.listIds('t', undefined, 9)]).toEqual([undefined, []]);
  });

  test('keep bytes that are no text, under the longest ids, and list them in order', async () => {
    const shelf = open();
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const ids = ['\u{1f600}'.repeat(MAX_ID_BYTES / 4), 'é'.repeat(MAX_ID_BYTES / 2), 'a%2F"\\ ', '中', 'z'];
    for (const id of ids) expect(await shelf.put('long', id, value, undefined)).toBe(true);
    for (const id of ids) expect(await shelf.get('long', id)).toEqual(value);
    const order = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await shelf.listIds('long', undefined, 99)).toEqual(order);
    expect(await shelf.listIds('long', order[1], 2)).toEqual(order.slice(2, 4));
    expect(await shelf.listIds('long', order.at(-1), 2)).toEqual([]);
    expect(await shelf.get('long', 'x'.repeat(5000))).toBeUndefined();
  });

  test('are apart by tenant', async () => {
    const registry = new DocumentRegistry(open());
    const other = { tenant: 'other', salt: '' };
    for (const id of ['b', 'a', 'c']) await putRecord(registry, documentRecord(id));
    await putRecord(registry, documentRecord('a', { text: 'Another.' }), other);
    const page = await registry.list(COMMON_SCOPE, { limit: 2 });
    expect(page).toMatchObject({ records: [{ id: 'a' }, { id: 'b' }], hasMore: true, lastId: 'b' });
    expect(await registry.list(COMMON_SCOPE, { limit: 2, after: 'b' })).toMatchObject({
      records: [{ id: 'c' }],
      hasMore: false,
    });
    expect(await registry.remove(COMMON_SCOPE, 'a', await registry.find(COMMON_SCOPE, 'a'))).toBe(true);
    expect(await textOf(registry, 'a', other)).toBe('Another.');
  });
});

describe('Redis that lost a document', () => {
  test('lists it no more, ends its pages, and has nothing left to delete', async () => {
    const registry = new DocumentRegistry(new RedisShelf(client, 'ghost:'));
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const id of ids) await putRecord(registry, documentRecord(id));
    const tenant = shelfName(COMMON_SCOPE);
    const keyOf = (id: string) => `ghost:document:{${tenant}}:${idKey(id)}`;
    await client.unlink(...['b', 'c', 'f'].map(keyOf));
    const first = await registry.list(COMMON_SCOPE, { limit: 2 });
    expect(first).toMatchObject({ records: [{ id: 'a' }, { id: 'd' }], lastId: 'd', hasMore: true });
    const second = await registry.list(COMMON_SCOPE, { limit: 2, after: 'd' });
    expect(second).toMatchObject({ records: [{ id: 'e' }], hasMore: false });
    expect(await client.zrange(`ghost:documents:{${tenant}}:ids`, '0', '-1')).toEqual(['a', 'd', 'e'].map(idKey));
    await client.unlink(...['a', 'd', 'e'].map(keyOf));
    const empty = await registry.list(COMMON_SCOPE, { limit: 2 });
    expect(empty).toMatchObject({ records: [], hasMore: false });
    expect(await registry.list(COMMON_SCOPE, { limit: 2 })).toMatchObject({ lastId: undefined, hasMore: false });
    expect(await client.keys('ghost:*')).toEqual([]);
  });

  test('does not take an id off the list that was registered again meanwhile', async () => {
    const shelf = new RedisShelf(client, 'back:');
    await shelf.put('t', 'x', bytes('one'), undefined);
    await shelf.unlist('t', 'x');
    expect(await shelf.listIds('t', undefined, 9)).toEqual(['x']);
  });
});

test('documents of before, all texts of a tenant in one hash, are read, moved by a write, and deleted', async () => {
  const tenant = shelfName(COMMON_SCOPE);
  const [texts, index] = [`old:documents:{${tenant}}:texts`, `old:documents:{${tenant}}:ids`];
  const { id: _id, ...rest } = documentRecord('x');
  for (const id of ['a', 'b', 'c']) {
    await client.hset(texts, idKey(id), JSON.stringify({ ...rest, id, cacheSalt: 'a secret' }));
    await client.zadd(index, 0, idKey(id));
  }
  await client.hset(texts, idKey('c'), '{"id":"c","te');
  const registry = new DocumentRegistry(new RedisShelf(client, 'old:'));
  expect(await textOf(registry, 'a')).toBe(rest.text);
  expect((await client.hkeys(texts)).sort()).toEqual(['b', 'c'].map(idKey));
  const page = await registry.list(COMMON_SCOPE, { limit: 9 });
  expect(page).toMatchObject({ records: [{ id: 'a' }, { id: 'b' }], damaged: ['c'], hasMore: false });
  for (const id of ['a', 'c']) {
    expect(await registry.remove(COMMON_SCOPE, id, await registry.find(COMMON_SCOPE, id))).toBe(true);
  }
  const left = await client.keys('old:*');
  expect(left.sort()).toEqual([`old:document:{${tenant}}:${idKey('b')}`, index].sort());
  expect((await client.get(left.find((key) => key.includes('document:')) as string)) ?? '').not.toContain('secret');
});

const JOBS: [string, () => [JobShelf, JobShelf]][] = [
  ['lmdb', () => [new LmdbJobShelf(lmdb), new LmdbJobShelf(lmdb)]],
  ['redis', () => [new RedisJobShelf(client), new RedisJobShelf(client)]],
  ['redis without scripts', () => [new RedisJobShelf(plain, 'plain:'), new RedisJobShelf(plain, 'plain:')]],
];

describe.each(JOBS)('jobs in %s', (_, open) => {
  test('are open in the order of their ids until they end, and are remembered then', async () => {
    const [shelf] = open();
    for (const id of ['job-2', 'job-1', 'job-3']) await shelf.open(id, bytes(id));
    expect(await shelf.listOpen()).toEqual(['job-1', 'job-2', 'job-3']);
    await shelf.end('job-1', bytes('ended'));
    expect(await shelf.listOpen()).toEqual(['job-2', 'job-3']);
    expect([await shelf.get('job-1'), await shelf.get('job-2')]).toEqual([bytes('ended'), bytes('job-2')]);
    expect(await shelf.get('job-none')).toBeUndefined();
    for (const id of ['job-2', 'job-3']) await shelf.end(id, bytes('ended'));
  });

  test('end once: what comes later changes nothing', async () => {
    const [one, two] = open();
    await one.open('job-7', bytes('x'));
    expect(await one.update('job-7', bytes('begun'))).toBe(true);
    expect(await two.end('job-7', bytes('cancelled'), 'sealed')).toBe(true);
    expect(await one.end('job-7', bytes('done'))).toBe(false);
    expect([await one.update('job-7', bytes('again')), await one.seal('job-7')]).toEqual([false, false]);
    expect([await one.get('job-7'), await one.listOpen()]).toEqual([bytes('cancelled'), []]);
  });

  test('that are sealed are ended by whoever runs them alone', async () => {
    const [one, two] = open();
    await one.open('job-8', bytes('x'));
    expect([await one.seal('job-8'), await two.seal('job-8')]).toEqual([true, true]);
    expect(await two.end('job-8', bytes('cancelled'), 'sealed')).toBe(false);
    expect([await one.get('job-8'), await one.listOpen()]).toEqual([bytes('x'), ['job-8']]);
    expect(await one.end('job-8', bytes('done'))).toBe(true);
    expect(await one.get('job-8')).toEqual(bytes('done'));
  });
});

const LEASES: [string, () => [JobLeases, JobLeases]][] = [
  ['lmdb', () => [new LmdbJobShelf(lmdb), new LmdbJobShelf(lmdb)]],
  ['redis without scripts', () => [new RedisJobLeases(plain), new RedisJobLeases(plain)]],
];

test.each(LEASES)('a job in %s is run by the process that holds its lease', async (brand, open) => {
  const [one, two] = open();
  await new LmdbJobShelf(lmdb).open('job-9', bytes('x'));
  expect([await one.lease('job-9', 60_000), await one.lease('job-9', 60_000)]).toEqual([true, true]);
  // Both embedded shelves are of one process: what it holds is its own.
  expect(await two.lease('job-9', 60_000)).toBe(brand === 'lmdb');
  await one.release('job-9');
  expect(await two.lease('job-9', 60_000)).toBe(true);
  await two.release('job-9');
  await new LmdbJobShelf(lmdb).end('job-9', bytes('ended'));
});

test('a lease of an embedded store is worth nothing once its process is gone, or its time is over', async () => {
  const shelf = new LmdbJobShelf(lmdb);
  await shelf.open('job-lease', bytes('x'));
  const held = (pid: number, untilMs: number) =>
    lmdb.write(() => () => void lmdb.jobs.put('lease/job-lease', Buffer.from(JSON.stringify({ pid, untilMs }))));
  await held(process.ppid, Date.now() + 60_000);
  expect(await shelf.lease('job-lease', 60_000)).toBe(false);
  await held(process.ppid, Date.now() - 1);
  expect(await shelf.lease('job-lease', 60_000)).toBe(true);
  await held(2 ** 22 + 1, Date.now() + 60_000);
  expect(await shelf.lease('job-lease', 60_000)).toBe(true);
  await shelf.end('job-lease', bytes('ended'));
});
