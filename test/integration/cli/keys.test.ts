/** `blockstitch keys` as an operator uses it, beside a server that runs all the while. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../support/cli-process.js';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-keys-'));
const file = join(home, 'keys.json');
const keys = (...argv: string[]) => runCli(['keys', ...argv], home, { env: { BLOCKSTITCH_KEY_FILE: file } });
let server: DemoServer;

beforeAll(async () => {
  expect((await keys('add', 'first')).code).toBe(0);
  server = await startDemoServer({ keyFile: file, apiKeys: 'plain', storeDir: join(home, 'store') });
});
afterAll(async () => {
  await server?.close();
  rmSync(home, { recursive: true, force: true });
});

async function add(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await keys('add', ...argv);
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

const get = (key: string, path: string) =>
  fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${key}` } });
const statusOf = async (key: string) => (await get(key, '/v1/models')).status;
const ids = async (key: string) => {
  const { data } = (await (await get(key, '/v1/documents')).json()) as { data: { id: string }[] };
  return data.map(({ id }) => id);
};
const ingest = (key: string, id: string) =>
  fetch(`${server.url}/v1/documents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id, text: 'Zokego is held in Limoga.' }),
  });

test('a running server takes a new key, and refuses a revoked one, by itself', async () => {
  const key = await add('alice', '--requests-per-minute', '600', '--expires', '90d');
  expect(key).toMatch(/^bsk_[0-9a-f]{12}_[\w-]{43}$/);
  expect(readFileSync(file, 'utf8')).not.toContain(key.split('_').slice(2).join('_'));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(existsSync(`${file}.lock`)).toBe(false);
  await expect.poll(() => statusOf(key), { timeout: 60_000 }).toBe(200);
  expect((await get(key, '/v1/models')).headers.get('x-ratelimit-limit-requests')).toBe('600');
  expect((await keys('revoke', 'alice')).code).toBe(0);
  await expect.poll(() => statusOf(key), { timeout: 60_000 }).toBe(401);
  expect(await statusOf('plain')).toBe(200);
});

test('keys of one tenant share documents, others do not, and an adopted plain key keeps its own', async () => {
  writeFileSync(join(home, 'plain.txt'), '# the old key\nplain\n');
  const [one, two, alone, adopted] = [
    await add('one', '--tenant', 'team'),
    await add('two', '--tenant', 'team'),
    await add('alone'),
    await add('adopted', '--adopt', join(home, 'plain.txt')),
  ];
  await server.server.reloadKeys();
  expect((await ingest(one, 'shared')).status).toBe(200);
  expect((await ingest('plain', 'old')).status).toBe(200);
  expect([await ids(one), await ids(two), await ids(alone), await ids(adopted)]).toEqual([
    ['shared'],
    ['shared'],
    [],
    ['old'],
  ]);
});

test('a tenant at its limit of stored bytes is told so, and has room again when it deletes', async () => {
  const key = await add('small', '--stored-bytes', '200KiB');
  await server.server.reloadKeys();
  const statuses: number[] = [];
  let refused: { code: string; message: string } | undefined;
  for (let number = 0; refused === undefined && number < 100; number += 1) {
    const response = await fetch(`${server.url}/v1/documents`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ id: `d${number}`, text: `Paragraph ${number} is about the number ${number * 7}.` }),
    });
    statuses.push(response.status);
    if (response.status !== 200) {
      ({ error: refused } = (await response.json()) as { error: { code: string; message: string } });
    }
  }
  expect(statuses.slice(0, -1).every((status) => status === 200)).toBe(true);
  expect(statuses.length).toBeGreaterThan(1);
  expect([statuses.at(-1), refused?.code]).toEqual([403, 'stored_bytes_exceeded']);
  expect(refused?.message).toContain('pass the limit of 200 KiB');
  const { tenant } = (await (await get(key, '/v1/cache')).json()) as { tenant: { bytes: number; limit: number } };
  const { data } = (await (await get(key, '/v1/documents')).json()) as { data: { bytes: number }[] };
  expect(tenant).toMatchObject({ blocks: data.length, limit: 200 * 1024 });
  expect(tenant.bytes).toBe(data.reduce((sum, { bytes }) => sum + bytes, 0));
  expect(tenant.bytes).toBeLessThanOrEqual(tenant.limit);
  for (const id of await ids(key)) {
    const gone = await fetch(`${server.url}/v1/documents/${id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${key}` },
    });
    expect(gone.status).toBe(200);
  }
  expect((await ingest(key, 'again')).status).toBe(200);
});

test('a listing shows who may do what, and no hash', async () => {
  await add(
    'limited',
    '--concurrent',
    '2',
    '--new-tokens-per-minute',
    '100',
    '--stored-bytes',
    '1GiB',
    '--expires',
    '1h',
  );
  const { stdout } = await keys('list');
  expect(stdout).toMatch(/limited +\(its own\) +until \d{4}-\d\d-\d\d +100 new tokens\/min, 2 at once, 1 GiB stored/);
  expect(stdout).toMatch(/alice +\(its own\) +revoked/);
  const json = JSON.parse((await keys('list', '--json')).stdout);
  expect(json.map(({ name }: { name: string }) => name)).toContain('limited');
  expect(JSON.stringify(json)).not.toMatch(/hash|salt/);
});

test.each([
  [['add', 'first'], /has a key already/],
  [['add', 'x', '--expires', '90'], /--expires/],
  [['add', 'x', '--expires', '0d'], /--expires/],
  [['add', 'x', '--concurrent', '0'], /--concurrent/],
  [['add', 'x', '--stored-bytes', 'much'], /--stored-bytes/],
  [['add', 'x', '--tenant', 'a', '--adopt', 'b'], /--adopt/],
  [['add', 'x\ny'], /control characters/],
  [['add', 'x', '--tenant', ' '], /--tenant/],
  [['revoke', 'nobody'], /no usable key/],
])('%j is wrong usage, and changes nothing', async (argv, words) => {
  const before = readFileSync(file, 'utf8');
  const { code, stderr } = await keys(...argv);
  expect(code).toBe(2);
  expect(stderr).toMatch(words);
  expect(readFileSync(file, 'utf8')).toBe(before);
});

test('eight keys that are made at once are all in the file', async () => {
  const made = await Promise.all(Array.from({ length: 8 }, (_, number) => add(`many-${number}`)));
  const names = JSON.parse((await keys('list', '--json')).stdout).map(({ name }: { name: string }) => name);
  for (const number of made.keys()) expect(names).toContain(`many-${number}`);
});
