/** A field that would change the answer and is not supported is refused by name; a value that asks for nothing is taken. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChatBodySchema } from '../../../src/server/schemas/chat-schema.js';
import { ResponseBodySchema } from '../../../src/server/schemas/responses-schema.js';
import { fakeApp } from '../../support/fake-services.js';

const ROUTES = [
  { url: '/v1/chat/completions', least: { messages: [{ role: 'user', content: 'Why?' }] }, specials: false },
  { url: '/v1/completions', least: { prompt: 'Why?' }, specials: true },
  { url: '/v1/responses', least: { input: 'Why?' }, specials: false },
];
const ASKED = {
  include_stop_str_in_output: true,
  skip_special_tokens: false,
  bad_words: ['no'],
  allowed_token_ids: [1, 2],
  truncate_prompt_tokens: 5,
  return_tokens_as_token_ids: true,
  chat_template: '{{ messages }}',
  grammar: 'root ::= "a"',
  json_schema: { type: 'object' },
  regex: 'a+',
  n_predict: 3,
  max_new_tokens: 3,
  repeat_penalty: 1.1,
  mirostat: 2,
  prompt_logprobs: 1,
};
const NOTHING_ASKED = {
  include_stop_str_in_output: false,
  skip_special_tokens: true,
  bad_words: [],
  allowed_token_ids: null,
  truncate_prompt_tokens: null,
  return_tokens_as_token_ids: false,
  repeat_penalty: 1,
  mirostat: 0,
  grammar: null,
};

describe.each(ROUTES)('$url', ({ url, least, specials }) => {
  let served: Awaited<ReturnType<typeof fakeApp>>;
  const post = (extra: object) => served.app.inject({ method: 'POST', url, payload: { ...least, ...extra } });
  beforeAll(async () => {
    served = await fakeApp();
  });
  afterAll(async () => {
    await served.app.close();
  });

  it.each(Object.entries(ASKED))('refuses %s by name', async (field, value) => {
    const response = await post({ [field]: value });
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({ code: 'invalid_request', param: field });
  });

  it('takes values that change nothing', async () => {
    expect((await post({ ...NOTHING_ASKED, add_special_tokens: specials })).statusCode).toBe(200);
    expect((await post({ add_special_tokens: !specials })).json().error.param).toBe('add_special_tokens');
  });
});

it('max_completion_tokens and prediction are names of the chat route alone', async () => {
  const { app } = await fakeApp();
  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });
  const [chat, completions] = ROUTES.map(({ url, least }) => post(url, { ...least, max_completion_tokens: 2 }));
  expect((await chat)?.statusCode).toBe(200);
  expect((await completions)?.json().error.param).toBe('max_completion_tokens');
  const predicted = await post('/v1/completions', { prompt: 'Why?', prediction: { type: 'content', content: 'x' } });
  expect(predicted.json().error.param).toBe('prediction');
  await app.close();
});

/** Fields that only a chat has: a value that would change the answer, one that the chat itself would refuse, one that asks for nothing. */
const ONLY_OF_CHATS: Record<string, [asked: unknown, wrong: unknown, nothing?: unknown]> = {
  messages: [[{ role: 'user', content: 'Why?' }], 5],
  max_tokens: [5, 'five'],
  max_completion_tokens: [5, -1],
  n: [2, 'two', 1],
  stop: ['.', [5], []],
  stop_token_ids: [[1], 'x', []],
  ignore_eos: [true, 'yes', false],
  top_k: [5, 'five', -1],
  min_p: [0.1, 7, 0],
  presence_penalty: [1, 'one', 0],
  frequency_penalty: [1, 9, 0],
  repetition_penalty: [1.1, 'x', 1],
  logit_bias: [{ 5: 100 }, { x: 'y' }, {}],
  response_format: [{ type: 'json_object' }, 'json', { type: 'text' }],
  structured_outputs: [{ json_object: true }, 5],
  guided_json: [{ type: 'object' }, 5],
  guided_regex: ['a+', 5],
  guided_choice: [['a'], 'a'],
  guided_grammar: ['root ::= "a"', 5],
  prediction: [{ type: 'content', content: 'x' }, 5],
  chat_template_kwargs: [{ enable_thinking: false }, 5, {}],
  add_generation_prompt: [false, 'x', true],
  continue_final_message: [true, 'x', false],
  logprobs: [true, 'x', false],
};
/** What they change is not the answer. */
const IGNORED = ['stream_options'];

describe('/v1/responses and the fields of a chat', () => {
  const post = async (extra: object) => {
    const { app } = await fakeApp();
    const response = await app.inject({ method: 'POST', url: '/v1/responses', payload: { input: 'Why?', ...extra } });
    await app.close();
    return response;
  };

  it('knows each of them', () => {
    const own = new Set(Object.keys(ResponseBodySchema.properties));
    const others = Object.keys(ChatBodySchema.properties).filter((field) => !own.has(field));
    // `top_logprobs` is OpenAI's field of both routes.
    expect(others.sort()).toEqual([...Object.keys(ONLY_OF_CHATS), ...IGNORED, 'top_logprobs'].sort());
  });

  it.each(Object.entries(ONLY_OF_CHATS))('refuses %s by name, whatever it holds', async (field, [asked, wrong]) => {
    for (const value of [asked, wrong]) {
      const response = await post({ [field]: value });
      expect([response.statusCode, response.json().error]).toMatchObject([
        400,
        { code: 'invalid_request', param: field, message: expect.stringContaining(`\`${field}\``) },
      ]);
    }
  });

  it('says the name that a field of a chat has here', async () => {
    const told = async (extra: object) => (await post(extra)).json().error.message as string;
    expect(await told({ max_tokens: 5 })).toContain('`max_output_tokens`');
    expect(await told({ response_format: { type: 'json_object' } })).toContain('`text.format`');
  });

  it('ignores what changes nothing, and what nobody knows', async () => {
    const nothing = Object.entries(ONLY_OF_CHATS).flatMap(([field, [, , value]]) =>
      value === undefined ? [] : [[field, value]],
    );
    expect((await post(Object.fromEntries(nothing))).statusCode).toBe(200);
    expect(
      (await post({ stream_options: { include_obfuscation: 5 }, service_tier: 5, safety_identifier: [] })).statusCode,
    ).toBe(200);
    const nulls = Object.keys(ONLY_OF_CHATS).map((field) => [field, null]);
    expect((await post(Object.fromEntries(nulls))).statusCode).toBe(200);
  });
});
