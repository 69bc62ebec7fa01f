import { type AddressInfo, connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.js';
import { ERRORS, type ErrorCode } from '../../../src/errors.js';
import { buildApp } from '../../../src/server/app.js';
import { JSON_LIMITS } from '../../../src/server/json-measure.js';
import { Lifecycle } from '../../../src/server/lifecycle.js';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { fakeApp } from '../../support/fake-services.js';

const url = '/v1/chat/completions';
const json = { 'content-type': 'application/json' };
const question = { messages: [{ role: 'user', content: 'Why?' }] };

describe('bodies', () => {
  it.each([
    ['malformed JSON', '{"messages": [', 400, 'invalid_json'],
    ['an empty body', '', 400, 'invalid_json'],
    ['NaN, which JSON does not have', '{"messages": [], "temperature": NaN}', 400, 'invalid_json'],
    [
      'a number that overflows to infinity',
      '{"messages":[{"role":"user","content":"x"}],"top_p":1e999}',
      400,
      'invalid_request',
    ],
    ['a list instead of an object', '[]', 400, 'invalid_request'],
    ['null', 'null', 400, 'invalid_request'],
    ['a prototype in disguise', '{"__proto__": {"x": 1}}', 400, 'invalid_json'],
    ['a lone surrogate', '{"messages":[{"role":"user","content":"a\\ud800b"}]}', 422, 'text_not_encodable'],
    [
      'a lone surrogate in a document',
      '{"messages":[{"role":"user","content":"a"}],"documents":[{"text":"\\uDC00"}]}',
      422,
      'text_not_encodable',
    ],
  ])('answers %s with its documented status', async (_what, payload, status, code) => {
    const { app } = await fakeApp();
    const response = await app.inject({ method: 'POST', url, headers: json, payload });
    expect([response.statusCode, response.json().error.code]).toEqual([status, code]);
  });

  it('are not asked for where a request has none, whatever content type it names', async () => {
    const { app } = await fakeApp();
    const response = await app.inject({ method: 'DELETE', url: '/v1/documents/none', headers: json });
    expect([response.statusCode, response.json().error.code]).toEqual([404, 'document_not_found']);
    const read = await app.inject({ url: '/v1/models', headers: json });
    expect(read.statusCode).toBe(200);
  });

  it('takes surrogates that form pairs', async () => {
    const { app } = await fakeApp();
    const payload = '{"messages":[{"role":"user","content":"\\ud83d\\ude00"}]}';
    expect((await app.inject({ method: 'POST', url, headers: json, payload })).statusCode).toBe(200);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const { app } = await fakeApp();
    const payload = Buffer.from([...Buffer.from('{"messages":"'), 0xff, 0xfe, ...Buffer.from('"}')]);
    const response = await app.inject({ method: 'POST', url, headers: json, payload });
    expect([response.statusCode, response.json().error.code]).toEqual([400, 'invalid_utf8']);
  });

  it('refuses other content types with 415 and large bodies with 413', async () => {
    const { app } = await fakeApp({ maxBodyBytes: 2048 });
    const text = await app.inject({ method: 'POST', url, headers: { 'content-type': 'text/plain' }, payload: 'x' });
    expect([text.statusCode, text.json().error.code]).toEqual([415, 'unsupported_media_type']);
    const large = await app.inject({ method: 'POST', url, headers: json, payload: 'x'.repeat(3000) });
    expect([large.statusCode, large.json().error.code]).toEqual([413, 'payload_too_large']);
    expect(large.json().error.remedy).toContain('--max-body');
  });

  it('refuses bodies of very many values, fast enough not to hold up others', async () => {
    const { app } = await fakeApp();
    const payload = `{"messages":[${'"",'.repeat(2_000_000)}1]}`;
    const started = process.cpuUsage();
    const response = await app.inject({ method: 'POST', url, headers: json, payload });
    // Processor time: a busy machine makes it wait, and no more than wait.
    const { user } = process.cpuUsage(started);
    expect([response.statusCode, response.json().error.code]).toEqual([413, 'payload_too_large']);
    expect(response.json().error.message).toContain(String(JSON_LIMITS.values));
    expect(user / 1000).toBeLessThan(500);
  });
});

describe('routes that do not exist', () => {
  it("answers in the API's own shape: 404, and 405 with Allow", async () => {
    const { app } = await fakeApp();
    const missing = await app.inject({ url: '/v1/nothing' });
    expect([missing.statusCode, missing.json().error.code]).toEqual([404, 'route_not_found']);
    const wrong = await app.inject({ method: 'PUT', url: '/v1/documents/x' });
    expect([wrong.statusCode, wrong.json().error.code]).toEqual([405, 'method_not_allowed']);
    expect(wrong.headers.allow).toContain('DELETE');
    const bad = await app.inject({ url: '/v1/documents/%zz' });
    expect([bad.statusCode, bad.json().error.code]).toEqual([400, 'invalid_request']);
  });
});

describe('API keys', () => {
  it('are asked for under /v1 only, and never told apart from no key', async () => {
    const { app } = await fakeApp({ apiKeys: ['alpha', 'beta'] });
    const status = async (headers: Record<string, string>) =>
      (await app.inject({ method: 'POST', url, headers, payload: question })).statusCode;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer gamma' })).toBe(401);
    expect(await status({ authorization: 'Basic alpha' })).toBe(401);
    expect(await status({ authorization: 'Bearer alpha' })).toBe(200);
    expect(await status({ authorization: 'bearer beta' })).toBe(200);
    expect((await app.inject({ url: '/health' })).statusCode).toBe(200);
    expect((await app.inject({ url: '/metrics' })).statusCode).toBe(200);
  });

  it('are refused before the body is read', async () => {
    const { app } = await fakeApp({ apiKeys: ['alpha'] });
    const response = await app.inject({ method: 'POST', url, headers: json, payload: '{broken' });
    expect(response.json().error.code).toBe('authentication_failed');
  });
});

describe('rate limits', () => {
  it('count by key and answer 429 with Retry-After', async () => {
    const { app } = await fakeApp({ requestsPerMinute: 2, apiKeys: ['a', 'b'] });
    const ask = (key: string) =>
      app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${key}` }, payload: question });
    expect([(await ask('a')).statusCode, (await ask('a')).statusCode]).toEqual([200, 200]);
    const refused = await ask('a');
    expect([refused.statusCode, refused.json().error.code]).toEqual([429, 'rate_limit_exceeded']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await ask('b')).statusCode).toBe(200);
  });
});

describe('lifecycle', () => {
  it('answers 503 with the reason until the model is loaded, while /health is fine', async () => {
    const config = loadConfig({}, {});
    const lifecycle = new Lifecycle();
    const app = await buildApp({ config, lifecycle, metrics: new ServerMetrics('tiny') });
    lifecycle.starting('importing the model');
    const ready = await app.inject({ url: '/ready' });
    expect([ready.statusCode, ready.json().error.code]).toEqual([503, 'not_ready']);
    expect(ready.json().error.message).toContain('importing the model');
    expect((await app.inject({ method: 'POST', url, payload: question })).statusCode).toBe(503);
    expect((await app.inject({ url: '/health' })).json()).toEqual({ status: 'ok' });
    expect((await app.inject({ url: '/metrics' })).statusCode).toBe(200);
  });

  it('draining refuses new requests and lets the running one finish', async () => {
    const { app, engine, lifecycle } = await fakeApp();
    engine.tokenMs = 10;
    const running = app.inject({ method: 'POST', url, payload: question });
    while (engine.requests.length === 0) await new Promise(setImmediate);
    const drained = lifecycle.drain(10_000);
    expect((await app.inject({ url: '/ready' })).json().error.code).toBe('shutting_down');
    expect((await app.inject({ method: 'POST', url, payload: question })).statusCode).toBe(503);
    expect((await running).json().choices[0].message.content).toBe(engine.answer);
    expect(await drained).toBe(0);
  });

  it('a drain that runs out of time ends what is left with 503', async () => {
    const { app, engine, lifecycle } = await fakeApp();
    engine.tokenMs = 60_000;
    const running = app.inject({ method: 'POST', url, payload: question });
    while (engine.requests.length === 0) await new Promise(setImmediate);
    expect(await lifecycle.drain(20)).toBe(1);
    expect((await running).json().error.code).toBe('shutting_down');
  });
});

describe('clients that go away', () => {
  it('free what their request held, streaming or not', async () => {
    for (const stream of [true, false]) {
      const { app, engine, lifecycle } = await fakeApp();
      engine.tokenMs = 20;
      engine.answer = 'x'.repeat(3000);
      await app.listen({ port: 0, host: '127.0.0.1' });
      const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
      const payload = JSON.stringify({ ...question, stream, max_tokens: 3000 });
      socket.write(
        `POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${payload.length}\r\n\r\n${payload}`,
      );
      while ((await engine.statistics()).running === 0) await new Promise(setImmediate);
      socket.destroy();
      while ((await engine.statistics()).running > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect((await engine.statistics()).pool.activePages).toBe(0);
      while (lifecycle.activeRequests > 0) await new Promise(setImmediate);
      await app.close();
    }
  });
});

describe('what every response carries', () => {
  it('has a request id: the given one where it is harmless', async () => {
    const { app } = await fakeApp();
    const given = await app.inject({ url: '/health', headers: { 'x-request-id': 'abc-1' } });
    expect(given.headers['x-request-id']).toBe('abc-1');
    const odd = await app.inject({ url: '/health', headers: { 'x-request-id': 'a b"' } });
    expect(odd.headers['x-request-id']).toMatch(/^req-/);
  });

  it('has security headers; /docs is served without anything from elsewhere', async () => {
    const { app } = await fakeApp();
    const api = await app.inject({ url: '/health' });
    expect(api.headers['content-security-policy']).toContain("default-src 'none'");
    const docs = await app.inject({ url: '/docs' });
    expect(docs.statusCode).toBe(200);
    expect(docs.headers['content-security-policy']).toContain("script-src 'self'");
    expect(docs.payload).not.toMatch(/(src|href)="https?:/);
    expect((await app.inject({ url: '/docs/static/swagger-ui-bundle.js' })).statusCode).toBe(200);
  });
});

describe('a method that a path does not have', () => {
  it.each(['QUERY', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is 405 with the methods that it has', async (method) => {
    const { app } = await fakeApp();
    for (const headers of [{}, { 'content-type': 'text/plain' }, { 'content-type': 'no type' }]) {
      const response = await app.inject({ method: method as 'PUT', url: '/health', headers, payload: '{' });
      expect([response.statusCode, response.headers.allow]).toEqual([405, 'GET, HEAD']);
    }
    expect((await app.inject({ method: method as 'PUT', url: '/nowhere' })).statusCode).toBe(404);
  });
});

describe('/metrics', () => {
  it("has vLLM's names, the tiers, and errors by code", async () => {
    const { app } = await fakeApp();
    await app.inject({ method: 'POST', url, payload: { ...question, documents: [{ text: 'A passage.' }] } });
    await app.inject({ method: 'POST', url, payload: {} });
    const { payload } = await app.inject({ url: '/metrics' });
    for (const line of [
      'blockstitch:num_requests_running{model_name="tiny"} 0',
      'blockstitch:generation_tokens_total{model_name="tiny"} 17',
      'blockstitch:request_success_total{finished_reason="stop",model_name="tiny"} 1',
      'blockstitch:time_to_first_token_seconds_count{model_name="tiny"} 1',
      'blockstitch:block_misses_total{model_name="tiny"} 1',
      'blockstitch:errors_total{code="invalid_request",model_name="tiny"} 1',
      'blockstitch:http_requests_total{method="POST",route="/v1/chat/completions",status="200",model_name="tiny"} 1',
    ]) {
      expect(payload).toContain(line);
    }
  });
});

describe('the OpenAPI document', () => {
  it('is 3.1 and names, for every route under /v1, the statuses of the error table', async () => {
    const { app } = await fakeApp();
    const document = (await app.inject({ url: '/openapi.json' })).json();
    expect(document.openapi).toMatch(/^3\.1/);
    const described = new Map<string, number>();
    for (const methods of Object.values<Record<string, { responses: Record<string, { description: string }> }>>(
      document.paths,
    )) {
      for (const { responses } of Object.values(methods)) {
        for (const [status, { description }] of Object.entries(responses)) {
          for (const [, code] of description.matchAll(/`([a-z_0-9]+)`/g)) {
            if (code && code in ERRORS) described.set(code, Number(status));
          }
        }
      }
    }
    for (const [code, status] of described) expect(ERRORS[code as ErrorCode].status).toBe(status);
    const elsewhere = [
      'download_failed',
      'config_invalid',
      'import_failed',
      'checkpoint_invalid',
      'native_unavailable',
      'store_damaged',
      'file_damaged',
      'route_not_found',
      'client_closed',
      'method_not_allowed',
      'cors_not_allowed',
    ];
    expect(
      Object.keys(ERRORS)
        .filter((code) => !described.has(code))
        .sort(),
    ).toEqual(elsewhere.sort());
  });
});
