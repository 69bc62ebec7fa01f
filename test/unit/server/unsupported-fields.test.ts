/** A field that would change the answer and is not supported is refused by name; a value that asks for nothing is taken. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

const ROUTES = [
  { url: '/v1/chat/completions', least: { messages: [{ role: 'user', content: 'Why?' }] }, specials: false },
  { url: '/v1/completions', least: { prompt: 'Why?' }, specials: true },
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

it('max_completion_tokens is a name of the chat route alone', async () => {
  const { app } = await fakeApp();
  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });
  const [chat, completions] = ROUTES.map(({ url, least }) => post(url, { ...least, max_completion_tokens: 2 }));
  expect((await chat)?.statusCode).toBe(200);
  expect((await completions)?.json().error.param).toBe('max_completion_tokens');
  await app.close();
});
