/** `prediction` of a chat with a fake engine: which tokens reach it, and what is refused. */
import { describe, expect, test } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

const question = { messages: [{ role: 'user', content: 'Rename x.' }] };
const content = (value: unknown) => ({ prediction: { type: 'content', content: value } });

async function serving(settings: Parameters<typeof fakeApp>[0] = {}) {
  const { app, engine } = await fakeApp(settings);
  const post = async (fields: object) =>
    app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { ...question, ...fields } });
  const predicted = async (fields: object) => {
    expect((await post(fields)).statusCode).toBe(200);
    const ids = engine.requests.at(-1)?.predicted;
    return ids === undefined ? undefined : Buffer.from(Uint8Array.from(ids)).toString();
  };
  return { post, predicted, engine };
}

describe('a prediction', () => {
  test('reaches the engine as tokens, for every choice', async () => {
    const { predicted, engine } = await serving();
    expect(await predicted({ ...content('let y = 1;'), n: 2 })).toBe('let y = 1;');
    expect(engine.requests).toHaveLength(2);
    expect(engine.requests[0]?.predicted).toEqual(engine.requests[1]?.predicted);
    expect(await predicted({ ...content('let y = 1;'), stream: true })).toBe('let y = 1;');
  });

  test('in parts is joined as a message is', async () => {
    const { predicted } = await serving();
    const parts = ['let y = 1;', 'f(y);'].map((text) => ({ type: 'text', text }));
    expect(await predicted(content(parts))).toBe('let y = 1;\nf(y);');
  });

  test('is not one if it is null or empty, or where nothing is proposed', async () => {
    const { predicted } = await serving();
    expect(await predicted({})).toBeUndefined();
    expect(await predicted({ prediction: null })).toBeUndefined();
    expect(await predicted(content(''))).toBeUndefined();
    expect(await predicted(content([]))).toBeUndefined();
    expect(await predicted({ ...content('let y = 1;'), prompt_lookup: false })).toBeUndefined();
    const off = await serving({ promptLookup: 'off' });
    expect(await off.predicted(content('let y = 1;'))).toBeUndefined();
  });

  test('is used as far as the context reaches', async () => {
    const { predicted } = await serving();
    expect((await predicted(content('y'.repeat(10_000))))?.length).toBe(4096);
  });

  test.each([
    ['another type', { prediction: { type: 'diff', content: 'x' } }, 'prediction.type'],
    ['no content', { prediction: { type: 'content' } }, 'prediction.content'],
    ['a bare text', { prediction: 'let y = 1;' }, 'prediction'],
    ['another part', content([{ type: 'image_url', image_url: 'x' }]), 'prediction.content[0].type'],
  ])('of %s is refused', async (_, fields, param) => {
    const { post } = await serving();
    const response = await post(fields);
    expect([response.statusCode, response.json().error.param]).toEqual([400, param]);
  });

  test('is limited as a prompt is, on its own', async () => {
    const { post } = await serving({ maxPromptBytes: 1024 });
    expect((await post(content('é'.repeat(512)))).statusCode).toBe(200);
    for (const fields of [{}, { prompt_lookup: false }]) {
      const response = await post({ ...content('é'.repeat(513)), ...fields });
      expect([response.statusCode, response.json().error]).toMatchObject([
        413,
        { code: 'payload_too_large', param: 'prediction.content', remedy: expect.stringContaining('--max-prompt') },
      ]);
    }
  });
});
