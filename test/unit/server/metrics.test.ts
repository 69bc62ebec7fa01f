/** What Prometheus can rely on: series are there before their first event, and say what runs. */
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../../src/errors.js';
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
