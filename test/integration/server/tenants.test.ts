/** Two API keys on a real server over LMDB: neither sees anything of the other, each sees its own across a restart. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-tenants-'));
const TEXT = 'Zokego is held in Limoga every third spring, and people walk for days to see its lanterns and its boats.';
let server: DemoServer;

const start = () =>
  startDemoServer({
    apiKeys: 'alpha,beta',
    storeDir: join(directory, 'store'),
    importCacheDir: join(directory, 'imports'),
  });

beforeAll(async () => {
  server = await start();
});
afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of as many shapes as there are routes
  json: any;
}

/** A client with a key, and a salt where it has one. */
function client(key: string, salt?: string) {
  const call = async (method: string, path: string, body?: object): Promise<Answer> => {
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(salt === undefined ? {} : { 'x-cache-salt': salt }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: await response.json() };
  };
  return {
    get: (path: string) => call('GET', path),
    delete: (path: string) => call('DELETE', path),
    ingest: (fields: object = {}) => call('POST', '/v1/documents', { text: TEXT, ...fields }),
    /** Where the blocks of a document came from, in an answer over it. */
    async origins(document: object = { text: TEXT }): Promise<string[]> {
      const { status, json } = await call('POST', '/v1/chat/completions', {
        messages: [{ role: 'user', content: 'Where?' }],
        documents: [document],
        max_tokens: 1,
      });
      expect(status, JSON.stringify(json)).toBe(200);
      return json.blockstitch.blocks
        .filter(({ kind }: { kind: string }) => kind === 'document')
        .map(({ origin }: { origin: string }) => origin);
    },
    ids: async () => (await call('GET', '/v1/documents')).json.data.map(({ id }: { id: string }) => id),
  };
}

async function ended(at: ReturnType<typeof client>, id: string): Promise<string> {
  for (;;) {
    const { json } = await at.get(`/v1/jobs/${id}`);
    if (json.status !== 'running' && json.status !== 'queued') return json.status;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('two API keys', () => {
  const [alpha, beta] = [client('alpha'), client('beta')];

  test('have documents of their own under one id', async () => {
    expect((await alpha.ingest({ id: 'shared' })).status).toBe(200);
    expect((await beta.get('/v1/documents/shared')).status).toBe(404);
    expect(await beta.ids()).toEqual([]);
    expect((await beta.delete('/v1/documents/shared')).status).toBe(404);
    const refused = await beta.ingest({ id: 'other', text: `${TEXT} And more.` });
    expect(refused.status).toBe(200);
    expect([await alpha.ids(), await beta.ids()]).toEqual([['shared'], ['other']]);
    expect((await alpha.get('/v1/documents/shared')).json.text).toBe(TEXT);
  });

  test('get no hits from each other, and none across salts', async () => {
    expect(await alpha.origins()).toEqual(['pool']);
    expect(await beta.origins()).toEqual(['computed']);
    const salted = client('alpha', 'mine');
    expect(await salted.origins()).toEqual(['computed']);
    expect(await salted.origins()).toEqual(['pool']);
    expect(await client('alpha', 'other').origins()).toEqual(['computed']);
    expect(await salted.ids()).toEqual([]);
  });

  test('neither see nor drop blocks of each other', async () => {
    const { json } = await alpha.get('/v1/documents/shared');
    for (const { hash } of json.blocks) {
      expect((await beta.get(`/v1/blocks/${hash}`)).status).toBe(404);
      expect((await beta.delete(`/v1/blocks/${hash}`)).status).toBe(404);
      expect((await alpha.get(`/v1/blocks/${hash}`)).json.tiers).toContain('lmdb');
    }
  });

  test('neither see nor end jobs of each other', async () => {
    const { status, json } = await alpha.ingest({ id: 'in the background', background: true });
    expect(status).toBe(202);
    for (const response of [
      await beta.get(`/v1/jobs/${json.id}`),
      await beta.get(`/v1/jobs/${json.id}/events`),
      await beta.delete(`/v1/jobs/${json.id}`),
    ]) {
      expect([response.status, response.json.error.code]).toEqual([404, 'job_not_found']);
    }
    expect(await ended(alpha, json.id)).toBe('done');
    expect(await alpha.ids()).toEqual(['in the background', 'shared']);
  });

  test('see their own across a restart, and nothing else', async () => {
    const { json } = await alpha.get('/v1/documents/shared');
    await server.close();
    server = await start();
    expect(await beta.ids()).toEqual(['other']);
    expect((await beta.get(`/v1/blocks/${json.blocks[0].hash}`)).status).toBe(404);
    expect((await alpha.get(`/v1/blocks/${json.blocks[0].hash}`)).json.tiers).toEqual(['lmdb']);
    expect(await alpha.origins({ id: 'shared' })).not.toContain('computed');
  });

  test('empty the cache for themselves only', async () => {
    await beta.origins();
    expect((await beta.delete('/v1/cache')).json.blocks).toBeGreaterThan(0);
    const { json } = await alpha.get('/v1/documents/shared');
    expect((await alpha.get(`/v1/blocks/${json.blocks[0].hash}`)).json.tiers).toContain('lmdb');
    expect(await alpha.origins()).not.toContain('computed');
    expect(await beta.origins()).toEqual(['computed']);
  });
});
