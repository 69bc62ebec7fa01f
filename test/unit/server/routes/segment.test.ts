/** POST /v1/segment with include_cache: keys and tiers of the blocks that a chat would make. */
import { beforeEach, expect, test } from 'vitest';
import { fakeApp } from '../../../support/fake-services.js';

const TEXT = 'One is here.\n\nTwo is there.';
let fake: Awaited<ReturnType<typeof fakeApp>>;
beforeEach(async () => {
  fake = await fakeApp();
});

interface Cut {
  data: { hash?: string | null; tiers?: string[] }[];
}

async function post<Answer>(url: string, payload: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fake.app.inject({ method: 'POST', url, payload, headers });
  expect(response.statusCode).toBe(200);
  return response.json<Answer>();
}
const cut = (fields: object = {}, headers: Record<string, string> = {}) =>
  post<Cut>('/v1/segment', { text: TEXT, include_cache: true, ...fields }, headers);
const chat = (document: object, fields: object = {}) =>
  post<{ blockstitch: { blocks: { hash: string }[] } }>('/v1/chat/completions', {
    messages: [{ role: 'user', content: 'Who?' }],
    documents: [document],
    ...fields,
  });

test('blocks are misses until a chat has computed them, and then have its keys', async () => {
  const before = await cut();
  expect(before.data.map(({ tiers }) => tiers)).toEqual([[], []]);
  const { blockstitch } = await chat({ text: TEXT });
  const after = await cut();
  expect(after.data.map(({ hash }) => hash)).toEqual(blockstitch.blocks.map(({ hash }) => hash));
  expect(after.data.map(({ hash }) => hash)).toEqual(before.data.map(({ hash }) => hash));
  expect(after.data.map(({ tiers }) => tiers)).toEqual([['pool'], ['pool']]);
});

test('a title is part of the first block', async () => {
  const { blockstitch } = await chat({ text: TEXT, title: 'Fairs' });
  const titled = await cut({ title: 'Fairs' });
  expect(titled.data.map(({ hash }) => hash)).toEqual(blockstitch.blocks.map(({ hash }) => hash));
  expect((await cut()).data.map(({ tiers }) => tiers)).toEqual([[], ['pool']]);
});

test('the salt of the header counts, and nothing is said without being asked', async () => {
  await chat({ text: TEXT }, { cache_salt: 'mine' });
  expect((await cut()).data.map(({ tiers }) => tiers)).toEqual([[], []]);
  expect((await cut({}, { 'x-cache-salt': 'mine' })).data.map(({ tiers }) => tiers)).toEqual([['pool'], ['pool']]);
  for (const block of (await cut({ include_cache: false })).data) expect(Object.keys(block)).not.toContain('tiers');
});

test('a block without tokens has no key: no prompt has it', async () => {
  const { documentBlocks } = fake.services.prompts;
  fake.services.prompts.documentBlocks = async (...input) => (await documentBlocks(...input)).slice(1);
  expect((await cut()).data).toMatchObject([{ hash: null, tiers: [] }, { tiers: [] }]);
});
