/** What clients of other servers do without thinking of it. */
import { gzipSync } from 'node:zlib';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { BlockstitchError } from '../../../src/errors.js';
import { fakeApp } from '../../support/fake-services.js';

const question = { messages: [{ role: 'user', content: 'What is the answer?' }] };

async function asked(fields: object) {
  const { app, engine, services } = await fakeApp();
  const payload = { ...question, ...fields };
  const { statusCode } = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
  expect(statusCode).toBe(200);
  return { sampling: engine.requests[0]?.sampling, eos: services.model.config.eosTokenIds };
}

describe('a body', () => {
  const send = async (payload: Buffer, headers: Record<string, string> = {}) => {
    const { app } = await fakeApp();
    const url = '/v1/chat/completions';
    return app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } });
  };
  const bytes = Buffer.from(JSON.stringify(question));

  it('may begin with a byte order mark', async () => {
    expect((await send(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]))).statusCode).toBe(200);
  });

  it('is refused by name if it is compressed', async () => {
    const { statusCode, body } = await send(gzipSync(bytes), { 'content-encoding': 'gzip' });
    expect(statusCode).toBe(415);
    expect(JSON.parse(body).error).toMatchObject({
      code: 'unsupported_media_type',
      message: 'A body encoded as gzip is not supported here.',
      remedy: 'Send uncompressed application/json to this route.',
    });
  });

  it('that is not JSON is told in words that can be read', async () => {
    const { statusCode, body } = await send(Buffer.from('{"max_tokens": 1, "messages": oops}'));
    expect(statusCode).toBe(400);
    const message = `The body is not valid JSON: 'o' is not expected in ...essages": oops}.`;
    expect(JSON.parse(body).error).toMatchObject({ code: 'invalid_json', message });
  });

  it.each([
    ['text/plain', 'The content type `text/plain` is not supported here.'],
    ['', 'A body without a content type is not supported here.'],
  ])('of the type "%s" is told what the route takes', async (type, message) => {
    const { statusCode, body } = await send(bytes, { 'content-type': type });
    expect(statusCode).toBe(415);
    expect(JSON.parse(body).error).toMatchObject({ message, remedy: 'Send application/json to this route.' });
  });
});

describe('content in parts', () => {
  it('is one text, a line for each part', async () => {
    const { app, engine } = await fakeApp();
    const content = ['Who hosts', 'Zokego?'].map((text) => ({ type: 'text', text }));
    const payload = { messages: [{ role: 'user', content }] };
    await app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
    expect(Buffer.from(engine.requests[0]?.plan.finalTokenIds ?? []).toString()).toBe('Who hosts\nZokego?\n');
  });

  it('may be a refusal of the assistant', async () => {
    const { app } = await fakeApp();
    const refused = { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] };
    const payload = { messages: [...question.messages, refused, ...question.messages] };
    expect((await app.inject({ method: 'POST', url: '/v1/chat/completions', payload })).statusCode).toBe(200);
  });
});

describe('sampling', () => {
  it('is greedy with top_p 0', async () => {
    expect((await asked({ top_p: 0, temperature: 0.8 })).sampling).toMatchObject({ temperature: 0, topP: 1 });
  });

  it("ignores only the model's own ends with ignore_eos", async () => {
    const { sampling, eos } = await asked({ ignore_eos: true, stop_token_ids: [7, 9] });
    expect(eos.length).toBeGreaterThan(0);
    expect(sampling?.stopTokenIds).toEqual([7, 9]);
    expect((await asked({ stop_token_ids: [7] })).sampling?.stopTokenIds).toEqual([...eos, 7]);
  });
});

describe('GET /v1/models', () => {
  it('finds a model whose name has a slash, encoded or not', async () => {
    const { app, services } = await fakeApp();
    services.model = { ...services.model, name: 'acme/small' };
    for (const path of ['acme/small', 'acme%2Fsmall']) {
      const { statusCode, body } = await app.inject({ url: `/v1/models/${path}` });
      expect([path, statusCode, JSON.parse(body).id]).toEqual([path, 200, 'acme/small']);
    }
    const { statusCode, body } = await app.inject({ url: '/v1/models/acme/large' });
    expect([statusCode, JSON.parse(body).error.code]).toEqual([404, 'model_not_found']);
  });
});

describe("OpenAI's client asks again after an error", () => {
  it.each([
    ['document_damaged', 1],
    ['pool_too_small', 1],
    ['engine_failed', 2],
  ] as const)('only where that may help: %s is asked %d times', async (code, times) => {
    const { app, engine } = await fakeApp();
    engine.failWith = new BlockstitchError(code, { reason: 'it broke', needed: 9, pages: 8, document: 'a' });
    let asked = 0;
    const counted: typeof fetch = (input, init) => {
      asked += 1;
      return fetch(input, init);
    };
    const baseURL = `${await app.listen({ port: 0, host: '127.0.0.1' })}/v1`;
    const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 1, fetch: counted });
    const messages = [{ role: 'user' as const, content: 'Why?' }];
    await expect(client.chat.completions.create({ model: 'tiny', messages })).rejects.toMatchObject({ code });
    expect(asked).toBe(times);
    await app.close();
  });
});
