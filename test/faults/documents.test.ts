/**
 * Documents and jobs under real faults on real processes. Everything acknowledged is there afterwards, everything
 * deleted is gone, and answers are bit-equal to those of an undisturbed server.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LmdbStore } from '../../src/cache/lmdb-store.js';
import { startRedis, type TestRedis } from '../support/redis-server.js';
import { endProcesses, type ServedProcess, serveProcess } from '../support/served-process.js';
import { emptyDisk, fillDisk, mayMount } from '../support/small-disk.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-documents-'));
let stores = 0;
const freshStore = () => join(home, `store-${++stores}`);
const JOBS = 20;

const NAMES = ['Zokego', 'Tolefi', 'Sonako', 'Limoga', 'Rasubo', 'Kemira', 'Dovala', 'Penuto'];
const textOf = (index: number, sentences = 60) =>
  Array.from({ length: sentences }, (_, at) => {
    const name = (step: number) => NAMES[(index * 3 + at * step) % NAMES.length];
    return `${name(1)} of year ${index * 100 + at} is held in ${name(5)}. ${name(3)} hosts it.`;
  }).join(at(index));
const at = (index: number) => (index % 2 === 0 ? ' ' : '\n\n');
const idOf = (index: number) => `document-${String(index).padStart(2, '0')}`;
const ids = Array.from({ length: JOBS }, (_, index) => idOf(index));

afterEach(endProcesses);
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Sends documents as jobs. @returns the ids of the jobs that were acknowledged */
async function sendJobs(server: ServedProcess, count = JOBS): Promise<string[]> {
  const sent = Array.from({ length: count }, (_, index) =>
    server.ask<{ id: string }>('POST', '/v1/documents', { id: idOf(index), text: textOf(index), background: true }),
  );
  const answers = await Promise.all(sent);
  for (const { status } of answers) expect(status).toBe(202);
  return answers.map(({ json }) => json.id);
}

interface Chat {
  choices: { logprobs: { content: { token: string; logprob: number }[] } }[];
}

/** The log-probabilities of answers over documents, bit by bit. */
async function answers(server: ServedProcess, documents: readonly string[]): Promise<number[][]> {
  const all: number[][] = [];
  for (const [index, id] of documents.entries()) {
    const { status, json } = await server.ask<Chat>('POST', '/v1/chat/completions', {
      messages: [{ role: 'user', content: `Who hosts ${NAMES[index % NAMES.length]}?` }],
      documents: [{ id }],
      temperature: 0,
      max_tokens: 4,
      logprobs: true,
      ignore_eos: true,
    });
    expect(status).toBe(200);
    all.push(json.choices[0]?.logprobs.content.map(({ logprob }) => logprob) ?? []);
  }
  return all;
}

async function listed(server: ServedProcess): Promise<string[]> {
  const { json } = await server.ask<{ data: { id: string }[] }>('GET', '/v1/documents?limit=100');
  return json.data.map(({ id }) => id);
}

/** Blocks in the store. */
async function storedBlocks(server: ServedProcess): Promise<number> {
  const { json } = await server.ask<{ tiers: { tier: string; entries: number }[] }>('GET', '/v1/cache');
  return json.tiers.find(({ tier }) => tier !== 'host')?.entries ?? -1;
}

/** Writes that failed in a row are not tried for a moment: the client asks again, as 503 tells it to. */
async function ingestsAgain(server: ServedProcess): Promise<void> {
  const post = () => server.ask('POST', '/v1/documents', { id: idOf(0), text: textOf(0) });
  await expect.poll(async () => (await post()).status, { timeout: 60_000 }).toBe(200);
}

/** What the first documents answer on a server to which nothing happened. */
let expected: number[][];
const ASKED = 3;

beforeAll(async () => {
  const clean = await serveProcess(home, ['--store-dir', freshStore()]);
  for (let index = 0; index < ASKED; index++) {
    const posted = await clean.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
    expect(posted.status).toBe(200);
  }
  expected = await answers(clean, ids.slice(0, ASKED));
  await clean.end('SIGKILL');
});

describe('jobs that were acknowledged', () => {
  test('go on after SIGTERM if the drain was too short, and the log says how many', async () => {
    const store = ['--store-dir', freshStore()];
    const first = await serveProcess(home, [...store, '--drain', '0s']);
    // Takes seconds: it cannot be done before the signal, however the machine is busy.
    const large = { id: 'large', text: textOf(7, 3000), background: true };
    const sent = await first.ask<{ id: string }>('POST', '/v1/documents', large);
    const jobs = [sent.json.id, ...(await sendJobs(first))];
    const { code, stdout } = await first.end('SIGTERM');
    expect(code).toBe(0);
    const [, finished, kept] = /"finished":(\d+),"kept":(\d+)/.exec(stdout) ?? [];
    expect([Number(kept) > 0, Number(finished) + Number(kept) <= jobs.length]).toEqual([true, true]);
    expect(stdout).toContain('background ingestions are kept in the store and go on after the next start');

    const second = await serveProcess(home, store);
    for (const job of jobs) expect(await second.jobEnds(job)).toBe('done');
    expect(await listed(second)).toEqual([...ids, 'large']);
    expect(await answers(second, ids.slice(0, ASKED))).toEqual(expected);
    for (const id of [...ids, 'large']) expect((await second.ask('DELETE', `/v1/documents/${id}`)).status).toBe(200);
    expect(await storedBlocks(second)).toBe(0);
    expect((await second.end('SIGTERM')).stdout).toContain(`"jobs":${kept},"msg":"background ingestions go on`);
  });

  test('finish within a drain that gives them the time', async () => {
    const store = ['--store-dir', freshStore()];
    const first = await serveProcess(home, [...store, '--drain', '170s']);
    const jobs = await sendJobs(first);
    const { code, stdout } = await first.end('SIGTERM');
    expect([code, stdout]).toEqual([0, expect.stringContaining('background ingestions are finished')]);
    const second = await serveProcess(home, store);
    expect(await listed(second)).toEqual(ids);
    for (const job of jobs) expect((await second.ask('GET', `/v1/jobs/${job}`)).json).toMatchObject({ status: 'done' });
  });

  test('go on after SIGKILL, and leave no block that nobody names', async () => {
    const store = ['--store-dir', freshStore()];
    const first = await serveProcess(home, store);
    const jobs = await sendJobs(first);
    await first.jobEnds(jobs[2] as string);
    await first.end('SIGKILL');
    const second = await serveProcess(home, store);
    for (const job of jobs) expect(await second.jobEnds(job)).toBe('done');
    expect(await answers(second, ids.slice(0, ASKED))).toEqual(expected);
    for (const id of ids) expect((await second.ask('DELETE', `/v1/documents/${id}`)).status).toBe(200);
    expect(await storedBlocks(second)).toBe(0);
  });

  test('are cancelled by DELETE, which leaves nothing of them', async () => {
    const server = await serveProcess(home, ['--store-dir', freshStore()]);
    const jobs = await sendJobs(server, 8);
    for (const job of jobs) {
      const { status, json } = await server.ask('DELETE', `/v1/jobs/${job}`);
      expect([status, ['cancelled', 'done'].includes(String(json.status))]).toEqual([200, true]);
      expect((await server.ask('GET', `/v1/jobs/${job}`)).json.status).toBe(json.status);
    }
    for (const id of await listed(server)) await server.ask('DELETE', `/v1/documents/${id}`);
    expect(await storedBlocks(server)).toBe(0);
  });
});

describe('an embedded store that is full', () => {
  test('makes room by use: documents are taken, blocks used longest ago go, and it is emptied by deletes', async () => {
    const server = await serveProcess(home, ['--store-dir', freshStore(), '--store-max', '6MiB', '--host-tier', '0']);
    let blocks = 0;
    for (let index = 0; index < JOBS; index++) {
      const { status, json } = await server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
      expect(status).toBe(200);
      blocks += Number(json.block_count);
    }
    const stored = await storedBlocks(server);
    expect(stored).toBeGreaterThan(0);
    expect(stored).toBeLessThan(blocks);
    // Its blocks went first: they are computed anew.
    expect(await answers(server, [idOf(0)])).toEqual([expected[0]]);
    for (const id of ids) expect((await server.ask('DELETE', `/v1/documents/${id}`)).status).toBe(200);
    expect(await storedBlocks(server)).toBe(0);
    await ingestsAgain(server);
    expect(await answers(server, [idOf(0)])).toEqual([expected[0]]);
  });
});

test.skipIf(!mayMount)(
  'deletes on a disk without a byte left: 503 or whole, and whole once there is room',
  async () => {
    const disk = emptyDisk(8);
    const server = await serveProcess(home, ['--store-dir', join(disk, 'store'), '--host-tier', '0']);
    const taken: string[] = [];
    for (let index = 0; index < JOBS; index++) {
      const { status } = await server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
      if (status !== 200) break;
      taken.push(idOf(index));
    }
    expect(taken.length).toBeGreaterThan(1);
    const filler = fillDisk(disk);
    const left: string[] = [];
    for (const id of taken) {
      const { status } = await server.ask('DELETE', `/v1/documents/${id}`);
      expect([200, 503]).toContain(status);
      if (status === 503) left.push(id);
      expect((await server.ask('GET', `/v1/documents/${id}`)).status).toBe(status === 503 ? 200 : 404);
    }
    rmSync(filler);
    for (const id of left) {
      const again = async () => (await server.ask('DELETE', `/v1/documents/${id}`)).status;
      await expect.poll(again, { timeout: 60_000 }).toBe(200);
    }
    expect([await listed(server), await storedBlocks(server)]).toEqual([[], 0]);
  },
);

test('one bit in an embedded record: no other text in an answer, named in the log and the list, replaced by POST', async () => {
  const directory = freshStore();
  const first = await serveProcess(home, ['--store-dir', directory]);
  for (let index = 0; index < ASKED; index++) {
    await first.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
  }
  await first.end('SIGTERM');
  const store = await LmdbStore.open(directory);
  const [key] = [...store.documents.getKeys()].map(String).sort();
  const bytes = Buffer.from(store.documents.get(key as string) as Buffer);
  const place = bytes.indexOf('Zokego');
  bytes[place] = (bytes[place] as number) ^ 1;
  await store.write(() => () => void store.documents.put(key as string, bytes));
  await store.close();

  const second = await serveProcess(home, ['--store-dir', directory]);
  const damaged = { status: 500, json: { error: { code: 'document_damaged' } } };
  for (let time = 0; time < 3; time++)
    expect(await second.ask('GET', `/v1/documents/${idOf(0)}`)).toMatchObject(damaged);
  const chat = { messages: [{ role: 'user', content: 'Who?' }], documents: [{ id: idOf(0) }] };
  expect(await second.ask('POST', '/v1/chat/completions', chat)).toMatchObject(damaged);
  expect((await second.ask('GET', '/v1/documents')).json).toMatchObject({
    data: [{ id: idOf(1) }, { id: idOf(2) }],
    damaged: [idOf(0)],
  });
  expect((await second.ask('POST', '/v1/documents', { id: idOf(0), text: textOf(0) })).status).toBe(200);
  expect(await answers(second, ids.slice(0, ASKED))).toEqual(expected);
  const { stdout } = await second.end('SIGTERM');
  expect(stdout.match(/is damaged: POST it again, or DELETE it/g)).toHaveLength(1);
});

describe('Redis', () => {
  let redis: TestRedis;
  let client: Redis;
  const blockKeys = () => client.keys('blockstitch:block:*');
  const recordKeys = async () => (await client.keys('blockstitch:document:*')).sort();

  async function withRedis(...extra: string[]): Promise<void> {
    redis = await startRedis(undefined, extra);
    client = new Redis(redis.url);
  }

  const serve = (...argv: string[]) => serveProcess(home, ['--redis-url', redis.url, ...argv]);

  afterEach(async () => {
    await endProcesses();
    client.disconnect();
    await redis.stop();
  });

  test('that refuses a delete: 503, the document stays, and the same call finishes it', async () => {
    await withRedis();
    const server = await serve();
    await server.ask('POST', '/v1/documents', { id: 'd', text: textOf(0) });
    const before = (await blockKeys()).length;
    expect(before).toBeGreaterThan(0);
    // Reads go on, writes are refused: what a master does that has lost its replicas.
    await client.config('SET', 'min-replicas-to-write', '1');
    const refused = await server.ask('DELETE', '/v1/documents/d');
    expect(refused).toMatchObject({ status: 503, json: { error: { code: 'store_failed' } } });
    expect((await server.ask('GET', '/v1/documents/d')).status).toBe(200);
    await client.config('SET', 'min-replicas-to-write', '0');
    expect((await server.ask('DELETE', '/v1/documents/d')).status).toBe(200);
    expect([await blockKeys(), await recordKeys()]).toEqual([[], []]);
    expect((await server.ask('DELETE', '/v1/documents/d')).status).toBe(404);
  });

  test('that is full (noeviction): documents are refused whole, and deletes make the room', async () => {
    // Some 3 MB of it are the server's own: its connections and the values that are on their way.
    await withRedis('--maxmemory', '10mb', '--maxmemory-policy', 'noeviction');
    const server = await serve('--host-tier', '0');
    const taken: string[] = [];
    let refused = 0;
    for (let index = 0; index < JOBS && refused < 3; index++) {
      const { status, json } = await server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
      if (status === 200) taken.push(idOf(index));
      else {
        expect([status, json]).toMatchObject([503, { error: { code: 'store_failed' } }]);
        refused += 1;
      }
    }
    expect(refused).toBe(3);
    // It fits into a Redis that is empty, so it has to fit again behind the deletes.
    expect(taken).toContain(idOf(0));
    expect(await listed(server)).toEqual(taken);
    for (const id of taken) expect((await server.ask('DELETE', `/v1/documents/${id}`)).status).toBe(200);
    expect([await blockKeys(), await recordKeys()]).toEqual([[], []]);
    await ingestsAgain(server);
    expect(await answers(server, [idOf(0)])).toEqual([expected[0]]);
  });

  test('that evicted records: lists end, and no ghost stays', async () => {
    await withRedis();
    const server = await serve();
    for (let index = 0; index < 6; index++) {
      await server.ask('POST', '/v1/documents', { id: idOf(index), text: `Zokego ${index} is held in Limoga.` });
    }
    const records = await recordKeys();
    await client.unlink(...records.filter((_, index) => index !== 4));
    const page = await server.ask('GET', '/v1/documents?limit=2');
    expect(page.json).toMatchObject({ data: [{ id: idOf(4) }], has_more: false });
    await client.unlink(...(await recordKeys()));
    for (let time = 0; time < 2; time++) {
      const empty = await server.ask('GET', '/v1/documents?limit=2');
      expect(empty.json).toMatchObject({ data: [], damaged: [], has_more: false });
    }
    expect((await server.ask('DELETE', `/v1/documents/${idOf(0)}`)).status).toBe(404);
  });

  test('with a record that is damaged, cut, or another one’s: named, and deleted with its blocks', async () => {
    await withRedis();
    const server = await serve();
    for (let index = 0; index < 4; index++) {
      await server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
    }
    const [flipped, cut, other] = (await recordKeys()) as [string, string, string];
    const value = (await client.getBuffer(flipped)) as Buffer;
    await client.setrange(flipped, value.indexOf('Zokego'), 'X');
    await client.set(cut, ((await client.getBuffer(cut)) as Buffer).subarray(0, 3000));
    await client.set(other, (await client.getBuffer((await recordKeys())[3] as string)) as Buffer);
    const { json } = await server.ask('GET', '/v1/documents');
    expect(json).toMatchObject({ data: [{ id: idOf(3) }], damaged: ids.slice(0, 3) });
    for (const id of ids.slice(0, 3)) {
      expect(await server.ask('GET', `/v1/documents/${id}`)).toMatchObject({
        status: 500,
        json: { error: { code: 'document_damaged' } },
      });
      expect((await server.ask('DELETE', `/v1/documents/${id}`)).status).toBe(200);
    }
    expect((await server.ask('POST', '/v1/documents', { id: idOf(0), text: textOf(0) })).status).toBe(200);
    expect(await answers(server, [idOf(0)])).toEqual([expected[0]]);
  });

  test('two servers: one is killed in the middle of a job, the other one finishes it', async () => {
    await withRedis();
    const [first, second] = [await serve(), await serve()];
    const jobs = await sendJobs(first);
    await first.end('SIGKILL');
    for (const job of jobs) expect(await second.jobEnds(job)).toBe('done');
    expect(await listed(second)).toEqual(ids);
    expect(await answers(second, ids.slice(0, ASKED))).toEqual(expected);
    for (const id of ids) expect((await second.ask('DELETE', `/v1/documents/${id}`)).status).toBe(200);
    expect(await blockKeys()).toEqual([]);
    expect(await client.smembers('blockstitch:{jobs}:open')).toEqual([]);
  });

  test('two servers that write one document at once leave only the blocks of the one that stays', async () => {
    await withRedis();
    const [first, second] = [await serve(), await serve()];
    for (let round = 0; round < 6; round++) {
      const writes = [first, second].map((server, which) =>
        server.ask('POST', '/v1/documents', { id: 'd', text: textOf(round * 2 + which) }),
      );
      for (const { status } of await Promise.all(writes)) expect(status).toBe(200);
    }
    const { json } = await first.ask<{ blocks: { hash: string }[] }>('GET', '/v1/documents/d');
    const named = new Set(json.blocks.map(({ hash }) => hash));
    for (const key of await blockKeys()) expect(named.has(/\{(\w+)\}/.exec(key)?.[1] ?? '')).toBe(true);
    expect((await second.ask('DELETE', '/v1/documents/d')).status).toBe(200);
    expect(await blockKeys()).toEqual([]);
  });
});

test('blocks that requests make under another segmentation, and another KV type, leave with the document', async () => {
  const store = ['--store-dir', freshStore()];
  const first = await serveProcess(home, store);
  await first.ask('POST', '/v1/documents', { id: 'd', text: textOf(0) });
  const ask = (server: ServedProcess, fields: object) =>
    server.ask('POST', '/v1/chat/completions', {
      messages: [{ role: 'user', content: 'Who hosts Zokego?' }],
      documents: [{ id: 'd' }],
      max_tokens: 1,
      ...fields,
    });
  for (const target of [40, 80]) {
    expect((await ask(first, { segmentation: { target_tokens: target } })).status).toBe(200);
  }
  await first.end('SIGTERM');
  const second = await serveProcess(home, [...store, '--kv-dtype', 'int8']);
  expect((await ask(second, {})).status).toBe(200);
  const many = await storedBlocks(second);
  const { json } = await second.ask('GET', '/v1/documents/d');
  expect(many).toBeGreaterThan(Number(json.block_count) * 2);
  expect((await second.ask('DELETE', '/v1/documents/d')).status).toBe(200);
  // Stretches of the chat template belong to no document.
  const template = await second.ask('POST', '/v1/chat/completions', { messages: [{ role: 'user', content: 'Who?' }] });
  expect(template.status).toBe(200);
  expect(await storedBlocks(second)).toBeLessThanOrEqual(2);
});
