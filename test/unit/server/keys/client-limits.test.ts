import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type KeyLimits, makeKey, writeKeyFile } from '../../../../src/server/keys/key-file.js';
import { fakeApp } from '../../../support/fake-services.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-limits-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
/** A server whose keys have these limits; what comes back asks with the first key. */
async function limited(limits: KeyLimits, settings = {}) {
  const made = [makeKey({ name: 'a', limits }), makeKey({ name: 'b' })];
  const keyFile = join(directory, `${files++}.json`);
  await writeKeyFile(
    keyFile,
    made.map(({ entry }) => entry),
  );
  const { app, engine } = await fakeApp({ keyFile, ...settings });
  const [first = '', second = ''] = made.map(({ key }) => key);
  const as = (key: string) => ({ authorization: `Bearer ${key}` });
  return {
    app,
    engine,
    models: (key = first) => app.inject({ url: '/v1/models', headers: as(key) }),
    /** `prompt` has a token for each byte, and the sinks one more. */
    complete: (prompt: string, maxTokens: number, fields: object = {}) =>
      app.inject({
        method: 'POST',
        url: '/v1/completions',
        headers: as(first),
        payload: { prompt, max_tokens: maxTokens, ...fields },
      }),
    key: first,
    second,
  };
}

const codes = (responses: readonly { statusCode: number }[]) => responses.map(({ statusCode }) => statusCode);

describe('a key of the key file', () => {
  it('has a limit of requests of its own, which wins over that of the server', async () => {
    const { models, second } = await limited({ requestsPerMinute: 3 }, { requestsPerMinute: 1 });
    const all = [await models(), await models(), await models(), await models()];
    expect(codes(all)).toEqual([200, 200, 200, 429]);
    expect(codes([await models(second), await models(second)])).toEqual([200, 429]);
    expect(all[3]?.json().error.code).toBe('rate_limit_exceeded');
    expect(Number(all[3]?.headers['retry-after'])).toBeGreaterThan(0);
    expect(all.map(({ headers }) => headers['x-ratelimit-remaining-requests'])).toEqual(['2', '1', '0', '0']);
  });

  it('has a limit of prompt tokens; what is refused uses nothing', async () => {
    const { complete } = await limited({ promptTokensPerMinute: 10 });
    // 5 bytes and the sink: 6 tokens.
    const first = await complete('abcde', 1);
    expect(first.json().usage.prompt_tokens).toBe(6);
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-prompt-tokens': '10',
      'x-ratelimit-remaining-prompt-tokens': '4',
      'x-ratelimit-limit-tokens': '10',
      'x-ratelimit-remaining-tokens': '4',
    });
    expect(codes([await complete('abcde', 1), await complete('abc', 1), await complete('a', 1)])).toEqual([
      429, 200, 429,
    ]);
  });

  it('has a limit of new tokens: the most that may come is taken, the rest is given back', async () => {
    const { complete, engine } = await limited({ newTokensPerMinute: 40 });
    engine.answer = 'ten bytes.';
    const all = [await complete('x', 30), await complete('x', 30), await complete('x', 30)];
    expect(codes(all)).toEqual([200, 200, 429]);
    expect(all.map(({ headers }) => headers['x-ratelimit-remaining-new-tokens'])).toEqual(['10', '0', '0']);
    expect(codes([await complete('x', 20)])).toEqual([200]);
  });

  it('is told at once what no minute has room for', async () => {
    const { complete } = await limited({ newTokensPerMinute: 40 });
    const refused = await complete('x', 21, { n: 2 });
    expect([refused.statusCode, refused.json().error.code]).toEqual([413, 'payload_too_large']);
    const { message, param } = refused.json().error;
    expect(param).toBe('max_tokens');
    expect(message).toContain(
      '`max_tokens` of all choices together has 42 new tokens, more than the limit of 40 a minute.',
    );
    const prompts = await complete('x', 21, { prompt: ['a', 'b'] });
    expect(prompts.statusCode).toBe(413);
    expect((await complete('x', 40)).statusCode).toBe(200);
  });

  it('gets no more by default than its minute has, shared by the choices', async () => {
    const { app, engine, key } = await limited({ newTokensPerMinute: 40 });
    const headers = { authorization: `Bearer ${key}` };
    const ask = (url: string, payload: object) => app.inject({ method: 'POST', url, headers, payload });
    const messages = [{ role: 'user', content: 'Why?' }];
    const asked = async (url: string, payload: object) => {
      const before = engine.requests.length;
      const { statusCode } = await ask(url, payload);
      return [statusCode, ...engine.requests.slice(before).map(({ sampling }) => sampling.maxTokens)];
    };
    engine.answer = '';
    expect(await asked('/v1/chat/completions', { messages })).toEqual([200, 40]);
    expect(await asked('/v1/chat/completions', { messages, n: 3 })).toEqual([200, 13, 13, 13]);
    expect(await asked('/v1/completions', { prompt: ['a', 'b'], n: 2 })).toEqual([200, 10, 10, 10, 10]);
    expect(await asked('/v1/responses', { input: 'Why?' })).toEqual([200, 40]);
    const refused = await ask('/v1/chat/completions', { messages, max_completion_tokens: 41 });
    expect(refused.json().error).toMatchObject({ code: 'payload_too_large', param: 'max_completion_tokens' });
    const response = await ask('/v1/responses', { input: 'Why?', max_output_tokens: 41 });
    expect(response.json().error).toMatchObject({ code: 'payload_too_large', param: 'max_output_tokens' });
    expect(response.json().error.message).toContain('`max_output_tokens` of all choices');
  });

  it('pays for what was generated before its client left, and no more', async () => {
    const { app, engine, complete, key } = await limited({ newTokensPerMinute: 100 });
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    engine.answer = 'x'.repeat(100);
    let asked = 0;
    // Three tokens come at once, the fourth never.
    Object.defineProperty(engine, 'tokenMs', { get: () => (asked++ < 3 ? 0 : 1e6), configurable: true });
    const leaving = new AbortController();
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'x', max_tokens: 90, stream: true }),
      signal: leaving.signal,
    });
    expect(response.headers.get('x-ratelimit-remaining-new-tokens')).toBe('10');
    leaving.abort();
    while (engine.statistics().running > 0) await new Promise(setImmediate);
    Object.defineProperty(engine, 'tokenMs', { value: 0 });
    expect((await complete('x', 1)).headers['x-ratelimit-remaining-new-tokens']).toBe('96');
    app.server.closeAllConnections();
    await app.close();
  });

  it('has a limit of requests at once; a place is free when an answer ends, and what is refused uses no request', async () => {
    const { engine, complete, models, second } = await limited({ concurrent: 1, requestsPerMinute: 9 });
    engine.tokenMs = 5;
    const slow = complete('x', 10);
    while (engine.requests.length === 0) await new Promise(setImmediate);
    const refused = await models();
    expect([refused.statusCode, refused.json().error.code]).toEqual([429, 'rate_limit_exceeded']);
    expect(refused.headers['retry-after']).toBe('1');
    expect((await models(second)).statusCode).toBe(200);
    expect((await slow).statusCode).toBe(200);
    const after = await models();
    expect([after.statusCode, after.headers['x-ratelimit-remaining-requests']]).toEqual([200, '7']);
  });
});
