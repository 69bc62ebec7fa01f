/** Repair over HTTP against the served demo model: documents, shares, usage, metrics, and no page left behind. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { askServer } from '../../src/cli/api-client.js';
import type { RepairChoice } from '../../src/engine/engine.js';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

const DOCUMENTS = [
  'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako. The Zokego fair opens in July.',
  'Tolefi works as a baker. The home of Tolefi is Rasu. Tolefi was born in 1888. Tolefi trusts Benovi.',
  'The Seli is built from oak. The maker of the Seli is Roga. The Seli comes in green.',
].map((text) => ({ text }));
const QUESTION = { question: 'Who hosts the Zokego fair?', documents: DOCUMENTS, maxTokens: 8, temperature: 0 };
const SINKS: number = JSON.parse(readFileSync('models/demo/config.json', 'utf8')).block_attention.sink_token_ids.length;
let demo: DemoServer;

const ask = (share: number, by: RepairChoice) =>
  askServer(demo.url, { ...QUESTION, attention: { mode: 'block', repair: { share, by } } });

beforeAll(async () => {
  demo = await startDemoServer();
});
afterEach(() => demo.idle());
afterAll(() => demo.close());

test.each(['first', 'deviation'] as const)('a repair by %s says what it computed again', async (by) => {
  await askServer(demo.url, { ...QUESTION, attention: 'block' });
  const { report, usage } = await ask(0.3, by);
  expect(report.blocks.map(({ origin }) => origin)).toEqual(['pool', 'pool', 'pool']);
  const repaired = report.blocks.map((block) => block.repaired_tokens);
  expect(repaired[0]).toBe(0);
  const total = repaired.reduce((sum, tokens) => sum + tokens, 0);
  expect(total).toBeGreaterThan(0);
  const blocks = report.blocks.reduce((sum, { tokens }) => sum + tokens, 0);
  expect(usage.prompt_tokens_details.cached_tokens).toBe(SINKS + blocks - total);
  expect(await (await fetch(`${demo.url}/metrics`)).text()).toMatch(/blockstitch:repaired_tokens_total\{[^}]*\} [1-9]/);
});

test('a repair of everything answers as full attention does', async () => {
  const full = await askServer(demo.url, { ...QUESTION, attention: 'full' });
  for (const by of ['first', 'deviation'] as const) {
    const { text, report, usage } = await ask(1, by);
    expect(text).toBe(full.text);
    expect(report.attention).toBe('full');
    expect(usage.prompt_tokens_details.cached_tokens).toBe(0);
  }
});
