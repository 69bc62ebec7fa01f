/** `DELETE /v1/cache?tiers=...` by every subset of the tiers, on real servers over LMDB and over Redis. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';
import { startRedis, type TestRedis } from '../../support/redis-server.js';

const TEXT = Array.from({ length: 12 }, (_, at) => `Zokego ${at} is held in Limoga. Sobako hosts it.`).join('\n\n');

const subsetsOf = (tiers: readonly string[]) =>
  Array.from({ length: 2 ** tiers.length - 1 }, (_, bits) => tiers.filter((_, at) => ((bits + 1) >> at) & 1));

describe.each(['lmdb', 'redis'] as const)('a server over %s', (brand) => {
  const TIERS = ['pool', 'host', brand];
  let server: DemoServer;
  let redis: TestRedis | undefined;
  let client: Redis | undefined;

  beforeAll(async () => {
    redis = brand === 'redis' ? await startRedis() : undefined;
    client = redis && new Redis(redis.url);
    server = await startDemoServer({ hostTierBytes: '16MiB', ...(redis ? { redisUrl: redis.url } : {}) });
  });
  afterAll(async () => {
    await server.close();
    client?.disconnect();
    await redis?.stop();
  });

  const call = async <Answer>(method: string, path: string): Promise<{ status: number; json: Answer }> => {
    const response = await fetch(`${server.url}${path}`, { method });
    return { status: response.status, json: (await response.json()) as Answer };
  };

  /** The document's blocks in every tier. @returns their hashes */
  async function ingested(): Promise<string[]> {
    await call('DELETE', '/v1/cache');
    const { json } = await server.post<{ blocks: { hash: string }[] }>('/v1/documents', { id: 'd', text: TEXT });
    const hashes = json.blocks.map(({ hash }) => hash);
    expect(await places(hashes)).toEqual(hashes.map(() => TIERS));
    return hashes;
  }

  const places = (hashes: readonly string[]) =>
    Promise.all(
      hashes.map(async (hash) => {
        const { status, json } = await call<{ tiers?: string[] }>('GET', `/v1/blocks/${hash}`);
        expect(status).toBe(json.tiers === undefined ? 404 : 200);
        return json.tiers ?? [];
      }),
    );

  test.each(subsetsOf(TIERS).map((tiers) => ({ tiers })))('drops from exactly $tiers', async ({ tiers }) => {
    const hashes = await ingested();
    const left = TIERS.filter((tier) => !tiers.includes(tier));
    const flush = () => call<{ blocks: number }>('DELETE', `/v1/cache?tiers=${tiers.join(',')}`);
    expect(await flush()).toMatchObject({ status: 200, json: { object: 'cache.flushed', blocks: hashes.length } });
    expect(await places(hashes)).toEqual(hashes.map(() => left));
    if (client) expect((await client.keys('blockstitch:block:*')).length > 0).toBe(left.includes(brand));
    expect((await flush()).json.blocks).toBe(0);
    // The next answer finds the blocks where they were left.
    const { status, json } = await server.post<{ blockstitch: { blocks: { kind: string; origin: string }[] } }>(
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: 'Who?' }], documents: [{ id: 'd' }], max_tokens: 1 },
    );
    expect(status).toBe(200);
    const origins = json.blockstitch.blocks.filter(({ kind }) => kind === 'document').map(({ origin }) => origin);
    expect(new Set(origins)).toEqual(new Set([left[0] ?? 'computed']));
  });

  test('drops nothing for a store that is not in use', async () => {
    const hashes = await ingested();
    const other = brand === 'lmdb' ? 'redis' : 'lmdb';
    expect((await call<{ blocks: number }>('DELETE', `/v1/cache?tiers=${other}`)).json.blocks).toBe(0);
    expect(await places(hashes)).toEqual(hashes.map(() => TIERS));
  });
});
