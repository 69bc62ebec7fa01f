/**
 * Deletes over HTTP of blocks that are just being computed, saved or loaded. The server is real, and a test stops its
 * line to Redis. When a delete was answered, the block is in no tier, and it stays so after everything has settled.
 */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { BlockCache } from '../../src/cache/block-cache.js';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';
import { type RedisProxy, startRedisProxy } from '../support/redis-proxy.js';
import { startRedis, type TestRedis } from '../support/redis-server.js';

const paragraph = (at: number) => `Zokego of year ${at} is held in Limoga, where Sobako hosts it for everybody.`;
const textOf = (name: number, paragraphs: number) =>
  Array.from({ length: paragraphs }, (_, at) => paragraph(name * 1_000 + at)).join('\n\n');

let redis: TestRedis;
let client: Redis;
let proxy: RedisProxy;
let server: DemoServer;
let names = 0;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
});
beforeEach(async () => {
  await client.flushall();
  proxy = await startRedisProxy(redis.port);
  server = await startDemoServer({ redisUrl: proxy.url, hostTierBytes: '64MiB', kvMemoryBytes: '256MiB' });
});
afterEach(async () => {
  for (const direction of ['calls', 'answers'] as const) proxy.release(direction);
  await server.close();
  await proxy.close();
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

interface Answer {
  choices: { logprobs: { content: { logprob: number }[] } }[];
  blockstitch: { blocks: { hash: string; origin: string; kind: string }[] };
}

async function call<Json>(method: string, path: string): Promise<{ status: number; json: Json }> {
  const response = await fetch(`${server.url}${path}`, { method });
  return { status: response.status, json: (await response.json()) as Json };
}

async function ask(text: string): Promise<Answer> {
  const { status, json } = await server.post<Answer>('/v1/chat/completions', {
    messages: [{ role: 'user', content: 'Who hosts it?' }],
    documents: [{ text }],
    temperature: 0,
    max_tokens: 32,
    logprobs: true,
    ignore_eos: true,
  });
  expect(status).toBe(200);
  return json;
}

const logprobs = ({ choices }: Answer) => choices[0]?.logprobs.content.map(({ logprob }) => logprob);
const documentBlocks = ({ blockstitch }: Answer) => blockstitch.blocks.filter(({ kind }) => kind === 'document');

/** A text, the hashes of its blocks and its answer, while no tier has anything of it. */
async function prepared(paragraphs: number) {
  const text = textOf(++names, paragraphs);
  const answer = await ask(text);
  const hashes = documentBlocks(answer).map(({ hash }) => hash);
  await saved(hashes);
  return { text, hashes, expected: logprobs(answer) };
}

const nameOf = (hash: string) => `blockstitch:block:{${hash}}:0`;

/** The store has all of them, as Redis itself says. */
async function saved(hashes: readonly string[]): Promise<void> {
  await expect.poll(() => client.exists(...hashes.map(nameOf)), { timeout: 120_000 }).toBe(hashes.length);
}

async function inNoTier(hashes: readonly string[]): Promise<void> {
  for (const hash of hashes) expect([hash, (await call('GET', `/v1/blocks/${hash}`)).status]).toEqual([hash, 404]);
  expect(await client.exists(...hashes.map(nameOf))).toBe(0);
}

/** Whatever was under way is over, the store's part too. */
async function settled(): Promise<void> {
  await server.idle();
  // A forget of nothing waits for the orders and the writes before it.
  expect((await call('DELETE', `/v1/blocks/${'0'.repeat(64)}`)).status).toBe(404);
}

async function dropped(): Promise<void> {
  expect((await call('DELETE', '/v1/cache')).status).toBe(200);
}

test.each(['one block', 'every block'])('of %s while it is prefilled', async (which) => {
  const { text, hashes, expected } = await prepared(80);
  await dropped();
  for (let round = 0; round < 3; round++) {
    const asked = ask(text);
    const activePages = () => server.services.engine.statistics().pool.activePages;
    await expect.poll(activePages, { timeout: 60_000, interval: 0 }).toBeGreaterThan(4);
    // The last one is computed last.
    const gone = which === 'one block' ? hashes.slice(-1) : hashes;
    if (which === 'one block') {
      // A block that is not yet anywhere may be unknown: its delete counts all the same.
      expect([200, 404]).toContain((await call('DELETE', `/v1/blocks/${gone[0]}`)).status);
    } else await dropped();
    await inNoTier(gone);
    expect(logprobs(await asked)).toEqual(expected);
    await inNoTier(gone);
    await settled();
    await inNoTier(gone);
    if (which === 'one block') await saved(hashes.slice(0, -1));
    await dropped();
  }
});

test('while it is saved, and the store takes its time', async () => {
  const { text, hashes, expected } = await prepared(20);
  await dropped();
  proxy.hold('calls');
  const asked = ask(text);
  // Locks and looks first; then the values themselves.
  await proxy.held('calls', 120_000);
  const deleting = dropped();
  proxy.release('calls');
  await deleting;
  await inNoTier(hashes);
  expect(logprobs(await asked)).toEqual(expected);
  await settled();
  await inNoTier(hashes);
});

test.each(['one block', 'every block'])('of %s while it is loaded, and its value comes late', async (which) => {
  const { text, hashes, expected } = await prepared(20);
  expect((await call('DELETE', '/v1/cache?tiers=pool,host')).status).toBe(200);
  proxy.hold('answers');
  const asked = ask(text);
  await proxy.held('answers', 120_000);
  const gone = which === 'one block' ? hashes.slice(0, 1) : hashes;
  const deleting = which === 'one block' ? call('DELETE', `/v1/blocks/${gone[0]}`) : dropped();
  proxy.release('answers');
  await deleting;
  await inNoTier(gone);
  expect(logprobs(await asked)).toEqual(expected);
  await settled();
  await inNoTier(gone);
});

test('while the load that a request gave up is still under way: its value comes after the delete began', async () => {
  const { text, hashes, expected } = await prepared(20);
  expect((await call('DELETE', '/v1/cache?tiers=pool,host')).status).toBe(200);
  proxy.hold('answers');
  // Answered although nothing comes from the store: the request computes.
  expect(logprobs(await ask(text))).toEqual(expected);
  await proxy.held('answers', 120_000);
  const deleting = dropped();
  // The values come when the tiers of this process are empty already, and the store is not.
  const cache = server.services.cache as BlockCache;
  await expect.poll(() => hashes.flatMap((hash) => cache.nearTiers(hash)), { timeout: 60_000 }).toEqual([]);
  proxy.release('answers');
  await deleting;
  await inNoTier(hashes);
  await settled();
  await inNoTier(hashes);
});

test('while one loads it and another computes it: what comes of either later is gone too', async () => {
  const { text, hashes, expected } = await prepared(20);
  expect((await call('DELETE', '/v1/cache?tiers=pool,host')).status).toBe(200);
  proxy.hold('answers');
  expect(logprobs(await ask(text))).toEqual(expected);
  const deleting = dropped();
  const again = ask(text);
  proxy.release('answers');
  await deleting;
  expect(logprobs(await again)).toEqual(expected);
  // The second may have begun after the delete: what it kept is a block of its own.
  await dropped();
  await settled();
  await inNoTier(hashes);
});

test('of one document while another one that shares its blocks is ingested: the other is ingested and cached', async () => {
  const shared = textOf(++names, 20);
  const ingest = (id: string, text: string) =>
    server.post<{ blocks: { hash: string }[] }>('/v1/documents', { id, text });
  expect((await ingest('shared', shared)).status).toBe(200);
  for (let round = 0; round < 3; round++) {
    const ingested = ingest(`other-${round}`, `${shared}\n\n${textOf(++names, 60)}`);
    const activePages = () => server.services.engine.statistics().pool.activePages;
    await expect.poll(activePages, { timeout: 60_000, interval: 0 }).toBeGreaterThan(0);
    expect((await call('DELETE', '/v1/documents/shared')).status).toBe(200);
    const { status, json } = await ingested;
    expect(status).toBe(200);
    await saved(json.blocks.map(({ hash }) => hash));
    expect((await ingest('shared', shared)).status).toBe(200);
  }
});
