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

  it('answers several prompts as OpenAI numbers them, with their sums', async () => {
    const payload = { prompt: ['One', 'And two'], blocks: ['Shared.'], n: 2 };
    const { status, body } = await complete(payload);
    expect(status).toBe(200);
    expect(body.choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2, 3]);
    const sinks = 1;
    expect(body.usage.prompt_tokens).toBe(2 * (sinks + 'Shared.'.length) + 'One'.length + 'And two'.length);
    expect(body.usage.completion_tokens).toBe(4 * 17);
    expect(body.blockstitch.blocks.map(({ prompt }: { prompt: number }) => prompt)).toEqual([0, 1]);
  });

  it('streams several prompts, each choice to its end', async () => {
    const { app } = await fakeApp();
    const payload = { prompt: [[65, 66], [67]], stream: true };
    const { payload: text } = await app.inject({ method: 'POST', url: '/v1/completions', payload });
    const lines = text.trim().split('\n\n');
    expect(lines.at(-1)).toBe('data: [DONE]');
    const texts = ['', ''];
    let reports = 0;
    for (const line of lines.slice(0, -1)) {
      const { choices, blockstitch } = JSON.parse(line.replace('data: ', ''));
      texts[choices[0].index] += choices[0].text;
      if (blockstitch) reports += 1;
    }
    expect([texts, reports]).toEqual([['The answer is 42.', 'The answer is 42.'], 1]);
  });

  it('names the prompt that is wrong', async () => {
    const empty = await complete({ prompt: ['a', ''] });
    expect([empty.status, empty.body.error.param]).toEqual([400, 'prompt[1]']);
    const outside = await complete({ prompt: [[1], [2, 256]] });
    expect([outside.status, outside.body.error.param]).toEqual([400, 'prompt[1]']);
    expect((await complete({ prompt: [] })).status).toBe(400);
    const many = await complete({ prompt: Array(129).fill('a') });
    expect([many.status, many.body.error.message]).toEqual([
      400,
      expect.stringContaining('129 prompts, more than the limit of 128'),
    ]);
    const choices = await complete({ prompt: Array(100).fill('a'), n: 4 });
    expect([choices.status, choices.body.error.message]).toEqual([400, expect.stringContaining('400 choices')]);
  });

  it('says where each token begins in the text, and keeps parts of characters apart', async () => {
    const { app, engine } = await fakeApp();
    engine.answer = 'a€😀b';
    const payload = { prompt: 'x', logprobs: 2 };
    const { choices } = (await app.inject({ method: 'POST', url: '/v1/completions', payload })).json();
    const { tokens, text_offset: offsets, top_logprobs: best } = choices[0].logprobs;
    expect(choices[0].text).toBe('a€😀b');
    expect(offsets).toEqual([0, 1, 1, 1, 2, 2, 2, 2, 3]);
    expect(tokens.slice(0, 2)).toEqual(['a', 'bytes:\\xe2']);
    expect(Object.keys(best[1])).toEqual(['bytes:\\xe2', 'bytes:\\xe3']);
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
