/**
 * Tools of /v1/responses with the official `openai` package against the served demo model, which has never seen a tool: the
 * grammar makes it call. Streamed and not, with results in the history, as loops of agents send them.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import OpenAI, { BadRequestError } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

type Body = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Call = OpenAI.Responses.ResponseFunctionToolCall;
type Item = OpenAI.Responses.ResponseInputItem;

const PARAMETERS: Record<string, Record<string, unknown>> = {
  find_host: {
    type: 'object',
    properties: { fair: { type: 'string', maxLength: 16 }, year: { type: 'integer', minimum: 1900, maximum: 2100 } },
    required: ['fair', 'year'],
    additionalProperties: false,
  },
  get_time: { type: 'object', properties: {}, additionalProperties: false },
};
const QUESTION = 'Who hosts the Zokego fair?';
const FAIR = 'The host of the Zokego fair is Sobako.';
const tools = Object.entries(PARAMETERS).map(([name, parameters]) => ({
  ...{ type: 'function' as const, name, description: `Calls ${name}.`, parameters, strict: false },
}));
/** A model that knows no tools may call again and again, to the end of its tokens. */
const ONE_CALL = { tool_choice: 'required', parallel_tool_calls: false } as const;
const ajv = new Ajv2020();
let demo: DemoServer;
let client: OpenAI;

const body = (fields: object = {}): Body => ({
  ...{ model: 'demo', input: QUESTION, tools, temperature: 0, max_output_tokens: 1200 },
  ...fields,
});

beforeAll(async () => {
  demo = await startDemoServer();
  client = new OpenAI({ baseURL: `${demo.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => demo.idle());
afterAll(() => demo.close());

/** The calls of a response that has nothing else. */
function callsOf({ status, output }: OpenAI.Responses.Response): Call[] {
  expect(status).toBe('completed');
  expect(output.length).toBeGreaterThan(0);
  const calls = output.filter((item) => item.type === 'function_call');
  expect(calls).toHaveLength(output.length);
  for (const call of calls) {
    expect([call.id, call.call_id, call.status]).toEqual([
      expect.stringMatching(/^fc_/),
      expect.stringMatching(/^call_/),
      'completed',
    ]);
    const fits = ajv.validate(PARAMETERS[call.name] as object, JSON.parse(call.arguments));
    expect(fits, call.arguments).toBe(true);
  }
  return calls;
}
const made = (calls: readonly Call[]) => calls.map(({ name, arguments: json }) => [name, json]);

describe('a model that knows no tools', () => {
  test('calls if it must, streamed as in one piece', async () => {
    const whole = await client.responses.create(body(ONE_CALL));
    const calls = callsOf(whole);
    expect([calls.length, whole.output_text]).toEqual([1, '']);
    const stream = client.responses.stream({ ...body(ONE_CALL), stream: true });
    let pieces = '';
    let count = 0;
    stream.on('response.function_call_arguments.delta', ({ delta, snapshot }) => {
      pieces += delta;
      count += 1;
      expect(snapshot).toBe(pieces);
    });
    const streamed = callsOf(await stream.finalResponse());
    expect(made(streamed)).toEqual(made(calls));
    expect([pieces, count > 1]).toEqual([calls[0]?.arguments, true]);
  });

  test('calls the function that is named, over documents, whose blocks are hits the next time', async () => {
    const fields = { tool_choice: { type: 'function', name: 'find_host' }, documents: [{ text: FAIR }] };
    const cold = await client.responses.create(body(fields));
    expect(callsOf(cold).map(({ name }) => name)).toEqual(['find_host']);
    expect(cold.tool_choice).toEqual(fields.tool_choice);
    const cached = await client.responses.create(body(fields));
    expect(cached.usage?.input_tokens_details.cached_tokens).toBeGreaterThan(10);
    expect(made(callsOf(cached))).toEqual(made(callsOf(cold)));
  });

  test('may make several calls, each with events and ids of its own', async () => {
    const drawn = { tool_choice: 'required', temperature: 1, seed: 4, max_output_tokens: 2000 };
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    for await (const event of await client.responses.create({ ...body(drawn), stream: true })) events.push(event);
    const last = events.at(-1);
    const output =
      last?.type === 'response.completed' || last?.type === 'response.incomplete' ? last.response.output : [];
    expect(output.length).toBeGreaterThan(1);
    expect(new Set(output.map(({ id }) => id)).size).toBe(output.length);
    const done = events.flatMap((event) => (event.type === 'response.output_item.done' ? [event] : []));
    expect(done.map(({ output_index: index }) => index)).toEqual(output.map((_, index) => index));
    expect(done.map(({ item }) => item)).toEqual(output);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
  });

  test('goes on with what a function gave, over the prompt that a chat would have', async () => {
    const first = await client.responses.create(body(ONE_CALL));
    const [call] = callsOf(first) as [Call];
    const input: Item[] = [
      { role: 'user', content: QUESTION },
      ...(first.output as Item[]),
      { type: 'function_call_output', call_id: call.call_id, output: FAIR },
    ];
    const second = await client.responses.create(body({ input, max_output_tokens: 12 }));
    expect(second.output.map(({ type }) => type)).toEqual(['message']);
    expect(second.output_text).toMatch(/\w/);
    const chat = await client.chat.completions.create({
      model: 'demo',
      messages: [
        { role: 'user', content: QUESTION },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: call.call_id, type: 'function', function: { name: call.name, arguments: call.arguments } },
          ],
        },
        { role: 'tool', tool_call_id: call.call_id, content: FAIR },
      ],
      tools: tools.map(({ type, ...definition }) => ({ type, function: definition })),
      ...{ temperature: 0, max_tokens: 12 },
    });
    expect(second.output_text).toBe(chat.choices[0]?.message.content);
    expect(second.usage?.input_tokens).toBe(chat.usage?.prompt_tokens);
    expect(second.usage?.input_tokens).toBeGreaterThan(first.usage?.input_tokens ?? 0);
  });

  test('leaves a call incomplete where the limit of tokens cuts it', async () => {
    const named = { tool_choice: { type: 'function', name: 'find_host' } };
    const whole = await client.responses.create(body(named));
    // The arguments are the last that it writes.
    const max = (whole.usage?.output_tokens ?? 0) - 20;
    const cut = await client.responses.create(body({ ...named, max_output_tokens: max }));
    expect(cut).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
    expect(cut.output).toMatchObject([{ type: 'function_call', name: 'find_host', status: 'incomplete' }]);
    const [[, json = '']] = made(callsOf(whole)) as [string[]];
    const [[, beginning = '']] = made(cut.output as Call[]) as [string[]];
    expect([json.startsWith(beginning), beginning.length < json.length, beginning.length > 5]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test('answers in a form, or calls, where both are given', async () => {
    const schema = { type: 'object', properties: { host: { enum: ['Sobako'] } }, required: ['host'] };
    const text = { format: { type: 'json_schema', name: 'answer', schema, strict: true } };
    const response = await client.responses.create(body({ text, parallel_tool_calls: false }));
    const [item] = response.output;
    if (item?.type === 'message') expect(JSON.parse(response.output_text)).toEqual({ host: 'Sobako' });
    else callsOf(response);
  });
});

test.each([
  ['a tool that runs on the server', { tools: [{ type: 'web_search' }] }, 'tools[0].type'],
  [
    'a strict function whose schema cannot be enforced',
    { tools: [{ ...tools[1], parameters: { type: 'object', properties: { a: { not: {} } } }, strict: true }] },
    'tools[0].parameters',
  ],
])('%s is refused by name, streamed or not', async (_, fields, param) => {
  for (const stream of [false, true]) {
    const asked = client.responses.create({ ...body(fields), stream } as Body);
    const error = await asked.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param, code: 'invalid_request' });
  }
});
