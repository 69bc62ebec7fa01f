/** `blockstitch cache` as an operator uses it: over LMDB and Redis, with blocks and documents of a real server. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tenantTag } from '../../../src/cache/block-key.js';
import { LmdbStore } from '../../../src/cache/lmdb-store.js';
import { makeKey, writeKeyFile } from '../../../src/server/keys/key-file.js';
import { runCli } from '../../support/cli-process.js';
import { startDemoServer } from '../../support/demo-server.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';
import { emptyDisk, mayMount } from '../../support/small-disk.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-cache-'));
const at = (name: string) => join(home, name);
const [alice, bob] = [makeKey({ name: 'alice' }), makeKey({ name: 'bob' })];
let redis: TestRedis;
/** Blocks in the server's store, before anything is done to it. */
let blocks = 0;

async function serve(storeDir: string) {
  const server = await startDemoServer({ storeDir, keyFile: at('keys.json'), importCacheDir: at('imports') });
  const post = async (key: string, path: string, body: object) => {
    const response = await server.server.app.inject({
      method: 'POST',
      url: path,
      headers: { authorization: `Bearer ${key}` },
      payload: body,
    });
    expect(response.statusCode, response.payload).toBe(200);
    return response.json();
  };
  return { server, post };
}

beforeAll(async () => {
  redis = await startRedis();
  await writeKeyFile(at('keys.json'), [alice.entry, bob.entry]);
  const { server, post } = await serve(at('store'));
  for (const [key, town] of [
    [alice.key, 'Limoga'],
    [bob.key, 'Tarn'],
  ] as const) {
    await post(key, '/v1/documents', { id: 'fair', text: `Zokego is held in ${town}.` });
  }
  await post(alice.key, '/v1/documents', { id: 'boats', text: 'The boats are red.' });
  await server.close();
  const store = await LmdbStore.open(at('store'));
  blocks = (await store.statistics()).entries;
  await store.close();
}, 120_000);
afterAll(async () => {
  await redis.stop();
  rmSync(home, { recursive: true, force: true });
});

async function cache(...argv: string[]) {
  const { code, stdout, stderr } = await runCli(['cache', ...argv], home, {
    env: { BLOCKSTITCH_KEY_FILE: at('keys.json') },
  });
  return { code, stdout, stderr, json: () => JSON.parse(stdout) };
}
const inStore = (name = 'store') => ['--store-dir', at(name)];
const inRedis = () => ['--redis-url', redis.url];

/** Hashes of all blocks. */
async function hashesIn(...where: string[]): Promise<string[]> {
  const listed = await cache('list', '--json', '--limit', '1000', ...where);
  return listed
    .json()
    .map(({ hash }: { hash: string }) => hash)
    .sort();
}

test('stats names each tenant with its blocks, bytes and last use', async () => {
  const { code, json } = await cache('stats', '--json', ...inStore());
  expect(code).toBe(0);
  const { tenants, ...whole } = json();
  expect(whole).toMatchObject({ blocks, documents: 3 });
  expect(tenants.map(({ name }: { name: string }) => name).sort()).toEqual(['alice', 'bob']);
  const sum = (of: 'blocks' | 'bytes') =>
    tenants.reduce((total: number, each: Record<string, number>) => total + (each[of] ?? 0), 0);
  expect([sum('blocks'), sum('bytes')]).toEqual([whole.blocks, whole.bytes]);
  expect(Date.parse(tenants[0].last_used)).toBeGreaterThan(Date.parse('2020-01-01'));
  expect((await cache('stats', ...inStore())).stdout).toMatch(
    /3 documents\ntenant +blocks +bytes +documents +tokens prefilled +seconds +last used\n/,
  );
});

test('stats says what the ingestion of tenants and documents computed', async () => {
  const { json } = await cache('stats', '--documents', '--json', ...inStore());
  const { tenants, each_document: documents, bytes } = json();
  const ofAlice = tenants.find(({ name }: { name: string }) => name === 'alice');
  const hers = documents.filter(({ tenant }: { tenant: string }) => tenant === tenantTag(alice.entry.tenantId));
  expect([ofAlice.documents, hers.length, documents.length]).toEqual([2, 2, 3]);
  const sum = (of: 'tokens' | 'seconds') =>
    hers.reduce(
      (all: number, { prefilled }: Record<string, Record<string, number>>) => all + (prefilled?.[of] ?? 0),
      0,
    );
  expect(ofAlice.prefilled.tokens).toBe(sum('tokens'));
  expect(ofAlice.prefilled.tokens).toBe(hers.reduce((all: number, { tokens }: { tokens: number }) => all + tokens, 0));
  expect(ofAlice.prefilled.seconds).toBeCloseTo(sum('seconds'), 6);
  expect(ofAlice.prefilled.seconds).toBeGreaterThan(0);
  expect(documents.reduce((all: number, each: { bytes: number }) => all + each.bytes, 0)).toBe(bytes);
  expect((await cache('stats', '--documents', ...inStore())).stdout).toMatch(/alice +boats +\d+ +\S+ \w+ +\d+ +\d/);
});

test('list shows the blocks of one tenant by its name', async () => {
  const all = await hashesIn(...inStore());
  expect(all.length).toBe(blocks);
  const ofBob = await hashesIn('--tenant', 'bob', ...inStore());
  expect(ofBob).toEqual(all.filter((hash) => hash.startsWith(tenantTag(bob.entry.tenantId))));
  expect(ofBob.length).toBeGreaterThan(0);
  expect((await cache('list', '--limit', '1', ...inStore())).stderr).toContain('the first 1');
});

describe('verify', () => {
  test('reads every block, and tells models and tokens', async () => {
    const { code, json } = await cache('verify', '--json', ...inStore());
    expect(code).toBe(0);
    const { checked, damaged, models } = json();
    expect([checked, damaged, models.length]).toEqual([blocks, [], 1]);
    expect(models[0]).toMatchObject({ dtype: 'float16', blocks });
  });

  test('finds what is damaged and what stands under a wrong key, with exit code 1, and deletes it if it is told to', async () => {
    await cache('export', at('copy'), ...inStore());
    await cache('import', at('copy'), ...inStore('damaged'));
    const store = await LmdbStore.open(at('damaged'));
    const [one = '', two = ''] = await hashesIn(...inStore());
    const [value] = await store.get([one]);
    const flipped = Uint8Array.from(value ?? []);
    flipped[200] = (flipped[200] ?? 0) ^ 1;
    await store.put([
      { key: one, value: flipped },
      { key: two, value: value ?? flipped },
    ]);
    await store.close();
    const found = await cache('verify', '--json', ...inStore('damaged'));
    expect([found.code, found.json().damaged]).toEqual([
      1,
      [
        { hash: one, reason: 'payload checksum' },
        { hash: two, reason: 'the value of another key' },
      ],
    ]);
    expect((await cache('verify', '--delete', ...inStore('damaged'))).code).toBe(0);
    const after = await cache('verify', '--json', ...inStore('damaged'));
    expect([after.code, after.json().checked]).toEqual([0, blocks - 2]);
  });
});

test('a store goes to Redis, into a file and back into LMDB, and a server finds all of it there', async () => {
  const all = await hashesIn(...inStore());
  expect((await cache('migrate', '--json', '--to-redis', redis.url, ...inStore())).json()).toEqual({
    blocks,
    documents: 3,
    there: 0,
    refused: {},
  });
  expect(await hashesIn(...inRedis())).toEqual(all);
  expect((await cache('stats', '--json', ...inRedis())).json()).toMatchObject({ blocks, documents: 3 });
  expect((await cache('verify', ...inRedis())).code).toBe(0);
  expect((await cache('migrate', '--json', '--to-redis', redis.url, ...inStore())).json()).toMatchObject({
    blocks: 0,
    documents: 0,
    there: blocks + 3,
  });
  expect((await cache('export', at('backup'), ...inRedis())).code).toBe(0);
  expect(existsSync(at('backup.part'))).toBe(false);
  expect((await cache('import', '--json', at('backup'), ...inStore('restored'))).json()).toMatchObject({
    blocks,
    documents: 3,
  });
  expect(await hashesIn(...inStore('restored'))).toEqual(all);
  const { server, post } = await serve(at('restored'));
  const { blockstitch } = await post(bob.key, '/v1/chat/completions', {
    messages: [{ role: 'user', content: 'Where?' }],
    documents: [{ id: 'fair' }],
    max_tokens: 1,
  });
  const origins = blockstitch.blocks.filter(({ kind }: { kind: string }) => kind === 'document');
  expect(origins.map(({ origin }: { origin: string }) => origin)).toEqual(['lmdb']);
  await server.close();
}, 120_000);

test('a file that was cut short is refused, and what was read until then is whole', async () => {
  await cache('export', at('whole'), ...inStore());
  const bytes = readFileSync(at('whole'));
  for (const length of [0, 10, 3000, bytes.length - 40, bytes.length - 1]) {
    writeFileSync(at('cut'), bytes.subarray(0, length));
    const { code, stderr } = await cache('import', at('cut'), ...inStore('from-cut'));
    expect([code, stderr]).toEqual([1, expect.stringContaining(`it is cut: it ends at byte ${length}`)]);
    expect(stderr).toContain('Export it again.');
    expect(stderr).not.toContain('Retry');
  }
  expect((await cache('verify', ...inStore('from-cut'))).code).toBe(0);
  writeFileSync(at('other'), 'something else\n');
  expect((await cache('import', at('other'), ...inStore('from-other'))).stderr).toContain('does not begin with');
  expect(existsSync(at('from-other'))).toBe(false);
});

test.skipIf(!mayMount)('a file whose end the disk has no room for is not kept, and the file is named', async () => {
  await cache('export', at('sized'), ...inStore());
  const pages = Math.ceil(statSync(at('sized')).size / 4096);
  const disk = emptyDisk(1);
  writeFileSync(join(disk, 'filler'), Buffer.alloc((256 - pages + 1) * 4096));
  const { code, stderr } = await cache('export', join(disk, 'backup'), ...inStore());
  expect([code, stderr]).toEqual([2, expect.stringMatching(/backup: .*ENOSPC/)]);
  expect([existsSync(join(disk, 'backup')), existsSync(join(disk, 'backup.part'))]).toEqual([false, false]);
});

test('a pipe that is named gets the file, and stays a pipe', async () => {
  const pipe = at('pipe');
  execFileSync('mkfifo', [pipe]);
  const [, taken] = await Promise.all([
    cache('export', pipe, ...inStore()),
    cache('import', pipe, ...inStore('piped')),
  ]);
  expect([taken.code, lstatSync(pipe).isFIFO()]).toEqual([0, true]);
  expect(await hashesIn(...inStore('piped'))).toEqual(await hashesIn(...inStore()));
});

test('looking after a store is no use of its blocks', async () => {
  const store = await LmdbStore.open(at('old'), { now: () => Date.parse('2026-01-02T03:04:05Z') });
  await store.put([{ key: 'ab'.repeat(32), value: Buffer.from('a value') }]);
  await store.close();
  const lastUsed = async () => (await cache('list', '--json', ...inStore('old'))).json()[0].last_used;
  await cache('verify', ...inStore('old'));
  await cache('export', at('old.file'), ...inStore('old'));
  expect(await lastUsed()).toBe('2026-01-02T03:04:05.000Z');
});

test('a damaged record is not taken from a file, and what is no item is refused by name', async () => {
  const file = (name: string, ...lines: string[]) => {
    writeFileSync(at(name), ['blockstitch-store/1', ...lines, ''].join('\n'));
    return at(name);
  };
  const head = { kind: 'document', tenant: '0'.repeat(32), id: 'fair', bytes: 5 };
  const end = '{"kind":"end","items":1}';
  const damaged = file('damaged-record', JSON.stringify(head), `{"id"${end}`);
  const taken = await cache('import', '--json', damaged, ...inStore('from-odd'));
  expect([taken.code, taken.json()]).toEqual([
    1,
    { blocks: 0, documents: 0, there: 0, refused: { 'of a document, it is cut short, or not JSON': 1 } },
  ]);
  for (const line of [
    'null',
    JSON.stringify({ ...head, id: 'a'.repeat(800) }),
    '{"kind":"block","key":"../x","bytes":5}',
  ]) {
    const { code, stderr } = await cache('import', file('odd', line, 'abcde'), ...inStore('from-odd'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('it holds a line that is no item')]);
  }
  for (const path of [at('nowhere'), home]) {
    expect((await cache('import', path, ...inStore('never-made'))).code).toBe(2);
  }
  expect(existsSync(at('never-made'))).toBe(false);
});

test('prune deletes by tenant, model and last use, and a dry run deletes nothing', async () => {
  await cache('import', at('backup'), ...inStore('pruned'));
  const prune = async (...argv: string[]) => (await cache('prune', '--json', ...argv, ...inStore('pruned'))).json();
  const [{ model }] = (await cache('verify', '--json', ...inStore('pruned'))).json().models;
  expect(await prune('--other-models', model)).toMatchObject({ blocks: 0 });
  expect(await prune('--unused', '1h')).toMatchObject({ blocks: 0 });
  expect(await prune('--model', model.slice(0, 12), '--dry-run')).toMatchObject({ blocks, deleted: false });
  const ofBob = (await hashesIn('--tenant', 'bob', ...inStore('pruned'))).length;
  expect(await prune('--tenant', 'bob')).toMatchObject({ blocks: ofBob, deleted: true });
  expect((await hashesIn(...inStore('pruned'))).length).toBe(blocks - ofBob);
  expect(await prune('--unused', '0s')).toMatchObject({ blocks: blocks - ofBob });
  expect(await hashesIn(...inStore('pruned'))).toEqual([]);
});

test('migrate signs blocks and documents where they are, changes their key, and leaves their last use', async () => {
  const keys = (name: string, ...lines: string[]) => {
    writeFileSync(at(`${name}.keys`), lines.join('\n'));
    return ['--store-hmac-keys', at(`${name}.keys`)];
  };
  const [old, young] = ['aa'.repeat(32), 'bb'.repeat(32)];
  await cache('import', at('backup'), ...inStore('signed'));
  const refused = await cache('migrate', '--json', ...keys('old', old), ...inStore('signed'));
  expect([refused.code, refused.json()]).toEqual([
    1,
    { blocks: 0, documents: 0, there: 0, refused: { 'not signed': blocks, 'of a document, it is not signed': 3 } },
  ]);
  const usesOf = async () => {
    const rows = (await cache('list', '--json', '--limit', '1000', ...inStore('signed'))).json();
    return rows.map(({ hash, last_used }: Record<string, string>) => `${hash} ${last_used}`).sort();
  };
  const uses = await usesOf();
  const signed = await cache('migrate', '--json', '--trust-unsigned', ...keys('old', old), ...inStore('signed'));
  expect([signed.code, signed.json().blocks, signed.json().documents]).toEqual([0, blocks, 3]);
  expect(await usesOf()).toEqual(uses);
  expect((await cache('verify', ...keys('old', old), ...inStore('signed'))).code).toBe(0);
  const wrong = await cache('verify', '--json', ...keys('young', young), ...inStore('signed'));
  expect([wrong.code, wrong.json().documents]).toEqual([
    1,
    {
      checked: 3,
      damaged: Array.from({ length: 3 }, () => expect.objectContaining({ reason: 'it is signed with another key' })),
    },
  ]);
  const changed = await cache('migrate', '--json', ...keys('both', young, old), ...inStore('signed'));
  expect([changed.code, changed.json().blocks, changed.json().documents]).toEqual([0, blocks, 3]);
  expect((await cache('verify', ...keys('young', young), ...inStore('signed'))).code).toBe(0);
});

test('a directory that is typed beside a Redis of the environment is never taken for the latter', async () => {
  const prune = (...argv: string[]) =>
    runCli(['cache', 'prune', '--unused', '0s', ...inStore('backed'), ...argv], home, {
      env: { REDIS_URL: redis.url },
    });
  await cache('import', at('backup'), ...inStore('backed'));
  const refused = await prune();
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/--store-dir.*a Redis is named beside it/)]);
  expect((await hashesIn(...inRedis())).length).toBe(blocks);
  const meant = await prune('--redis-url', '');
  expect([meant.code, meant.stdout]).toEqual([
    0,
    expect.stringMatching(new RegExp(`^${blocks} of ${blocks} blocks deleted`)),
  ]);
});

test('a directory that can hold no store is named', async () => {
  await cache('export', at('whole'), ...inStore());
  const { code, stderr } = await cache('import', at('whole'), '--store-dir', '/dev/null/store');
  expect([code, stderr]).toEqual([2, expect.stringContaining('/dev/null/store cannot be opened: /dev/null is not a')]);
  expect(stderr).not.toMatch(/\n +at /);
});

test.each([
  [['stats', '--store-dir', '/nowhere'], 2, /there is no store/],
  [['list', '--tenant', 'nobody'], 2, /no tenant of the key file/],
  [['prune'], 2, /name a condition/],
  [['prune', '--unused', '90'], 2, /--unused/],
  [['migrate'], 2, /--to-dir/],
  [['import', '/nowhere'], 2, /ENOENT/],
  [['stats', '--redis-url', 'redis://127.0.0.1:1'], 1, /Redis/],
])('%j ends with %i and says why', async (argv, code, words) => {
  const outcome = await cache(
    ...argv,
    ...(argv.includes('--store-dir') || argv.includes('--redis-url') ? [] : inStore('usage')),
  );
  expect([outcome.code, outcome.stderr]).toEqual([code, expect.stringMatching(words)]);
  expect(outcome.stderr).not.toMatch(/\n +at /);
});
