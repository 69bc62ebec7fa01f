import { describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

async function complete(payload: object, settings = {}) {
  const { app } = await fakeApp(settings);
  const response = await app.inject({ method: 'POST', url: '/v1/completions', payload });
  return { status: response.statusCode, body: response.json() };
}

describe('POST /v1/completions', () => {
  it('answers in the shape of OpenAI, with as many blocks as a request may have', async () => {
    const { status, body } = await complete({ prompt: 'And so', blocks: ['One.', 'Two.'] }, { maxDocuments: 2 });
    expect([status, body.object, body.choices[0].text]).toEqual([200, 'text_completion', 'The answer is 42.']);
    expect(body.blockstitch.blocks).toHaveLength(2);
  });

  it('answers too many blocks, over-long and empty ones with their status, naming field and setting', async () => {
    const many = await complete({ prompt: 'And so', blocks: ['One.', 'Two.', 'Three.'] }, { maxDocuments: 2 });
    expect([many.status, many.body.error.code, many.body.error.param]).toEqual([413, 'payload_too_large', 'blocks']);
    expect(many.body.error.message).toContain('3 blocks');
    expect(many.body.error.remedy).toContain('--max-documents');
    const long = await complete({ prompt: 'And so', blocks: ['a', 'b'.repeat(3000)] }, { maxDocumentBytes: 2048 });
    expect([long.status, long.body.error.param]).toEqual([413, 'blocks[1]']);
    const empty = await complete({ prompt: 'And so', blocks: [' '] });
    expect([empty.status, empty.body.error.code, empty.body.error.param]).toEqual([400, 'empty_input', 'blocks[0]']);
  });
});

describe('names of maps', () => {
  it('may hold line breaks: a plain answer has the alternatives that a stream has', async () => {
    const { app, engine } = await fakeApp();
    engine.answer = '\n';
    const payload = { prompt: 'And so', logprobs: 20, max_tokens: 1 };
    const plain = await app.inject({ method: 'POST', url: '/v1/completions', payload });
    const streamed = await app.inject({
      method: 'POST',
      url: '/v1/completions',
      payload: { ...payload, stream: true },
    });
    const [first] = streamed.payload.split('\n\n').map((line) => line.replace(/^data: /, ''));
    const [alternatives] = plain.json().choices[0].logprobs.top_logprobs;
    expect(Object.keys(alternatives)).toContain('\n');
    expect(alternatives).toEqual(JSON.parse(first ?? '').choices[0].logprobs.top_logprobs[0]);
    await app.close();
  });

  it('come back as they were given, in metadata', async () => {
    const { app } = await fakeApp();
    const metadata = { 'a\nb': '1', 'c\u2028d': '2', '': '3' };
    const stored = await app.inject({
      method: 'POST',
      url: '/v1/documents',
      payload: { text: 'A passage.', metadata },
    });
    expect(stored.json().metadata).toEqual(metadata);
    await app.close();
  });
});
