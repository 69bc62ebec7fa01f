/** /metrics of a served model after real work: hits, misses, bytes and load time by tier, and what one request cost. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

const ALL = { prefix: '' };
const POOL = new Set(['pool'] as const);

const DOCUMENT = 'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako. It opens in May.';
const body = {
  messages: [{ role: 'user', content: 'Who hosts the Zokego fair?' }],
  documents: [{ text: DOCUMENT }],
  max_tokens: 4,
  temperature: 0,
  ignore_eos: true,
};
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer({ hostTierBytes: '0' });
});
afterAll(async () => {
  await demo.close();
});

/** Values by name and labels, the model's name left out. */
async function metrics(): Promise<(series: string) => number> {
  const text = await (await fetch(`${demo.url}/metrics`)).text();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name = '', labels = '', value = ''] = /^blockstitch:(\w+)(?:\{([^}]*)\})? (\S+)$/.exec(line) ?? [];
    const own = labels.split(',').filter((label) => label !== '' && !label.startsWith('model_name='));
    values.set(own.length === 0 ? name : `${name}{${own.join(',')}}`, Number(value));
  }
  return (series) => values.get(series) ?? 0;
}

async function ask(): Promise<{ blocks: { origin: string }[]; usage: { prompt_tokens: number } }> {
  const { json } = await demo.post<{ blockstitch: { blocks: { origin: string }[] }; usage: { prompt_tokens: number } }>(
    '/v1/chat/completions',
    body,
  );
  return { blocks: json.blockstitch.blocks, usage: json.usage };
}

test('a block is counted as a miss, then in the pool, then in the store that it was loaded from', async () => {
  const cold = await ask();
  const count = cold.blocks.length;
  const afterMiss = await metrics();
  expect(afterMiss('block_misses_total')).toBe(count);
  expect(afterMiss('time_to_first_token_by_tier_seconds_count{tier="computed"}')).toBe(1);

  await ask();
  const afterHit = await metrics();
  expect(afterHit('block_hits_total{tier="pool"}')).toBe(count);
  expect(afterHit('block_misses_total')).toBe(count);
  expect(afterHit('tier_entries{tier="pool"}')).toBeGreaterThanOrEqual(count);

  // What was computed for a request goes to the store behind its back.
  await expect.poll(async () => (await metrics())('tier_entries{tier="lmdb"}')).toBeGreaterThanOrEqual(count);
  await demo.services.cache.forget(ALL, POOL);
  await ask();
  const afterLoad = await metrics();
  expect(afterLoad('block_hits_total{tier="lmdb"}')).toBe(count);
  expect(afterLoad('tier_hits_total{tier="lmdb"}')).toBeGreaterThanOrEqual(count);
  expect(afterLoad('tier_loaded_bytes_total{tier="lmdb"}')).toBeGreaterThan(1000);
  expect(afterLoad('tier_load_seconds_total{tier="lmdb"}')).toBeGreaterThan(0);
  expect(afterLoad('tier_bytes{tier="lmdb"}')).toBeGreaterThan(1000);
  expect(afterLoad('time_to_first_token_by_tier_seconds_count{tier="lmdb"}')).toBe(1);
  expect(afterLoad('store_breaker_open{tier="lmdb"}')).toBe(0);
});

test('tokens and requests are counted as the answers say', async () => {
  const before = await metrics();
  const { usage } = await ask();
  const after = await metrics();
  const grown = (series: string) => after(series) - before(series);
  expect(grown('generation_tokens_total')).toBe(4);
  expect(grown('request_success_total{finished_reason="length"}')).toBe(1);
  expect(grown('request_prompt_tokens_sum')).toBe(usage.prompt_tokens);
  expect(grown('inter_token_latency_seconds_count')).toBe(3);
  expect(grown('http_requests_total{method="POST",route="/v1/chat/completions",status="200"}')).toBe(1);
  expect(grown('prefix_cache_hits_total')).toBeGreaterThan(10);
  expect(grown('prefix_cache_hits_total')).toBeLessThanOrEqual(grown('prefix_cache_queries_total'));
});
