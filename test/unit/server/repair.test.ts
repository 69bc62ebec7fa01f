import { describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

const chat = {
  messages: [{ role: 'user', content: 'What is the answer?' }],
  documents: [{ text: 'First.' }, { text: 'Second.' }],
};

async function post(attention: unknown, url = '/v1/chat/completions', body: object = chat) {
  const { app, engine } = await fakeApp();
  const response = await app.inject({ method: 'POST', url, payload: { ...body, attention } });
  return { response, body: response.json(), request: engine.requests[0] };
}

describe('attention with a repair', () => {
  it('hands the share and the choice on to the engine', async () => {
    const { request, body } = await post({ mode: 'block', repair: { share: 0.15, by: 'first' } });
    expect(request).toMatchObject({ plan: { attention: 'block' }, repair: { share: 0.15, by: 'first' } });
    expect(body.blockstitch.attention).toBe('block');
    expect(body.blockstitch.blocks[0]).toHaveProperty('repaired_tokens', 0);
  });

  it('takes a bare number for the share', async () => {
    const { request } = await post({ mode: 'block', repair: 0.3 });
    expect(request?.repair).toMatchObject({ share: 0.3 });
  });

  it('works for plain completions behind blocks', async () => {
    const body = { prompt: 'And so', blocks: ['One.', 'Two.'] };
    const { request } = await post({ mode: 'block', repair: 0.3 }, '/v1/completions', body);
    expect(request?.repair).toMatchObject({ share: 0.3 });
  });

  it('is full attention where everything is repaired', async () => {
    const { request, body } = await post({ mode: 'block', repair: 1 });
    expect(request?.plan.attention).toBe('full');
    expect(body.blockstitch.attention).toBe('full');
  });

  it('is absent from the engine where none was asked for', async () => {
    expect((await post('block')).request).not.toHaveProperty('repair');
    expect((await post({ mode: 'full' })).request).not.toHaveProperty('repair');
  });

  it.each([
    ['a share above 1', { mode: 'block', repair: 1.5 }],
    ['a negative share', { mode: 'block', repair: { share: -0.1 } }],
    ['an unknown choice', { mode: 'block', repair: { share: 0.1, by: 'luck' } }],
    ['no share', { mode: 'block', repair: {} }],
    ['full attention', { mode: 'full', repair: 0.5 }],
  ])('refuses %s, naming the field', async (_, attention) => {
    const { response, body } = await post(attention);
    expect(response.statusCode).toBe(400);
    expect(body.error.param).toMatch(/^attention/);
  });
});
