import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { tenantTag } from '../../../src/cache/block-key.js';
import { loadConfig } from '../../../src/config.js';
import { buildApp } from '../../../src/server/app.js';
import { tenantId } from '../../../src/server/keys/key-ring.js';
import { Lifecycle } from '../../../src/server/lifecycle.js';
import { ServerMetrics } from '../../../src/server/metrics/server-metrics.js';
import { fakeApp } from '../../support/fake-services.js';

const KEYS = { apiKeys: ['alpha', 'beta'] };
const question = { messages: [{ role: 'user', content: 'Why?' }], documents: [{ text: 'A passage.' }] };

type App = Awaited<ReturnType<typeof fakeApp>>['app'];

function as(app: App, key: string | undefined, extra: Record<string, string> = {}) {
  const headers = { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...extra };
  return {
    get: (url: string) => app.inject({ url, headers }),
    delete: (url: string) => app.inject({ method: 'DELETE', url, headers }),
    chat: async (fields: object = {}) => {
      const response = await app.inject({
        method: 'POST',
        url: '/v1/chat/completions',
        headers,
        payload: { ...question, ...fields },
      });
      return response.json();
    },
  };
}

const origins = (answer: { blockstitch: { blocks: { origin: string }[] } }) =>
  answer.blockstitch.blocks.map(({ origin }) => origin);

describe('with API keys', () => {
  it('each key is a tenant: no hits from the blocks of another', async () => {
    const { app, engine } = await fakeApp(KEYS);
    const [alpha, beta] = [as(app, 'alpha'), as(app, 'beta')];
    expect(origins(await alpha.chat())).toEqual(['computed']);
    expect(origins(await beta.chat())).toEqual(['computed']);
    expect(origins(await alpha.chat())).toEqual(['pool']);
    expect(engine.requests.map(({ scope }) => scope)).toEqual(
      ['alpha', 'beta', 'alpha'].map((key) => ({ tenant: tenantId(key), salt: '' })),
    );
  });

  it("another tenant's block is 404, to see and to drop, and stays", async () => {
    const { app } = await fakeApp(KEYS);
    const [alpha, beta] = [as(app, 'alpha'), as(app, 'beta')];
    const [{ hash }] = (await alpha.chat()).blockstitch.blocks;
    expect(hash.startsWith(tenantTag(tenantId('alpha')))).toBe(true);
    for (const response of [await beta.get(`/v1/blocks/${hash}`), await beta.delete(`/v1/blocks/${hash}`)]) {
      expect([response.statusCode, response.json().error.code]).toEqual([404, 'block_not_found']);
    }
    expect((await alpha.get(`/v1/blocks/${hash}`)).statusCode).toBe(200);
    expect((await alpha.delete(`/v1/blocks/${hash}`)).statusCode).toBe(200);
  });

  it("a flush drops the caller's blocks only", async () => {
    const { app } = await fakeApp(KEYS);
    const [alpha, beta] = [as(app, 'alpha'), as(app, 'beta')];
    await alpha.chat();
    await beta.chat();
    expect((await alpha.delete('/v1/cache')).json()).toEqual({ object: 'cache.flushed', blocks: 1 });
    expect([origins(await beta.chat()), origins(await alpha.chat())]).toEqual([['pool'], ['computed']]);
  });
});

describe('without API keys', () => {
  it('blocks are seen, and a flush drops every block', async () => {
    const { app } = await fakeApp();
    const anybody = as(app, undefined);
    const [{ hash }] = (await anybody.chat()).blockstitch.blocks;
    expect((await anybody.get(`/v1/blocks/${hash}`)).statusCode).toBe(200);
    expect((await anybody.get(`/v1/blocks/${'0'.repeat(64)}`)).statusCode).toBe(404);
    expect((await anybody.delete('/v1/cache')).json().blocks).toBe(1);
  });
});

describe('the salt', () => {
  const salted = async (header: string | undefined, body: string | undefined) => {
    const { app, engine } = await fakeApp();
    const client = as(app, undefined, header === undefined ? {} : { 'x-cache-salt': header });
    const answer = await client.chat(body === undefined ? {} : { cache_salt: body });
    return answer.error ?? engine.requests[0]?.scope;
  };

  it('comes from the body or from the header', async () => {
    const scope = await salted(undefined, 's');
    expect(await salted('s', undefined)).toEqual(scope);
    expect(await salted('s', 's')).toEqual(scope);
    expect(await salted(undefined, 't')).not.toEqual(scope);
    expect(await salted(undefined, undefined)).toEqual({ tenant: '', salt: '' });
  });

  it('is refused where both differ, where it is empty, too long, or beyond ASCII in the header', async () => {
    expect(await salted('s', 't')).toMatchObject({ code: 'invalid_request', param: 'cache_salt' });
    for (const wrong of ['', 'x'.repeat(257), '\u00e4']) {
      expect(await salted(wrong, undefined)).toMatchObject({ code: 'invalid_request', param: 'x-cache-salt' });
    }
  });

  it('divides what is remembered of segments and tokens, and is not shown to what remembers', async () => {
    const { app, services } = await fakeApp(KEYS);
    const seen: (string | undefined)[] = [];
    const { segment } = services;
    services.segment = (text, options, context) => {
      seen.push(context?.tenant);
      return segment(text, options, context);
    };
    const ask = (key: string, salt: string) =>
      app.inject({
        method: 'POST',
        url: '/v1/segment',
        headers: { authorization: `Bearer ${key}`, 'x-cache-salt': salt },
        payload: { text: 'A passage.' },
      });
    for (const [key, salt] of [
      ['alpha', 'one'],
      ['alpha', 'two'],
      ['beta', 'one'],
      ['alpha', 'one'],
    ] as const) {
      expect((await ask(key, salt)).statusCode).toBe(200);
    }
    expect(new Set(seen).size).toBe(3);
    expect(seen[3]).toBe(seen[0]);
    expect(seen.join()).not.toMatch(/one|two|alpha|beta/);
  });
});

describe('the access log', () => {
  it('has no salt, no key and no piece of a body, whatever goes wrong', async () => {
    let log = '';
    const stream = new Writable({
      write(part, _encoding, done) {
        log += String(part);
        done();
      },
    });
    const config = loadConfig({ apiKeys: ['key-secret'] }, {});
    const metrics = new ServerMetrics('tiny');
    const app = await buildApp({ config, lifecycle: new Lifecycle(), metrics, logger: { level: 'trace', stream } });
    const headers = { authorization: 'Bearer key-secret', 'x-cache-salt': 'header-secret' };
    for (const url of [
      '/v1/documents/x?cache_salt=url-secret&limit=1',
      '/v1/documents?limit=1&cache%5Fsalt=url-secret',
      '/nothing?cache_salt=url-secret',
      '/v1/documents/%zz?cache_salt=url-secret',
    ]) {
      const response = await app.inject({ url, headers });
      expect(response.payload).not.toContain('secret');
    }
    const json = { ...headers, 'content-type': 'application/json' };
    for (const payload of ['x"body-secret"', '{"a": "body-secret",}', '{"cache_salt": "body-secret" 1']) {
      await app.inject({ method: 'POST', url: '/v1/chat/completions', headers: json, payload });
    }
    expect(log).toContain('/v1/documents/x?cache_salt=...&limit=1');
    expect(log).not.toContain('secret');
  });
});
