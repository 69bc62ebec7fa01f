/**
 * Tools with the official `openai` package against the served demo model, which has never seen a tool and whose template
 * takes none: the grammar makes it call. Streamed and not, over documents, several choices, with results in the history.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import OpenAI, { BadRequestError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

type Body = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type Call = OpenAI.Chat.ChatCompletionMessageFunctionToolCall;

const PARAMETERS: Record<string, object> = {
  find_host: {
    type: 'object',
    properties: { fair: { type: 'string', maxLength: 16 }, year: { type: 'integer', minimum: 1900, maximum: 2100 } },
    required: ['fair', 'year'],
    additionalProperties: false,
  },
  get_time: { type: 'object', properties: {}, additionalProperties: false },
};
const tool = (name: string, fields: object = {}) => ({
  type: 'function' as const,
  function: { name, description: `Calls ${name}.`, parameters: PARAMETERS[name] as Record<string, unknown>, ...fields },
});
/** A model that knows no tools may call again and again, to the end of its tokens. */
const ONE_CALL = { tool_choice: 'required', parallel_tool_calls: false };
const ajv = new Ajv2020();
let demo: DemoServer;
let client: OpenAI;

const body = (fields: object = {}) =>
  ({
    model: 'demo',
    messages: [{ role: 'user', content: 'Who hosts the Zokego fair?' }],
    tools: [tool('find_host'), tool('get_time')],
    temperature: 0,
    max_tokens: 1200,
    ...fields,
  }) as Body;

beforeAll(async () => {
  demo = await startDemoServer();
  client = new OpenAI({ baseURL: `${demo.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => demo.idle());
afterAll(() => demo.close());

function expectCalls(calls: readonly unknown[] | undefined): Call[] {
  expect(calls?.length).toBeGreaterThan(0);
  for (const { id, type, function: made } of calls as Call[]) {
    expect([id.length > 8, type]).toEqual([true, 'function']);
    expect(Object.keys(PARAMETERS)).toContain(made.name);
    const fits = ajv.validate(PARAMETERS[made.name] as object, JSON.parse(made.arguments));
    expect(fits, made.arguments).toBe(true);
  }
  return calls as Call[];
}

describe('a model that knows no tools', () => {
  test('calls if it must, streamed as in one piece', async () => {
    const { choices } = await client.chat.completions.create(body(ONE_CALL));
    expect(choices[0]).toMatchObject({ message: { content: null }, finish_reason: 'tool_calls' });
    const calls = expectCalls(choices[0]?.message.tool_calls);
    const stream = client.chat.completions.stream({ ...body(ONE_CALL), stream: true });
    let pieces = 0;
    stream.on('tool_calls.function.arguments.delta', () => {
      pieces++;
    });
    const whole = await stream.finalChatCompletion();
    const streamed = expectCalls(whole.choices[0]?.message.tool_calls);
    expect(streamed.map((call) => call.function.arguments)).toEqual(calls.map((call) => call.function.arguments));
    expect(whole.choices[0]?.finish_reason).toBe('tool_calls');
    expect(pieces).toBeGreaterThan(streamed.length);
  });

  test('calls the function that is named, once, over documents, whose blocks are hits the next time', async () => {
    const documents = [{ text: 'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako.' }];
    const choice = { type: 'function', function: { name: 'find_host' } };
    const ask = () => client.chat.completions.create(body({ tool_choice: choice, documents }));
    const cold = await ask();
    expect(expectCalls(cold.choices[0]?.message.tool_calls).map((call) => call.function.name)).toEqual(['find_host']);
    const cached = await ask();
    expect(cached.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(10);
    expect(cached.choices[0]?.message.tool_calls?.map((call) => (call as Call).function)).toEqual(
      cold.choices[0]?.message.tool_calls?.map((call) => (call as Call).function),
    );
  });

  test('calls only what is allowed, over the prompt of all tools', async () => {
    const documents = [{ text: 'The Wumaba fair is held in Tolefi. The host of the Wumaba fair is Rasubo.' }];
    const ask = (tools: string[], fields: object = {}) => {
      const named = tools.map((name) => ({ type: 'function', function: { name } }));
      const choice = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: named } };
      return client.chat.completions.create(
        body({ documents, parallel_tool_calls: false, tool_choice: choice, ...fields }),
      );
    };
    const both = await ask(['find_host', 'get_time']);
    for (const name of ['find_host', 'get_time']) {
      for (const temperature of [0, 1]) {
        const { choices, usage } = await ask([name], { temperature, seed: 3 });
        expect(expectCalls(choices[0]?.message.tool_calls).map((call) => call.function.name)).toEqual([name]);
        expect(usage?.prompt_tokens).toBe(both.usage?.prompt_tokens);
        expect(usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(10);
      }
    }
  });

  test('calls in each of several drawn choices, with log-probabilities and usage in the stream', async () => {
    const fields = {
      tool_choice: 'required',
      parallel_tool_calls: false,
      n: 3,
      temperature: 1,
      seed: 5,
      logprobs: true,
    };
    const { choices, usage } = await client.chat.completions.create(body(fields));
    for (const choice of choices) {
      expectCalls(choice.message.tool_calls);
      expect(choice.logprobs?.content?.length).toBeGreaterThan(5);
    }
    const tokens = choices.reduce((sum, { logprobs }) => sum + (logprobs?.content?.length ?? 0), 0);
    expect(tokens).toBe(usage?.completion_tokens);
    const stream = await client.chat.completions.create({
      ...body(fields),
      ...{ stream: true, stream_options: { include_usage: true } },
    });
    const seen = new Map<number, string>();
    let last: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      for (const { index, delta } of chunk.choices) {
        for (const call of delta.tool_calls ?? [])
          seen.set(index, `${seen.get(index) ?? ''}${call.function?.name ?? ''}${call.function?.arguments ?? ''}`);
      }
      last = chunk.usage;
    }
    const plain = choices.map(({ message }) =>
      (message.tool_calls as Call[]).map((call) => call.function.name + call.function.arguments).join(''),
    );
    expect([0, 1, 2].map((index) => seen.get(index))).toEqual(plain);
    expect(last).toMatchObject({ completion_tokens: tokens });
  });

  test('makes one call where calls may not be parallel', async () => {
    const one = { tool_choice: 'required', parallel_tool_calls: false, temperature: 1.5, seed: 3 };
    const { choices } = await client.chat.completions.create(body(one));
    expect(expectCalls(choices[0]?.message.tool_calls)).toHaveLength(1);
  });

  test('answers in a form, or calls, where both are given', async () => {
    const schema = { type: 'object', properties: { host: { enum: ['Sobako'] } }, required: ['host'] };
    const form = { response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } } };
    const { choices } = await client.chat.completions.create(body({ ...form, parallel_tool_calls: false }));
    const { content, tool_calls: calls } = choices[0]?.message ?? { content: null };
    if (calls === undefined) expect(JSON.parse(content ?? '')).toEqual({ host: 'Sobako' });
    else expectCalls(calls);
  });

  test('gets results in the history, and answers without tools as before', async () => {
    const first = await client.chat.completions.create(body({ tool_choice: 'required', parallel_tool_calls: false }));
    const message = first.choices[0]?.message as OpenAI.Chat.ChatCompletionMessage;
    const [call] = expectCalls(message.tool_calls);
    const history = [
      ...body().messages,
      message,
      { role: 'tool', tool_call_id: call?.id, content: 'The host of the Zokego fair is Sobako.' },
    ];
    const second = await client.chat.completions.create(body({ messages: history, tool_choice: 'none' }));
    expect(second.choices[0]?.message.content).toMatch(/\w/);
    expect(second.choices[0]?.message.tool_calls).toBeUndefined();
    // The model sees call and result: the prompt is longer by more than the result.
    const more = (second.usage?.prompt_tokens ?? 0) - (first.usage?.prompt_tokens ?? 0);
    expect(more).not.toBe(0);
  });

  test('gets the same text as without tools if it may not call them', async () => {
    const plain = await client.chat.completions.create({ ...body({ max_tokens: 12 }), tools: [] });
    const none = await client.chat.completions.create(body({ tool_choice: 'none', max_tokens: 12 }));
    expect(none.choices[0]?.message.content).toBe(plain.choices[0]?.message.content);
  });
});

test('a strict function whose schema cannot be enforced is refused by name', async () => {
  const parameters = { type: 'object', properties: { tags: { type: 'array', uniqueItems: true } } };
  const asked = client.chat.completions.create(body({ tools: [tool('get_time', { parameters, strict: true })] }));
  const error = await asked.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BadRequestError);
  expect(error).toMatchObject({ param: 'tools[0].function.parameters', code: 'invalid_request' });
});
