/** Stored blocks that were damaged on disk: logged once each, computed anew, and the answer is the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, expect, test } from 'vitest';
import { LmdbStore } from '../../src/cache/lmdb-store.js';
import { loadConfig } from '../../src/config.js';
import { type RunningServer, startServer } from '../../src/server/start-server.js';

const ALL = { prefix: '' };
const POOL = new Set(['pool'] as const);

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-damaged-'));
const config = loadConfig(
  {
    port: 0,
    storeDir: join(directory, 'store'),
    importCacheDir: join(directory, 'imports'),
    kvMemoryBytes: '64MiB',
    hostTierBytes: '0',
  },
  {},
);
const text = 'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako.';

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function post<Answer>(server: RunningServer, path: string, body: object): Promise<Answer> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

interface Answer {
  choices: { message: { content: string } }[];
  blockstitch: { blocks: { origin: string; hash: string; kind: string }[] };
}

async function ask(server: RunningServer) {
  const { choices, blockstitch } = await post<Answer>(server, '/v1/chat/completions', {
    messages: [{ role: 'user', content: 'Who hosts the fair?' }],
    documents: [{ id: 'fair' }],
    temperature: 0,
    max_tokens: 8,
    ignore_eos: true,
  });
  const documents = blockstitch.blocks.filter(({ kind }) => kind === 'document');
  return { content: choices[0]?.message.content, origins: documents.map(({ origin }) => origin) };
}

test('a damaged block is logged once, computed anew, stored again, and changes no answer', async () => {
  const first = await startServer(config);
  await first.ready;
  const { blocks } = await post<{ blocks: { hash: string }[] }>(first, '/v1/documents', { id: 'fair', text });
  const whole = await ask(first);
  await first.close(0);

  const store = await LmdbStore.open(config.storeDir);
  for (const { hash } of blocks) {
    const [value] = await store.get([hash]);
    const damaged = Uint8Array.from(value as Uint8Array);
    damaged[damaged.length - 2] = (damaged.at(-2) as number) ^ 0x10;
    await store.put([{ key: hash, value: damaged }]);
  }
  await store.close();

  const lines: { msg: string; key?: string; level: number }[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const second = await startServer(config, { logger: { level: 'warn', stream } });
  const { cache } = await second.ready;
  const after = await ask(second);
  expect(after.content).toBe(whole.content);
  expect(after.origins).toEqual(blocks.map(() => 'computed'));
  const refused = () => lines.filter(({ msg }) => msg.includes('stored block refused'));
  expect(
    refused()
      .map(({ key }) => key)
      .sort(),
  ).toEqual(blocks.map(({ hash }) => hash).sort());

  // What was computed replaces what was damaged: from the store again, without another word.
  await expect.poll(async () => (await cache.find(blocks.map(({ hash }) => hash)))[0]?.tiers).toContain('store');
  await cache.forget(ALL, POOL);
  const again = await ask(second);
  expect(again).toEqual({ content: whole.content, origins: blocks.map(() => 'lmdb') });
  expect(refused()).toHaveLength(blocks.length);
  await second.close(0);
});
