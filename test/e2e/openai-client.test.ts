/** The official `openai` package for Node against the served demo model: what a client of OpenAI relies on. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI, { APIError, BadRequestError, NotFoundError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../src/config.js';
import type { Report } from '../../src/server/schemas/usage-schema.js';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

type ChatBody = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type CompletionBody = OpenAI.CompletionCreateParamsNonStreaming;

const DOCUMENTS = [
  { text: 'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako.' },
  { text: 'Tolefi works as a baker. The home of Tolefi is Rasu.' },
];
const BLOCKS = DOCUMENTS.map(({ text }) => text);
let demo: DemoServer;
let client: OpenAI;

/** A chat over documents, which the client passes on as it is. */
const chat = (fields: object = {}) =>
  ({
    model: 'demo',
    messages: [{ role: 'user' as const, content: 'Who hosts the Zokego fair?' }],
    temperature: 0,
    max_tokens: 8,
    documents: DOCUMENTS,
    ...fields,
  }) as ChatBody;
const completion = (fields: object = {}) =>
  ({
    model: 'demo',
    prompt: 'The host is',
    temperature: 0,
    max_tokens: 8,
    blocks: BLOCKS,
    ...fields,
  }) as CompletionBody;

beforeAll(async () => {
  demo = await startDemoServer();
  client = new OpenAI({ baseURL: `${demo.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(async () => {
  await demo.idle();
});
afterAll(async () => {
  await demo.close();
});

describe('chat completions', () => {
  test('answer over documents, and find them cached in another order', async () => {
    const cold = await client.chat.completions.create(chat({ cache_salt: 'cold' }));
    expect(cold.usage?.prompt_tokens_details?.cached_tokens).toBe(0);
    const back = { documents: [...DOCUMENTS].reverse(), cache_salt: 'cold' };
    const cached = await client.chat.completions.create(chat(back));
    expect(cached.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(20);
    const again = await client.chat.completions.create(chat({ cache_salt: 'cold' }));
    expect(again.choices[0]?.message.content).toBe(cold.choices[0]?.message.content);
  });

  test('stream the same text that comes in one piece, with usage where it is asked for', async () => {
    const whole = await client.chat.completions.create(chat());
    const stream = await client.chat.completions.create({
      ...chat(),
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    const usages = [];
    let lastChoices = -1;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      if (chunk.usage) usages.push(chunk.usage);
      lastChoices = chunk.choices.length;
    }
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(lastChoices).toBe(0);
    expect(usages).toHaveLength(1);
    expect(usages[0]).toMatchObject({
      prompt_tokens: whole.usage?.prompt_tokens,
      completion_tokens: whole.usage?.completion_tokens,
    });
    expect(usages[0]?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(20);
  });

  test('give logprobs that agree with the tokens chosen', async () => {
    const { choices, usage } = await client.chat.completions.create(chat({ logprobs: true, top_logprobs: 3 }));
    const content = choices[0]?.logprobs?.content ?? [];
    expect(content.length).toBeGreaterThan(0);
    expect(content.length).toBeLessThanOrEqual(usage?.completion_tokens ?? 0);
    for (const { token, logprob, top_logprobs: top } of content) {
      expect(top).toHaveLength(3);
      // Greedy: the token chosen is the likeliest.
      expect(top[0]).toMatchObject({ token, logprob });
      expect(top.map((each) => each.logprob)).toEqual([...top].map((each) => each.logprob).sort((a, b) => b - a));
      expect(top.reduce((sum, each) => sum + Math.exp(each.logprob), 0)).toBeLessThanOrEqual(1.0001);
    }
    expect(Buffer.from(content.flatMap(({ bytes }) => bytes ?? [])).toString()).toContain(
      choices[0]?.message.content?.trim(),
    );
  });

  test('end before a stop string, streaming or not', async () => {
    const whole = (await client.chat.completions.create(chat({ max_tokens: 24, ignore_eos: true }))).choices[0];
    const text = whole?.message.content ?? '';
    const stop = text.slice(5, 8);
    const stopped = (await client.chat.completions.create(chat({ max_tokens: 24, ignore_eos: true, stop }))).choices[0];
    expect(stopped).toMatchObject({
      finish_reason: 'stop',
      message: { content: text.slice(0, text.indexOf(stop)) },
    });
    let streamed = '';
    const stream = await client.chat.completions.create({
      ...chat({ max_tokens: 24, ignore_eos: true, stop: [stop] }),
      stream: true,
    });
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? '';
    expect(streamed).toBe(stopped?.message.content);
  });

  test('give n choices, which a seed makes the same again', async () => {
    const drawn = { n: 3, seed: 11, temperature: 1.5, max_tokens: 16, ignore_eos: true };
    const texts = async () => {
      const { choices } = await client.chat.completions.create(chat(drawn));
      expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
      return choices.map(({ message }) => message.content);
    };
    const first = await texts();
    expect(await texts()).toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(1);
    const streamed = ['', '', ''];
    for await (const chunk of await client.chat.completions.create({ ...chat(drawn), stream: true })) {
      for (const { index, delta } of chunk.choices) streamed[index] += delta.content ?? '';
    }
    expect(streamed).toEqual(first);
  });

  test('with full attention are the reference: nothing comes from the cache', async () => {
    const { usage } = await client.chat.completions.create(chat({ attention: 'full' }));
    expect(usage?.prompt_tokens_details?.cached_tokens).toBe(0);
  });

  test('leave no page behind when the client goes away', async () => {
    const cancel = new AbortController();
    const endless = chat({ max_tokens: 2000, ignore_eos: true });
    const stream = await client.chat.completions.create({ ...endless, stream: true }, { signal: cancel.signal });
    for await (const _ of stream) break;
    cancel.abort();
    await demo.idle();
  });
});

describe('completions', () => {
  test('find their blocks cached in another order', async () => {
    const cold = await client.completions.create(completion({ cache_salt: 'completions' }));
    expect(cold.usage?.prompt_tokens_details?.cached_tokens).toBe(0);
    const back = await client.completions.create(
      completion({ cache_salt: 'completions', blocks: [...BLOCKS].reverse() }),
    );
    const { blockstitch } = back as unknown as { blockstitch: Report };
    expect(blockstitch.blocks.map(({ origin }) => origin)).toEqual(['pool', 'pool']);
  });

  test('stream the text that comes in one piece, with its logprobs by column', async () => {
    const whole = await client.completions.create(completion({ logprobs: 2 }));
    const { tokens, token_logprobs, top_logprobs, text_offset } = whole.choices[0]?.logprobs ?? {};
    expect(tokens).toHaveLength(whole.usage?.completion_tokens ?? 0);
    expect([token_logprobs?.length, top_logprobs?.length, text_offset?.length]).toEqual([
      tokens?.length,
      tokens?.length,
      tokens?.length,
    ]);
    let text = '';
    const streamedTokens: string[] = [];
    for await (const chunk of await client.completions.create({ ...completion({ logprobs: 2 }), stream: true })) {
      text += chunk.choices[0]?.text ?? '';
      streamedTokens.push(...(chunk.choices[0]?.logprobs?.tokens ?? []));
    }
    expect(text).toBe(whole.choices[0]?.text);
    expect(streamedTokens).toEqual(tokens);
  });

  test('take token ids for a prompt', async () => {
    const ids = [...(await demo.services.text.encode('The host is'))];
    const byText = await client.completions.create(completion());
    const byIds = await client.completions.create(completion({ prompt: ids }));
    expect(byIds.choices[0]?.text).toBe(byText.choices[0]?.text);
  });
});

test('models are listed and found by name', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  expect(names).toEqual(['demo']);
  expect(await client.models.retrieve('demo')).toMatchObject({ id: 'demo', object: 'model', owned_by: 'blockstitch' });
  await expect(client.models.retrieve('other')).rejects.toThrow(NotFoundError);
});

test.each([
  ['an unknown model', { model: 'other' }, NotFoundError, 'model_not_found'],
  ['a wrong temperature', { temperature: -1 }, BadRequestError, 'invalid_request'],
  ['an empty document', { documents: [{ text: '' }] }, BadRequestError, 'empty_input'],
  ['more tokens than the context holds', { max_tokens: 99_999 }, BadRequestError, 'context_length_exceeded'],
  ['too many documents', { documents: Array(300).fill({ text: 'x' }) }, APIError, 'payload_too_large'],
])("%s is one of the client's own exceptions, streaming or not", async (_what, fields, type, code) => {
  for (const stream of [false, true]) {
    const error = await client.chat.completions
      .create(chat({ ...fields, stream }) as ChatBody)
      .then(() => undefined)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ code });
  }
});

test('a document ingested by id is answered from its cached blocks', async () => {
  const ingested = await demo.post('/v1/documents', { id: 'fair', text: 'The Bolata fair opens in May.' });
  expect(ingested.status).toBe(200);
  const { usage } = await client.chat.completions.create(chat({ documents: [{ id: 'fair' }] }));
  expect(usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(5);
});

test.each(['README.md', 'docs/api.md'])('the request in %s is answered', async (page) => {
  const text = readFileSync(join(PACKAGE_DIR, page), 'utf8');
  const [, path, body] = /curl http:\/\/127\.0\.0\.1:8080(\S+) -H '[^']+' -d '([^']+)'/.exec(text) ?? [];
  const answer = await demo.post<{ object: string; choices: unknown[] }>(path as string, body);
  expect(answer).toMatchObject({ status: 200, json: { object: 'chat.completion' } });
  expect(answer.json.choices).toHaveLength(1);
});
