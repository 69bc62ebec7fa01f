/** A document of the demo model in which a little changes: only that is prefilled, and answers are those of the new text. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

const NAMES = ['Zokego', 'Tolefi', 'Sonako', 'Limoga', 'Rasubo', 'Kemira', 'Dovala', 'Penuto'];
const sentences = Array.from({ length: 480 }, (_, at) => {
  const name = (step: number) => NAMES[(at * step + (at >> 3)) % NAMES.length];
  return `${name(1)} of year ${1000 + at} is held in ${name(5)}. ${name(3)} hosts it.`;
});
const text = (of: readonly string[]) => of.join(' ');
/** About 1% of the document. */
const EDIT = 5;
const MIDDLE = sentences.length / 2;
const fresh = Array.from({ length: EDIT }, (_, at) => `Nobody knows who hosts the fair of ${2000 + at} in Rasubo.`);

interface Ingested {
  tokens: number;
  blocks: { hash: string; tokens: number; origin: string; start: number; end: number }[];
}
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer();
});
afterAll(() => demo.close());

async function ingest(id: string, value: string): Promise<Ingested> {
  const { status, json } = await demo.post<Ingested>('/v1/documents', { id, text: value });
  expect(status).toBe(200);
  return json;
}

const computed = ({ blocks }: Ingested) =>
  blocks.filter(({ origin }) => origin === 'computed').reduce((sum, { tokens }) => sum + tokens, 0);

test.each([
  ['replaced', [...sentences.slice(0, MIDDLE), ...fresh, ...sentences.slice(MIDDLE + EDIT)]],
  ['put in', [...sentences.slice(0, MIDDLE), ...fresh, ...sentences.slice(MIDDLE)]],
  ['left out', [...sentences.slice(0, MIDDLE), ...sentences.slice(MIDDLE + EDIT)]],
])('1%% in the middle that is %s: at most 5%% of the tokens are prefilled', async (id, after) => {
  const before = await ingest(id, text(sentences));
  expect(before.tokens).toBeGreaterThan(9_000);
  const update = await ingest(id, text(after));
  expect(computed(update) / update.tokens).toBeLessThanOrEqual(0.05);
  // The blocks are those of the new text.
  let end = 0;
  for (const block of update.blocks) {
    expect(block.start).toBe(end);
    end = block.end;
  }
  expect(end).toBe(text(after).length);
  expect((await demo.services.documents.get({ tenant: '', salt: '' }, id)).text).toBe(text(after));
  // What only the old text had is gone.
  const kept = new Set(update.blocks.map(({ hash }) => hash));
  const dropped = before.blocks.filter(({ hash }) => !kept.has(hash));
  for (const place of await demo.services.cache.find(dropped.map(({ hash }) => hash))) expect(place.tiers).toEqual([]);
  await demo.services.documents.forget({ tenant: '', salt: '' }, id);
});
