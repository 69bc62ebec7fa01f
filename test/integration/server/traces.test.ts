/** Traces as a collector receives them: the spans of a request under the client's trace, with counts and without any text. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

interface WireSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code?: number };
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SECRETS = {
  document: 'The kettle of Bergo whistles.',
  question: 'Where does it whistle?',
  salt: 'a-salt-of-mine',
};

let collector: Server;
let bodies: string[] = [];
let failing = false;

beforeAll(async () => {
  collector = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += String(part);
    });
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(failing ? 400 : 200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
});
afterAll(() => new Promise((resolve) => collector.close(resolve)));

const endpoint = () => `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;

function ask(server: DemoServer, stream = false): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: `00-${TRACE}-${PARENT}-01` },
    body: JSON.stringify({
      messages: [{ role: 'user', content: SECRETS.question }],
      documents: [SECRETS.document, 'The lamp is bright.'],
      cache_salt: SECRETS.salt,
      max_tokens: 4,
      stream,
    }),
  });
}

/** The spans that the collector has when the server has closed. */
function received(): WireSpan[] {
  return bodies.flatMap((body) =>
    (JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: WireSpan[] }[] }[] }).resourceSpans.flatMap(
      ({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans),
    ),
  );
}

const attributesOf = ({ attributes }: WireSpan) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

/** What Prometheus sends. */
const PROMETHEUS_ACCEPTS =
  'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';

describe('with a collector', () => {
  let spans: WireSpan[];
  let plain: { type: string | null; text: string };
  let open: { type: string | null; text: string };
  beforeAll(async () => {
    bodies = [];
    const server = await startDemoServer({ otlpEndpoint: `${endpoint()}/` });
    await (await ask(server)).json();
    await (await ask(server, true)).text();
    const scraped = async (accept: string) => {
      const answer = await fetch(`${server.url}/metrics`, { headers: { accept } });
      return { type: answer.headers.get('content-type'), text: await answer.text() };
    };
    open = await scraped(PROMETHEUS_ACCEPTS);
    plain = await scraped('text/plain;version=0.0.4');
    await fetch(`${server.url}/v1/cache?tiers=pool`, { method: 'DELETE' });
    await (await ask(server)).json();
    await fetch(`${server.url}/v1/documents/none`);
    await fetch(`${server.url}/health`);
    await server.close();
    spans = received();
  });

  test('a request is a server span under the trace of its client, named by its route', () => {
    const servers = spans.filter(({ kind }) => kind === 2);
    expect(servers.map(({ name }) => name)).toEqual([
      'POST /v1/chat/completions',
      'POST /v1/chat/completions',
      'DELETE /v1/cache',
      'POST /v1/chat/completions',
      'GET /v1/documents/:id',
    ]);
    expect(servers.slice(0, 2).map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
      [TRACE, PARENT],
      [TRACE, PARENT],
    ]);
    expect(servers.map(attributesOf).map((each) => each['http.response.status_code'])).toEqual([
      200, 200, 200, 200, 404,
    ]);
  });

  test('times to first token name the trace, for who takes OpenMetrics', () => {
    expect(open.type).toContain('application/openmetrics-text');
    const bucket = /^blockstitch:time_to_first_token_seconds_bucket\{.*\} \d+ # \{trace_id="([0-9a-f]{32})"\}/gm;
    const named = [...open.text.matchAll(bucket)].map(([, id]) => id);
    expect(new Set(named)).toEqual(new Set([TRACE]));
    expect(plain.type).toContain('text/plain');
    expect(plain.text).not.toContain(TRACE);
  });

  test('its parts follow one another inside it: segment, queue, find, prefill, decode', () => {
    const [server] = spans.filter(({ kind }) => kind === 2) as [WireSpan];
    const parts = spans.filter(({ parentSpanId }) => parentSpanId === server.spanId);
    expect(parts.map(({ name }) => name)).toEqual(['segment', 'queue', 'find', 'prefill', 'decode']);
    for (const [at, part] of parts.entries()) {
      expect(BigInt(part.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(part.startTimeUnixNano));
      const before = parts[at - 1];
      // The clock of a span is rounded to a millisecond's part.
      if (before) {
        const gap = BigInt(part.startTimeUnixNano) - BigInt(before.endTimeUnixNano);
        expect(gap).toBeGreaterThan(-2_000_000n);
      }
    }
    const prefill = attributesOf(parts.find(({ name }) => name === 'prefill') as WireSpan);
    expect(prefill['blockstitch.blocks.computed']).toBe(2);
    expect(Number(prefill['gen_ai.usage.input_tokens'])).toBeGreaterThan(10);
    const decode = attributesOf(parts.find(({ name }) => name === 'decode') as WireSpan);
    expect(Number(decode['gen_ai.usage.output_tokens'])).toBeLessThanOrEqual(4);
  });

  test('a second request says that its blocks were in the pool', () => {
    const prefills = spans.filter(({ name }) => name === 'prefill').map(attributesOf);
    expect(prefills[1]).toMatchObject({ 'blockstitch.blocks.pool': 2 });
  });

  test('a third one, after the pool was emptied, has the time of the load, and the tier', () => {
    expect(spans.filter(({ name }) => name === 'load')).toHaveLength(1);
    const [, , third] = spans.filter(({ name }) => name === 'prefill').map(attributesOf);
    expect(third).toMatchObject({ 'blockstitch.blocks.host': 2 });
  });

  test('no text, key or salt is in them', () => {
    const said = bodies.join('');
    for (const secret of Object.values(SECRETS)) expect(said).not.toContain(secret);
  });
});

test('without a collector requests go on, and the server closes', async () => {
  failing = true;
  const server = await startDemoServer({ otlpEndpoint: endpoint() });
  expect((await ask(server)).status).toBe(200);
  await server.close();
  const nowhere = await startDemoServer({ otlpEndpoint: 'http://127.0.0.1:9' });
  expect((await ask(nowhere)).status).toBe(200);
  await nowhere.close();
});
