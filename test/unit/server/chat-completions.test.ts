import { describe, expect, it } from 'vitest';
import { BlockstitchError } from '../../../src/errors.js';
import { fakeApp } from '../../support/fake-services.js';

const question = { messages: [{ role: 'user', content: 'What is the answer?' }] };

async function chat(body: object, settings = {}) {
  const { app, engine } = await fakeApp(settings);
  const response = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: body });
  return { response, body: response.json(), engine };
}

function chunksOf(payload: string): unknown[] {
  const lines = payload.split('\n\n').filter((line) => line !== '');
  expect(lines.at(-1)).toBe('data: [DONE]');
  return lines.slice(0, -1).map((line) => JSON.parse(line.replace(/^data: /, '')));
}

describe('POST /v1/chat/completions', () => {
  it("answers in OpenAI's shape, with usage, cached tokens and the blocks' origins", async () => {
    const documents = [{ title: 'One', text: 'First passage.\n\nSecond passage.' }, { text: 'Third.' }];
    const { app } = await fakeApp();
    const ask = async () => {
      const payload = { ...question, documents };
      return (await app.inject({ method: 'POST', url: '/v1/chat/completions', payload })).json();
    };
    const cold = await ask();
    expect(cold).toMatchObject({
      object: 'chat.completion',
      model: 'tiny',
      choices: [{ index: 0, message: { role: 'assistant', content: 'The answer is 42.' }, finish_reason: 'stop' }],
      usage: { completion_tokens: 17, prompt_tokens_details: { cached_tokens: 0 } },
    });
    expect(cold.usage.total_tokens).toBe(cold.usage.prompt_tokens + 17);
    const origins = (answer: typeof cold) => answer.blockstitch.blocks.map(({ origin }: { origin: string }) => origin);
    expect(origins(cold)).toEqual(['computed', 'computed', 'computed']);
    const warm = await ask();
    expect(origins(warm)).toEqual(['pool', 'pool', 'pool']);
    expect(warm.usage.prompt_tokens_details.cached_tokens).toBe('One\nFirst passage.\n\nSecond passage.Third.'.length);
    expect(warm.blockstitch.blocks[0].hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('streams chunks that end with [DONE], with usage when asked for', async () => {
    const { app } = await fakeApp();
    const streamed = await app.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      payload: { ...question, stream: true, stream_options: { include_usage: true } },
    });
    expect(streamed.headers['content-type']).toContain('text/event-stream');
    const chunks = chunksOf(streamed.payload) as {
      object: string;
      choices: { delta: { role?: string; content?: string }; finish_reason: string | null }[];
      usage?: { completion_tokens: number } | null;
      blockstitch?: { blocks: unknown[] };
    }[];
    expect(new Set(chunks.map(({ object }) => object))).toEqual(new Set(['chat.completion.chunk']));
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' });
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('The answer is 42.');
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-2)?.blockstitch?.blocks).toEqual([]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 17 } });
  });

  it('ends before a stop string and never shows it', async () => {
    const { body } = await chat({ ...question, stop: [' 4', 'zzz'] });
    expect(body.choices[0]).toMatchObject({ message: { content: 'The answer is' }, finish_reason: 'stop' });
  });

  it('reports length when max_tokens ends the answer; max_completion_tokens wins', async () => {
    const { body } = await chat({ ...question, max_tokens: 100, max_completion_tokens: 3 });
    expect(body.choices[0]).toMatchObject({ message: { content: 'The' }, finish_reason: 'length' });
  });

  it('returns n choices, each with its own seed', async () => {
    const { body, engine } = await chat({ ...question, n: 3, seed: 7 });
    expect(body.choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2]);
    expect(engine.requests.map(({ sampling }) => sampling.seed)).toEqual([7, 8, 9]);
    expect(body.usage.completion_tokens).toBe(51);
  });

  it('gives logprobs with bytes and alternatives', async () => {
    const { body } = await chat({ ...question, logprobs: true, top_logprobs: 2, max_tokens: 1 });
    expect(body.choices[0].logprobs.content).toEqual([
      {
        token: 'T',
        logprob: -0.5,
        bytes: [84],
        top_logprobs: [
          { token: 'T', logprob: -0.5, bytes: [84] },
          { token: 'U', logprob: -1.5, bytes: [85] },
        ],
      },
    ]);
  });

  it('hands every sampling field to the engine, and the checkpoint fills in the rest', async () => {
    const { engine } = await chat({
      ...question,
      top_p: 0.5,
      top_k: -1,
      min_p: 0.1,
      presence_penalty: 1,
      frequency_penalty: -1,
      repetition_penalty: 1.2,
      logit_bias: { '65': -100 },
      stop_token_ids: [9],
      cache_salt: 'tenant',
      attention: { mode: 'full' },
    });
    expect(engine.requests[0]).toMatchObject({
      scope: { tenant: '', salt: expect.stringMatching(/./) },
      plan: { attention: 'full' },
      sampling: {
        temperature: 0.7,
        topP: 0.5,
        topK: 0,
        minP: 0.1,
        presencePenalty: 1,
        frequencyPenalty: -1,
        repetitionPenalty: 1.2,
        stopTokenIds: [0, 9],
      },
    });
    expect(engine.requests[0]?.sampling.logitBias).toEqual(new Map([[65, -100]]));
  });

  it('takes null for a field that is not given and ignores fields it does not know', async () => {
    const { response } = await chat({ ...question, temperature: null, stop: null, store: true, frobnicate: 1 });
    expect(response.statusCode).toBe(200);
  });

  it.each([['functions', { functions: [{ name: 'f' }] }]])(
    'refuses %s, which would change what the answer means',
    async (param, field) => {
      const { response, body } = await chat({ ...question, ...field });
      expect(response.statusCode).toBe(400);
      expect(body.error).toMatchObject({ type: 'invalid_request_error', code: 'invalid_request', param });
    },
  );

  it.each([
    ['no messages', {}, 400, 'invalid_request', 'messages'],
    ['an unknown role', { messages: [{ role: 'bard', content: 'x' }] }, 400, 'invalid_request', 'messages[0].role'],
    [
      'content of the wrong type',
      { messages: [{ role: 'user', content: 5 }] },
      400,
      'invalid_request',
      'messages[0].content',
    ],
    ['an image', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 400, 'invalid_request', undefined],
    ['an empty question', { messages: [{ role: 'user', content: ' ' }] }, 400, 'empty_input', 'messages[0].content'],
    ['a temperature beyond 2', { ...question, temperature: 3 }, 400, 'invalid_request', 'temperature'],
    ['NaN as a string', { ...question, temperature: 'NaN' }, 400, 'invalid_request', 'temperature'],
    ['max_tokens 0', { ...question, max_tokens: 0 }, 400, 'invalid_request', 'max_tokens'],
    ['max_tokens beyond the context', { ...question, max_tokens: 4096 }, 400, 'context_length_exceeded', 'max_tokens'],
    [
      'a prompt beyond the context',
      { messages: [{ role: 'user', content: 'x'.repeat(5000) }] },
      400,
      'context_length_exceeded',
      'messages',
    ],
    ['another model', { ...question, model: 'gpt-4' }, 404, 'model_not_found', 'model'],
    ['an empty document', { ...question, documents: [{ text: '\n' }] }, 400, 'empty_input', 'documents[0].text'],
    ['a document without id and text', { ...question, documents: [{}] }, 400, 'invalid_request', 'documents[0]'],
    ['an unknown document', { ...question, documents: [{ id: 'x' }] }, 404, 'document_not_found', 'documents[0].id'],
    [
      'a logit bias beyond the vocabulary',
      { ...question, logit_bias: { '999': 1 } },
      400,
      'invalid_request',
      'logit_bias',
    ],
    ['top_logprobs without logprobs', { ...question, top_logprobs: 2 }, 400, 'invalid_request', 'top_logprobs'],
    ['an empty stop string', { ...question, stop: '' }, 400, 'invalid_request', 'stop'],
    ['too many choices', { ...question, n: 99 }, 400, 'invalid_request', 'n'],
  ])('answers %s with its documented status', async (_what, payload, status, code, param) => {
    const { response, body } = await chat(payload);
    expect([response.statusCode, body.error.code]).toEqual([status, code]);
    if (param !== undefined) expect(body.error.param).toBe(param);
    expect(body.error.remedy).not.toBe('');
  });

  it('answers too many documents and over-long ones with 413, naming the setting', async () => {
    const many = await chat({ ...question, documents: [{ text: 'a' }, { text: 'b' }] }, { maxDocuments: 1 });
    expect(many.response.statusCode).toBe(413);
    expect(many.body.error.message).toContain('2 documents');
    expect(many.body.error.param).toBe('documents');
    const long = await chat({ ...question, documents: [{ text: 'a'.repeat(3000) }] }, { maxDocumentBytes: 2048 });
    expect([long.response.statusCode, long.body.error.param]).toEqual([413, 'documents[0].text']);
  });

  it('turns what the engine throws into its status, with Retry-After where trying again helps', async () => {
    const { app, engine } = await fakeApp();
    engine.failWith = new BlockstitchError('queue_full', { waiting: 9, limit: 8 });
    for (const stream of [false, true]) {
      const payload = { ...question, stream };
      const response = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
      expect(response.statusCode).toBe(429);
      expect(response.headers['retry-after']).toBe('1');
      expect(response.json().error).toMatchObject({ code: 'queue_full', type: 'rate_limit_error' });
    }
  });

  it("says what does not fit the context in OpenAI's words, and counts what was sent", async () => {
    const long = { messages: [{ role: 'user', content: 'x'.repeat(5000) }] };
    const opening = "This model's maximum context length is 4096 tokens. However, the prompt has 5002 tokens";
    expect((await chat(long)).body.error.message).toBe(`${opening}.`);
    expect((await chat({ ...long, max_tokens: 7 })).body.error.message).toBe(`${opening} and max_tokens is 7.`);
    const documents = ['a', 'b', 'c'].map((letter) => ({ text: letter.repeat(3000) }));
    const { body } = await chat({ ...question, documents });
    expect(body.error).toMatchObject({
      code: 'context_length_exceeded',
      param: 'documents[1]',
      message: "This model's maximum context length is 4096 tokens. However, the prompt has at least 6000 tokens.",
    });
  });

  it('sends a failure in mid-stream as a last event', async () => {
    const { app, engine } = await fakeApp();
    engine.failWith = new BlockstitchError('engine_failed', { reason: 'it broke' });
    engine.failAfterTokens = 3;
    const payload = { ...question, stream: true };
    const response = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
    const events = response.payload.trim().split('\n\n');
    expect(JSON.parse(events.at(-1)?.slice('data: '.length) ?? '').error.code).toBe('engine_failed');
  });
});
