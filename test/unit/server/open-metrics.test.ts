/** /metrics as OpenMetrics: the same numbers, with the traces behind times to first token. */
import { expect, test } from 'vitest';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { fakeApp } from '../../support/fake-services.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TTFT = 'blockstitch:time_to_first_token_seconds';

function answered(traceId?: string): ServerMetrics {
  const metrics = new ServerMetrics('m');
  metrics.storeOpened('lmdb');
  for (const id of [traceId, undefined]) {
    const observer = metrics.request('', id);
    observer.token();
    observer.finished('stop');
    observer.left();
  }
  return metrics;
}

/** Names, labels and values, without exemplars. */
const samples = (text: string) =>
  text
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => line.replace(/ # \{.*$/, ''))
    .filter((line) => !/^(?:process|nodejs)_/.test(line))
    .sort();

test('has the samples of the text that Prometheus reads, each once', async () => {
  const metrics = answered(TRACE);
  const { type, text } = await metrics.renderOpen(undefined);
  expect(type).toContain('application/openmetrics-text; version=1.0.0');
  expect(samples(text)).toEqual(samples(await metrics.render(undefined)));
  expect(new Set(samples(text)).size).toBe(samples(text).length);
});

test('describes counters without their suffix, has no blank line, and ends with the mark of the end', async () => {
  const { text } = await answered(TRACE).renderOpen(undefined);
  expect(text).toContain('# TYPE blockstitch:errors counter\n');
  expect(text).toContain('# HELP blockstitch:errors Errors by code of the error table\n');
  expect(text).toMatch(/^blockstitch:errors_total\{/m);
  expect(text).not.toContain('\n\n');
  expect(text.endsWith('\n# EOF\n')).toBe(true);
  const described = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(new Set(described).size).toBe(described.length);
});

test('names the trace of a request that has one, at the bucket of its time', async () => {
  const { text } = await answered(TRACE).renderOpen(undefined);
  const named = text.split('\n').filter((line) => line.includes('trace_id'));
  expect(named).toHaveLength(1);
  expect(named[0]).toMatch(new RegExp(`^${TTFT}_bucket\\{.*\\} \\d+ # \\{trace_id="${TRACE}"\\} [\\d.e-]+ [\\d.]+$`));
  expect((await answered().renderOpen(undefined)).text).not.toContain('trace_id');
});

test('Prometheus text stays as it was, also after OpenMetrics was asked for', async () => {
  const metrics = answered(TRACE);
  const before = samples(await metrics.render(undefined));
  await metrics.renderOpen(undefined);
  const after = await metrics.render(undefined);
  expect(samples(after)).toEqual(before);
  expect(after).toContain('# TYPE blockstitch:errors_total counter');
  expect(after).not.toContain('trace_id');
});

test('without traces nobody gets OpenMetrics', async () => {
  const { app } = await fakeApp();
  const { headers } = await app.inject({ url: '/metrics', headers: { accept: 'application/openmetrics-text' } });
  expect(headers['content-type']).toContain('text/plain');
  await app.close();
});
