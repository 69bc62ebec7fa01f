/** What --store-values costs and saves on the demo model: the same questions over blocks of the pool and of the store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LoadCostModel } from '../../../src/cache/load-cost-model.js';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-values-'));
const { begin } = LoadCostModel.prototype;
beforeAll(() => {
  // On a busy machine a load may be slower than computing. Here every block must come from the store.
  vi.spyOn(LoadCostModel.prototype, 'worthLoading').mockReturnValue(true);
  vi.spyOn(LoadCostModel.prototype, 'begin').mockImplementation(function (this: LoadCostModel, computeMs) {
    return { ...begin.call(this, computeMs), waitMs: 600_000 };
  });
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

const TOWNS = ['Limoga', 'Tarn', 'Oskel', 'Vetra', 'Puma', 'Lodi', 'Kirra', 'Senn'];
const documents = TOWNS.map((town, at) => ({
  id: town,
  text: `Fair number ${at} is held in ${town}. Its boats are red.`,
}));
const MOST_ALTERNATIVES = 20;

interface Chat {
  usage: { prompt_tokens: number };
  choices: {
    message: { content: string };
    logprobs: { content: { top_logprobs: { token: string; logprob: number }[] }[] };
  }[];
  blockstitch: { blocks: { origin: string; kind: string }[] };
}

async function measured(server: DemoServer) {
  for (const document of documents) expect((await server.post('/v1/documents', document)).status).toBe(200);
  const ask = async (town: string): Promise<Chat> =>
    (
      await server.post<Chat>('/v1/chat/completions', {
        messages: [{ role: 'user', content: `What number has the fair of ${town}?` }],
        documents: documents.map(({ id }) => ({ id })),
        ...{ max_tokens: 6, temperature: 0, logprobs: true, top_logprobs: MOST_ALTERNATIVES },
      })
    ).json;
  const near: Chat[] = [];
  for (const town of TOWNS) near.push(await ask(town));
  const far: Chat[] = [];
  for (const town of TOWNS) {
    const flushed = await fetch(`${server.url}/v1/cache?tiers=pool,host`, { method: 'DELETE' });
    expect(flushed.status).toBe(200);
    far.push(await ask(town));
  }
  let [most, divergence, count] = [0, 0, 0];
  for (const [index, one] of near.entries()) {
    const stored = far[index] as Chat;
    const origins = stored.blockstitch.blocks.filter(({ kind }) => kind === 'document').map(({ origin }) => origin);
    expect(new Set(origins)).toEqual(new Set(['lmdb']));
    const [here, there] = [one, stored].map(({ choices }) => choices[0]?.logprobs.content[0]?.top_logprobs ?? []);
    const other = new Map(there?.map(({ token, logprob }) => [token, logprob]));
    for (const { token, logprob } of here ?? []) {
      const off = logprob - (other.get(token) ?? logprob);
      // Rare tokens say little: those of one in a thousand and more count.
      if (logprob > Math.log(0.001)) most = Math.max(most, Math.abs(off));
      divergence += Math.exp(logprob) * off;
    }
    count += 1;
  }
  const same = near.filter(
    (one, index) => one.choices[0]?.message.content === far[index]?.choices[0]?.message.content,
  ).length;
  const { tiers } = (await (await fetch(`${server.url}/v1/cache`)).json()) as {
    tiers: { tier: string; bytes: number }[];
  };
  return { most, divergence: divergence / count, same, bytes: tiers.find(({ tier }) => tier === 'lmdb')?.bytes ?? 0 };
}

test('float16 KV that is stored as int8 takes half the space, and answers stay what they are', async () => {
  const figures: Record<string, Awaited<ReturnType<typeof measured>>> = {};
  for (const storeValues of ['pool', 'int8'] as const) {
    const server = await startDemoServer({
      storeValues,
      storeDir: join(directory, storeValues),
      importCacheDir: join(directory, 'imports'),
    });
    figures[storeValues] = await measured(server);
    await server.close();
  }
  const { pool, int8 } = figures as { pool: (typeof figures)[string]; int8: (typeof figures)[string] };
  console.info(JSON.stringify(figures));
  // As it is, a value comes back bit by bit.
  expect(pool).toMatchObject({ most: 0, divergence: 0, same: TOWNS.length });
  expect(int8.bytes / pool.bytes).toBeLessThan(0.55);
  expect(int8.most).toBeLessThan(0.5);
  expect(Math.abs(int8.divergence)).toBeLessThan(0.02);
  expect(int8.same).toBeGreaterThanOrEqual(TOWNS.length - 1);
}, 300_000);
