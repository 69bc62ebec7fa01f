/** What Prometheus can rely on: series are there before their first event, and say what runs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../../src/errors.js';
import { makeKey, writeKeyFile } from '../../../src/server/keys/key-file.js';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { fakeApp } from '../../support/fake-services.js';

/** Series of a metric by their labels, without the model's name. */
async function series(metrics: ServerMetrics, name: string): Promise<Record<string, number>> {
  const text = await metrics.registry.getSingleMetricAsString(name);
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return Object.fromEntries(
    lines.map((line) => {
      const [, labels = '', value = ''] = /\{(.*)\} (\S+)$/.exec(line) ?? [];
      return [labels.replace(/,?model_name="[^"]*"/, '').replace(/^,/, ''), Number(value)];
    }),
  );
}

describe('counters with labels stand at 0 before their first event', () => {
  test('by how requests end, and by error code', async () => {
    const metrics = new ServerMetrics('m');
    const ends = await series(metrics, 'blockstitch:request_success_total');
    expect(ends).toEqual(
      Object.fromEntries(['stop', 'length', 'abort', 'error'].map((end) => [`finished_reason="${end}"`, 0])),
    );
    expect(Object.keys(await series(metrics, 'blockstitch:errors_total'))).toEqual(
      Object.keys(ERRORS).map((code) => `code="${code}"`),
    );
  });

  test('by tier, once the store is open', async () => {
    const metrics = new ServerMetrics('m');
    metrics.storeOpened('redis');
    const hits = await series(metrics, 'blockstitch:block_hits_total');
    expect(hits).toEqual({ 'tier="pool"': 0, 'tier="host"': 0, 'tier="redis"': 0 });
    const ingested = await series(metrics, 'blockstitch:ingested_blocks_total');
    expect(Object.keys(ingested)).toContain('origin="computed"');
  });

  test('by route', async () => {
    const { app, services } = await fakeApp();
    await app.ready();
    const routes = await series(services.metrics, 'blockstitch:http_requests_total');
    expect(routes['method="POST",route="/v1/chat/completions",status="200"']).toBe(0);
    expect(Object.values(routes).every((count) => count === 0)).toBe(true);
    await app.inject('/health');
    const after = await series(services.metrics, 'blockstitch:http_requests_total');
    expect(after['method="GET",route="/health",status="200"']).toBe(1);
  });
});

test('build_info says what runs', async () => {
  const [labels = ''] = Object.keys(await series(new ServerMetrics('m'), 'blockstitch:build_info'));
  expect(labels).toMatch(/^version="\d+\.\d+\.\d+",node="v\d+/);
});

describe('tokens of tenants', () => {
  test('count under the name of the key or of its shared tenant, for answers and for documents', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'blockstitch-names-'));
    const keyFile = join(directory, 'keys.json');
    const [alice, bob] = [makeKey({ name: 'alice' }), makeKey({ name: 'bob', tenant: 'support' })];
    await writeKeyFile(keyFile, [alice.entry, bob.entry]);
    const { app, services } = await fakeApp({ keyFile });
    const post = async (key: string, url: string, payload: object) => {
      const answer = await app.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${key}` } });
      expect(answer.statusCode, answer.body).toBe(200);
      return answer.json();
    };
    const counted = async (name: string) => {
      await app.inject('/metrics');
      return series(services.metrics, `blockstitch:tenant_${name}_tokens_total`);
    };
    expect(await counted('prefilled')).toEqual({ 'tenant="alice"': 0, 'tenant="support"': 0 });
    const { tokens } = await post(alice.key, '/v1/documents', { id: 'd', text: 'First passage.' });
    expect(await counted('prefilled')).toEqual({ 'tenant="alice"': tokens, 'tenant="support"': 0 });
    const chat = { messages: [{ role: 'user', content: 'Why?' }], documents: [{ id: 'd' }], max_tokens: 3 };
    const { usage } = await post(alice.key, '/v1/chat/completions', chat);
    expect(await counted('cached')).toEqual({ 'tenant="alice"': tokens, 'tenant="support"': 0 });
    expect(await counted('prefilled')).toMatchObject({ 'tenant="alice"': usage.prompt_tokens });
    expect(await counted('generation')).toEqual({ 'tenant="alice"': 3, 'tenant="support"': 0 });
    await post(bob.key, '/v1/documents', { id: 'd', text: 'First passage.' });
    expect(await counted('prefilled')).toMatchObject({ 'tenant="support"': tokens });
    await app.close();
    rmSync(directory, { recursive: true });
  });

  test('have no series without a name', async () => {
    const { app, services } = await fakeApp({ apiKeys: ['plain-key'] });
    const headers = { authorization: 'Bearer plain-key' };
    await app.inject({ method: 'POST', url: '/v1/documents', headers, payload: { id: 'd', text: 'First passage.' } });
    expect(await series(services.metrics, 'blockstitch:tenant_prefilled_tokens_total')).toEqual({});
    expect((await app.inject('/metrics')).body).not.toContain('tenant="');
    await app.close();
  });
});
