/** What is usual is no warning: clients that leave, and probes while the model loads. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.js';
import { BlockstitchError } from '../../../src/errors.js';
import { buildApp } from '../../../src/server/app.js';
import { Lifecycle } from '../../../src/server/lifecycle.js';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { fakeApp } from '../../support/fake-services.js';

const INFO = 30;
const WARN = 40;

/** A logger that keeps its lines. */
function kept() {
  const lines: { level: number; msg: string; code?: string; err?: unknown }[] = [];
  const stream = new Writable({
    write(part, _encoding, done) {
      for (const line of String(part).trim().split('\n')) lines.push(JSON.parse(line));
      done();
    },
  });
  return { lines, logger: { level: 'trace', stream }, warnings: () => lines.filter(({ level }) => level >= WARN) };
}

test('/ready that is polled while the model loads, and requests that come too early', async () => {
  const { lines, logger, warnings } = kept();
  const config = loadConfig({}, {});
  const lifecycle = new Lifecycle();
  const app = await buildApp({ config, lifecycle, metrics: new ServerMetrics('tiny'), logger });
  lifecycle.starting('loading the graph');
  for (let poll = 0; poll < 20; poll++) expect((await app.inject('/ready')).statusCode).toBe(503);
  const payload = { messages: [{ role: 'user', content: 'Why?' }] };
  expect((await app.inject({ method: 'POST', url: '/v1/chat/completions', payload })).statusCode).toBe(503);
  expect(lines.some(({ code }) => code === 'not_ready')).toBe(true);
  expect(warnings()).toEqual([]);
  await app.close();
});

test('/ready that is polled while the server drains', async () => {
  const { lines, logger, warnings } = kept();
  const { app, lifecycle } = await fakeApp({}, { logger });
  await lifecycle.drain(0);
  for (let poll = 0; poll < 20; poll++) expect((await app.inject('/ready')).statusCode).toBe(503);
  expect((await app.inject('/v1/models')).statusCode).toBe(503);
  expect(lines.some(({ code }) => code === 'shutting_down')).toBe(true);
  expect(warnings()).toEqual([]);
  await app.close();
});

test('clients that leave: during an answer, a stream, an ingestion, a body, or before they have said anything', async () => {
  const { lines, logger, warnings } = kept();
  const { app, engine } = await fakeApp({}, { logger });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = new URL(url);
  engine.tokenMs = 1e6;
  const chat = { messages: [{ role: 'user', content: 'Why?' }], max_tokens: 5 };
  const left = () => lines.filter(({ code }) => code === 'client_closed').length;
  for (const body of [chat, { ...chat, stream: true }]) {
    const before = left();
    const leaving = new AbortController();
    const asked = fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    asked.catch(() => undefined);
    while (engine.statistics().running === 0) await new Promise(setImmediate);
    leaving.abort();
    while (engine.statistics().running > 0 || left() === before) await new Promise(setImmediate);
  }
  // Half a body, then nobody.
  const half = httpRequest({
    port,
    method: 'POST',
    path: '/v1/documents',
    headers: { 'content-type': 'application/json', 'content-length': 100 },
  });
  half.on('error', () => undefined);
  half.write('{"text": "Zokego');
  const seen = lines.length;
  while (lines.length === seen) await new Promise(setImmediate);
  half.destroy();
  await new Promise((done) => half.once('close', done));
  // Half a request, and a connection without a word.
  for (const words of ['POST /v1/chat/comp', '']) {
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    if (words !== '') socket.write(words);
    socket.destroy();
    await once(socket, 'close');
  }
  expect((await app.inject('/health')).statusCode).toBe(200);
  await app.close();
  expect(left()).toBeGreaterThanOrEqual(2);
  expect(warnings()).toEqual([]);
});

test('requests that ask for too much: more pages than the pool has, or more time than there is', async () => {
  const { lines, logger, warnings } = kept();
  const { app, engine } = await fakeApp({}, { logger });
  const payload = { messages: [{ role: 'user', content: 'Why?' }] };
  const refuse = async (error: BlockstitchError) => {
    engine.failWith = error;
    const { statusCode } = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
    expect(statusCode).toBe(error.status);
  };
  await refuse(new BlockstitchError('pool_too_small', { needed: 9, pages: 8 }));
  expect(warnings()).toEqual([]);
  await refuse(new BlockstitchError('deadline_exceeded', { deadlineMs: 5 }));
  await refuse(new BlockstitchError('overloaded', { reason: 'the heap is nearly full' }));
  expect(lines.filter(({ code }) => code !== undefined)).toMatchObject([
    { level: INFO, code: 'pool_too_small', msg: 'The request needs 9 KV pages, the pool has 8.' },
    { level: WARN, code: 'deadline_exceeded', msg: 'The deadline of 5 ms passed.' },
    { level: WARN, code: 'overloaded' },
  ]);
  expect(lines.filter(({ err }) => err !== undefined)).toEqual([]);
  await app.close();
});

test('where the store or the engine fails, clients read that it did, and the log says why', async () => {
  const { lines, logger } = kept();
  const { app, engine, services } = await fakeApp({}, { logger });
  const inside = 'connect ECONNREFUSED 10.0.0.7:6379';
  const ask = async (url: string, payload: object | string, type = 'application/json') => {
    const { statusCode, body } = await app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } });
    expect(body).not.toContain('10.0.0.7');
    return [statusCode, /"message":"([^"]*)"/.exec(body)?.[1]];
  };
  const chat = { messages: [{ role: 'user', content: 'Why?' }] };
  services.documents.ingest = async () => {
    throw new BlockstitchError('store_failed', { reason: inside });
  };
  engine.failWith = new BlockstitchError('engine_failed', { reason: inside });
  const said = (what: string) => `The ${what} failed; the server's log says why.`;
  expect(await ask('/v1/documents', { text: 'One.' })).toEqual([503, said('store')]);
  expect(await ask('/v1/document-batch', '{"text": "One."}\n', 'application/x-ndjson')).toEqual([200, said('store')]);
  expect(await ask('/v1/chat/completions', chat)).toEqual([500, said('engine')]);
  expect(await ask('/v1/chat/completions', { ...chat, stream: true })).toEqual([500, said('engine')]);
  const told = lines.filter(({ level, msg }) => level >= WARN && msg.includes(inside));
  expect(told.map(({ msg }) => msg.split(':', 1)[0])).toEqual([
    ...['The store failed', 'The store failed', 'The engine failed', 'The engine failed'],
  ]);
  await app.close();
});
