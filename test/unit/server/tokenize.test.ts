import { describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

async function post(url: string, payload: object) {
  const { app } = await fakeApp();
  const response = await app.inject({ method: 'POST', url, payload });
  return { status: response.statusCode, body: response.json() };
}

describe('POST /tokenize', () => {
  it('counts a text, with or without what stands in front of every prompt', async () => {
    const { body } = await post('/tokenize', { prompt: 'abc', return_token_strs: true });
    expect(body).toEqual({
      count: 4,
      max_model_len: 4096,
      tokens: [1, 97, 98, 99],
      token_strs: ['\x01', 'a', 'b', 'c'],
    });
    const bare = await post('/tokenize', { prompt: 'abc', add_special_tokens: false });
    expect(bare.body).toEqual({ count: 3, max_model_len: 4096, tokens: [97, 98, 99] });
  });

  it('counts a chat with its documents as an answer would report it', async () => {
    const chat = { messages: [{ role: 'user', content: 'Why?' }], documents: ['One.', { title: 'T', text: 'Two.' }] };
    const { body } = await post('/tokenize', { ...chat, add_special_tokens: true });
    const answer = await post('/v1/chat/completions', chat);
    expect(body.count).toBe(answer.body.usage.prompt_tokens);
    expect(body.tokens).toHaveLength(body.count);
  });

  it('asks for either a text or messages, and for a model that is served', async () => {
    for (const body of [{}, { prompt: 'a', messages: [{ role: 'user', content: 'b' }] }]) {
      expect(await post('/tokenize', body)).toMatchObject({ status: 400, body: { error: { param: 'prompt' } } });
    }
    expect(await post('/tokenize', { prompt: 'a', model: 'gpt' })).toMatchObject({ status: 404 });
  });
});

describe('POST /detokenize', () => {
  it('gives back the text', async () => {
    expect(await post('/detokenize', { tokens: [97, 98, 99] })).toEqual({ status: 200, body: { prompt: 'abc' } });
    expect(await post('/detokenize', { tokens: [] })).toEqual({ status: 200, body: { prompt: '' } });
  });

  it('refuses ids that the model does not have', async () => {
    const { status, body } = await post('/detokenize', { tokens: [97, 256] });
    expect([status, body.error.param]).toEqual([400, 'tokens[1]']);
  });
});
