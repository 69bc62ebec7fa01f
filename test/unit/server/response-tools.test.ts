/** Tools of /v1/responses with a fake engine: items, what a limit cuts, events in order, and what is refused. */
import { describe, expect, test } from 'vitest';
import type { OutputStructure } from '../../../src/grammar/output-structure.js';
import type { OutputItem } from '../../../src/server/schemas/responses-schema.js';
import { NOTATIONS } from '../../../src/tools/call-notation.js';
import { fakeApp } from '../../support/fake-services.js';

const parameters = { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] };
const find = { type: 'function', name: 'find', parameters };
const add = { type: 'function', name: 'add' };
const ARGUMENTS = '{"q": "the é fair"}';
const FIND = `<tool_call>\n{"name": "find", "arguments": ${ARGUMENTS}}\n</tool_call>`;
const ADD = '<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>';
const TWO = `I look.\n${FIND}\n${ADD}`;

type Event = Record<string, unknown> & {
  type: string;
  output_index?: number;
  item?: OutputItem;
  response?: { output: OutputItem[] };
};

async function serving(answer: string) {
  const { app, engine, services } = await fakeApp();
  engine.answer = answer;
  const compiled: OutputStructure[] = [];
  services.grammars.compile = async (structure) => {
    compiled.push(structure);
    return { id: 1, release: () => undefined };
  };
  const post = (fields: object) =>
    app.inject({
      ...{ method: 'POST', url: '/v1/responses' },
      payload: { input: 'Who hosts it?', tools: [find, add], ...fields },
    });
  return { post, compiled, services };
}

async function response(answer: string, fields: object = {}) {
  const { post } = await serving(answer);
  const whole = (await post(fields)).json();
  expect(whole).toMatchObject({ object: 'response' });
  return whole as { status: string; incomplete_details: unknown; output: OutputItem[] };
}

async function events(answer: string, fields: object = {}): Promise<Event[]> {
  const { post } = await serving(answer);
  const { payload } = await post({ ...fields, stream: true });
  return payload
    .trim()
    .split('\n\n')
    .map((event) => {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(event) ?? [];
      const read = JSON.parse(data ?? '') as Event;
      expect(read.type).toBe(name);
      return read;
    });
}

const message = (text: string, status = 'completed') => ({
  ...{ id: expect.stringMatching(/^msg_/), type: 'message', role: 'assistant', status },
  content: [{ type: 'output_text', text, annotations: [] }],
});
const call = (name: string, json: string, status = 'completed') => ({
  ...{ id: expect.stringMatching(/^fc_\w{24}$/), call_id: expect.stringMatching(/^call_\w{24}$/) },
  ...{ type: 'function_call', name, arguments: json, status },
});

describe('the output', () => {
  test('is a call and no message where the model writes only that', async () => {
    const { output, status } = await response(FIND);
    expect([status, output]).toEqual(['completed', [call('find', ARGUMENTS)]]);
  });

  test('is the text in front of calls, and each call with ids of its own', async () => {
    const { output } = await response(TWO);
    expect(output).toEqual([message('I look.'), call('find', ARGUMENTS), call('add', '{}')]);
    const ids = output.flatMap((item) => (item.type === 'function_call' ? [item.id, item.call_id] : [item.id]));
    expect(new Set(ids).size).toBe(5);
  });

  test('has text behind a call where it was written, as a message of its own', async () => {
    const { output } = await response(`I add.${ADD}\nDone.`);
    expect(output).toEqual([message('I add.'), call('add', '{}'), message('\nDone.')]);
    expect(output[0]?.id).not.toBe(output[2]?.id);
  });

  test('is one message where nothing is called, also an empty one', async () => {
    for (const text of ['The answer is 42.', '']) expect((await response(text)).output).toEqual([message(text)]);
  });

  test("has ids that the model's template takes", async () => {
    const { post, services } = await serving('[TOOL_CALLS] [{"name": "add", "arguments": {}}]');
    services.notation = NOTATIONS.mistral;
    const [item] = (await post({})).json().output;
    expect(item.call_id).toMatch(/^[a-z0-9]{9}$/);
    expect(item.id).toBe(`fc_${item.call_id}`);
  });
});

describe('a limit of tokens', () => {
  const cutAt = (text: string) => Buffer.byteLength(text);

  test('that cuts a call makes it and the response incomplete', async () => {
    const max = cutAt('I look.\n<tool_call>\n{"name": "find", "arguments": {"q"');
    const { status, incomplete_details, output } = await response(TWO, { max_output_tokens: max });
    expect([status, incomplete_details]).toEqual(['incomplete', { reason: 'max_output_tokens' }]);
    expect(output).toEqual([message('I look.'), call('find', '{"q"', 'incomplete')]);
  });

  test('that cuts the signs behind the arguments leaves a call that is completed', async () => {
    const max = cutAt(FIND) - '</tool_call>'.length;
    const { status, output } = await response(FIND, { max_output_tokens: max });
    expect([status, output]).toEqual(['incomplete', [call('find', ARGUMENTS)]]);
  });

  test('that cuts text behind a call leaves the call completed', async () => {
    const { status, output } = await response(`${ADD}Done.`, { max_output_tokens: cutAt(`${ADD}Do`) });
    expect([status, output]).toEqual(['incomplete', [call('add', '{}'), message('Do', 'incomplete')]]);
  });

  test('is not what ends a call that the model itself leaves open', async () => {
    const { status, output } = await response(FIND.slice(0, FIND.indexOf('é')));
    expect([status, output]).toEqual(['completed', [call('find', '{"q": "the ', 'incomplete')]]);
  });
});

describe('the response', () => {
  test('shows the tools, the choice and whether calls may be parallel', async () => {
    const described = { ...find, description: 'Finds.', strict: true };
    const choice = { type: 'function', name: 'find' };
    const asked = { tools: [described, add], tool_choice: choice, parallel_tool_calls: false };
    expect(await response(FIND, asked)).toMatchObject({
      tools: [described, { ...add, description: null, parameters: null, strict: false }],
      tool_choice: choice,
      parallel_tool_calls: false,
    });
    expect(await response(FIND, { tool_choice: 'required' })).toMatchObject({ tool_choice: 'required' });
    const allowed = { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'add' }] };
    const shown = await response('Yes.', { tool_choice: allowed });
    expect(shown).toMatchObject({ tool_choice: allowed, tools: [{ name: 'find' }, { name: 'add' }] });
  });

  test("shows OpenAI's defaults where nothing is asked", async () => {
    const shown = { tools: [], tool_choice: 'auto', parallel_tool_calls: true };
    expect(await response('Yes.', { tools: undefined })).toMatchObject(shown);
    expect(await response('Yes.', { tools: null, tool_choice: null, parallel_tool_calls: null })).toMatchObject(shown);
  });
});

describe('a stream', () => {
  const DELTAS = /delta$/;

  test("has OpenAI's events in order, each of its item", async () => {
    const all = await events(`${TWO}Done.`);
    expect(all.map(({ sequence_number: number }) => number)).toEqual(all.map((_, index) => index));
    const types = all.map(({ type, output_index: at = '' }) => `${type.replace('response.', '')} ${at}`.trim());
    // Pieces of one item are one line here.
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
      'created',
      'in_progress',
      ...textOf(0),
      ...callOf(1),
      ...callOf(2),
      ...textOf(3),
      'completed',
    ]);
  });
  const itemOf = (at: number, inside: string[]) => [
    `output_item.added ${at}`,
    ...inside.map((each) => `${each} ${at}`),
    `output_item.done ${at}`,
  ];
  const callOf = (at: number) => itemOf(at, ['function_call_arguments.delta', 'function_call_arguments.done']);
  const textOf = (at: number) =>
    itemOf(at, ['content_part.added', 'output_text.delta', 'output_text.done', 'content_part.done']);

  test('begins an item empty, gives it in pieces, and ends with what the response has', async () => {
    const all = await events(TWO);
    const output = all.at(-1)?.response?.output ?? [];
    expect(output).toEqual([message('I look.'), call('find', ARGUMENTS), call('add', '{}')]);
    for (const [index, item] of output.entries()) {
      const own = all.filter(({ output_index: at }) => at === index);
      const empty = item.type === 'message' ? { content: [] } : { arguments: '' };
      expect(own[0]?.item).toEqual({ ...item, status: 'in_progress', ...empty });
      expect(own.at(-1)?.item).toEqual(item);
      expect(new Set(own.slice(1, -1).map(({ item_id: id }) => id))).toEqual(new Set([item.id]));
      const pieces = own.filter(({ type }) => DELTAS.test(type)).map(({ delta }) => delta);
      expect(pieces.join('')).toBe(item.type === 'message' ? 'I look.' : item.arguments);
    }
    const done = all.filter(({ type }) => type === 'response.function_call_arguments.done');
    expect(done).toMatchObject([
      { name: 'find', arguments: ARGUMENTS },
      { name: 'add', arguments: '{}' },
    ]);
    expect(all.filter(({ type, output_index: at }) => at === 1 && DELTAS.test(type)).length).toBeGreaterThan(5);
  });

  test('ends with response.incomplete and what there is of a call that was cut', async () => {
    const max = Buffer.byteLength(FIND.slice(0, FIND.indexOf(' fair')));
    const all = await events(FIND, { max_output_tokens: max });
    const cut = call('find', '{"q": "the é', 'incomplete');
    expect(all.at(-1)).toMatchObject({ type: 'response.incomplete', response: { output: [cut] } });
    expect(all.at(-2)).toMatchObject({ type: 'response.output_item.done', item: cut });
  });
});

test('the choice and strict functions make a grammar, as in a chat', async () => {
  const structures = async (fields: object) => {
    const { post, compiled } = await serving(FIND);
    expect((await post(fields)).statusCode).toBe(200);
    return compiled;
  };
  expect(await structures({})).toEqual([]);
  expect(await structures({ tool_choice: 'none' })).toEqual([]);
  expect(await structures({ tool_choice: 'required' })).toMatchObject([{ kind: 'calls', most: 16 }]);
  expect(await structures({ tool_choice: 'required', parallel_tool_calls: false })).toMatchObject([{ most: 1 }]);
  const named = { tool_choice: { type: 'function', name: 'add' } };
  expect(await structures(named)).toMatchObject([{ most: 1, calls: [{ begin: '{"name": "add", "arguments": ' }] }]);
  expect(await structures({ tools: [{ ...find, strict: true }] })).toMatchObject([{ instead: { kind: 'text' } }]);
  const allowed = { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'add' }] };
  expect(await structures({ tool_choice: allowed })).toMatchObject([{ most: 16, calls: [{}] }]);
  expect(await structures({ tool_choice: { ...allowed, mode: 'auto' } })).toMatchObject([
    { calls: [{ begin: '{"name": "add", "arguments": ' }], instead: { kind: 'text' } },
  ]);
  const format = { text: { format: { type: 'json_object' } } };
  expect(await structures(format)).toMatchObject([{ kind: 'calls', instead: { kind: 'json_schema' } }]);
});

describe('a request is refused', () => {
  const unenforceable = { type: 'object', properties: { tags: { type: 'array', uniqueItems: true } } };
  const history = (...items: object[]) => ({ input: [{ role: 'user', content: 'Who?' }, ...items] });

  test.each([
    [
      'for a tool of another type',
      { tools: [find, { type: 'web_search' }] },
      'tools[1].type',
      /must be one of "function"/,
    ],
    ['for a custom tool', { tools: [{ type: 'custom', name: 'c' }] }, 'tools[0].type', /must be one of "function"/],
    ["for a tool in a chat's form", { tools: [{ type: 'function', function: add }] }, 'tools[0].name', /is required/],
    ['for a name twice', { tools: [find, find] }, 'tools[1].name', /`tools\[1\]\.name` names "find" a second time/],
    [
      'for parameters that are no object',
      { tools: [{ ...add, parameters: { type: 'string' } }], tool_choice: 'required' },
      'tools[0].parameters.type',
      /`tools\[0\]\.parameters\.type` must be "object"/,
    ],
    [
      'for a strict schema that cannot be enforced',
      { tools: [{ ...add, parameters: unenforceable, strict: true }] },
      'tools[0].parameters',
      /`tools\[0\]\.parameters` cannot be enforced/,
    ],
    ['for a choice without tools', { tools: [], tool_choice: 'required' }, 'tool_choice', /needs `tools`/],
    [
      'for a choice of a function that is not there',
      { tool_choice: { type: 'function', name: 'g' } },
      'tool_choice',
      /"g", which is none/,
    ],
    [
      'for a choice of another type',
      { tool_choice: { type: 'mcp', server_label: 'x' } },
      'tool_choice.type',
      /must be one of "function", or must be one of "allowed_tools"/,
    ],
    [
      'for allowed tools that are not there',
      { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'function', name: 'g' }] } },
      'tool_choice',
      /"g", which is none/,
    ],
    [
      "for allowed tools in a chat's form",
      { tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [add] } } },
      'tool_choice',
      /must have required properties mode, tools/,
    ],
    [
      'for an item of another type',
      history({ type: 'item_reference', id: 'x' }),
      'input[1].type',
      /must be "message", or must be "function_call", or must be "function_call_output"/,
    ],
    [
      'for a call without its id',
      history({ type: 'function_call', name: 'add', arguments: '{}' }),
      'input[1].call_id',
      /is required/,
    ],
    [
      'for arguments that are no text',
      history({ type: 'function_call', call_id: 'a', name: 'add', arguments: {} }),
      'input[1].arguments',
      /must be string/,
    ],
    [
      'for a result without its text',
      history({ type: 'function_call_output', call_id: 'a' }),
      'input[1].output',
      /is required/,
    ],
    [
      'for a result of no call',
      history({ type: 'function_call_output', call_id: 'a', output: '3' }),
      'input[1].call_id',
      /^`input\[1\]\.call_id` is "a", the id of no call before it\.$/,
    ],
    [
      'for a result in front of its call',
      history(
        { type: 'function_call_output', call_id: 'a', output: '3' },
        { type: 'function_call', call_id: 'a', name: 'add', arguments: '{}' },
      ),
      'input[1].call_id',
      /no call before it/,
    ],
    [
      'for a result that is an image',
      history({ type: 'function_call_output', call_id: 'a', output: [{ type: 'input_image', image_url: 'x' }] }),
      'input[1].output[0].type',
      /must be one of "input_text"/,
    ],
    ['for a limit of calls', { max_tool_calls: 2 }, 'max_tool_calls', /not supported/],
  ])('%s', async (_, fields, param, words) => {
    const { post } = await serving(FIND);
    for (const stream of [false, true]) {
      const refused = await post({ ...fields, stream });
      expect([refused.statusCode, refused.json().error]).toMatchObject([
        400,
        { type: 'invalid_request_error', code: 'invalid_request', param, message: expect.stringMatching(words) },
      ]);
    }
  });

  test('not for null where something is not given', async () => {
    const { post } = await serving('Yes.');
    const nulls = { tools: [{ ...add, description: null, parameters: null, strict: null }], max_tool_calls: null };
    const call = { type: 'function_call', call_id: 'a', name: 'add', arguments: '{}', id: null, status: null };
    const gave = { type: 'function_call_output', call_id: 'a', output: '3', id: null, status: null };
    const answer = await post({ ...nulls, ...history(call, gave) });
    expect(answer.json()).toMatchObject({ status: 'completed', output: [message('Yes.')] });
  });
});
