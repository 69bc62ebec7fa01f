/** Tools over HTTP with a fake engine: the shapes of calls, what ends an answer, and what is refused. */
import { describe, expect, test } from 'vitest';
import type { OutputStructure } from '../../../src/grammar/output-structure.js';
import { NOTATIONS } from '../../../src/tools/call-notation.js';
import { fakeApp } from '../../support/fake-services.js';

const find = {
  type: 'function',
  function: { name: 'find', parameters: { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] } },
};
const add = { type: 'function', function: { name: 'add' } };
const question = { messages: [{ role: 'user', content: 'Who hosts it?' }], tools: [find, add], max_tokens: 500 };
const ONE = '<tool_call>\n{"name": "find", "arguments": {"q": "the é fair"}}\n</tool_call>';
const TWO = `I look.\n${ONE}\n<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>`;

interface Call {
  index?: number;
  id?: string;
  type?: string;
  function: { name?: string; arguments: string };
}
interface Message {
  content: string | null;
  tool_calls?: Call[];
}

async function serving(answer: string) {
  const { app, engine, services } = await fakeApp();
  engine.answer = answer;
  const compiled: OutputStructure[] = [];
  services.grammars.compile = async (structure) => {
    compiled.push(structure);
    return { id: 1, release: () => undefined };
  };
  const post = async (fields: object) => {
    const payload = { ...question, ...fields };
    return app.inject({ method: 'POST', url: '/v1/chat/completions', payload });
  };
  return { post, compiled, engine, services };
}

async function answers(answer: string, fields: object = {}) {
  const { post } = await serving(answer);
  const response = await post(fields);
  expect(response.json()).toMatchObject({ object: 'chat.completion' });
  return response.json().choices as { message: Message; finish_reason: string; logprobs: { content: unknown[] } }[];
}

async function streamed(answer: string, fields: object = {}) {
  const { post } = await serving(answer);
  const { payload } = await post({ ...fields, stream: true });
  const lines = payload.split('\n\n').filter((line) => line !== '');
  expect(lines.pop()).toBe('data: [DONE]');
  return lines.map((line) => JSON.parse(line.slice(6))) as {
    choices: {
      index: number;
      delta: { content?: string; tool_calls?: Call[] };
      finish_reason: string | null;
      logprobs: { content: unknown[] } | null;
    }[];
    usage?: object;
  }[];
}

describe('an answer with calls', () => {
  test("has OpenAI's shape: content null, calls with ids, finish_reason tool_calls", async () => {
    const [choice] = await answers(ONE);
    expect(choice).toMatchObject({
      message: {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: expect.stringMatching(/^call_\w{24}$/), type: 'function', function: { name: 'find' } }],
      },
      finish_reason: 'tool_calls',
    });
    expect(choice?.message.tool_calls?.[0]?.function.arguments).toBe('{"q": "the é fair"}');
  });

  test('has the content in front of them, every call, and an id for each', async () => {
    const [choice] = await answers(TWO);
    expect(choice?.message.content).toBe('I look.');
    expect(choice?.message.tool_calls?.map(({ function: { name } }) => name)).toEqual(['find', 'add']);
    expect(new Set(choice?.message.tool_calls?.map(({ id }) => id)).size).toBe(2);
  });

  test('is plain content if it has none, and without tool_calls', async () => {
    const [choice] = await answers(' The answer\n');
    expect(choice?.message).toEqual({ role: 'assistant', content: ' The answer\n', refusal: null });
    expect(choice?.finish_reason).toBe('stop');
  });

  test('ends behind the first call where only one may be made', async () => {
    const [choice] = await answers(TWO, { parallel_tool_calls: false });
    expect(choice?.message.tool_calls).toHaveLength(1);
    expect(choice?.finish_reason).toBe('tool_calls');
  });

  test('comes in every choice, with the log-probability of every token', async () => {
    const choices = await answers(ONE, { n: 3, logprobs: true });
    for (const { message, logprobs, finish_reason } of choices) {
      expect(message.tool_calls).toHaveLength(1);
      expect(finish_reason).toBe('tool_calls');
      expect(logprobs.content).toHaveLength(Buffer.byteLength(ONE));
    }
  });

  test('that max_tokens or a stop string cuts says so, and gives what there is', async () => {
    const [cut] = await answers(ONE, { max_tokens: 46 });
    expect(cut?.finish_reason).toBe('length');
    expect(cut?.message.tool_calls?.[0]?.function.arguments).toBe('{"q"');
    const [stopped] = await answers(ONE, { stop: 'fair' });
    expect(stopped?.finish_reason).toBe('stop');
    expect(stopped?.message.tool_calls?.[0]?.function.arguments).toBe('{"q": "the é ');
    const [early] = await answers(ONE, { max_tokens: 14 });
    expect(early?.message).toMatchObject({ content: ONE.slice(0, 14) });
  });
});

describe('a stream with calls', () => {
  test('has the content first, then each call: index, id, type and name, then its arguments in pieces', async () => {
    const chunks = await streamed(TWO, { stream_options: { include_usage: true } });
    const choices = chunks.flatMap((chunk) => chunk.choices);
    expect(choices.map(({ delta }) => delta.content ?? '').join('')).toBe('I look.');
    const calls = choices.flatMap(({ delta }) => delta.tool_calls ?? []);
    const starts = calls.filter(({ id }) => id !== undefined);
    expect(starts).toEqual([
      { index: 0, id: expect.any(String), type: 'function', function: { name: 'find', arguments: '' } },
      { index: 1, id: expect.any(String), type: 'function', function: { name: 'add', arguments: '' } },
    ]);
    const pieces = calls.filter(({ id, index }) => id === undefined && index === 0);
    expect(pieces.length).toBeGreaterThan(5);
    for (const piece of pieces) expect(piece).toEqual({ index: 0, function: { arguments: expect.any(String) } });
    expect(pieces.map((piece) => piece.function.arguments).join('')).toBe('{"q": "the é fair"}');
    expect(calls.findIndex(({ index }) => index === 1)).toBeGreaterThan(
      calls.findLastIndex(({ index }) => index === 0),
    );
    expect(choices.at(-1)).toMatchObject({ delta: {}, finish_reason: 'tool_calls' });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: Buffer.byteLength(TWO) } });
  });

  test('is the plain answer in pieces, with every log-probability', async () => {
    const choices = (await streamed(TWO, { logprobs: true, n: 2 })).flatMap((chunk) => chunk.choices);
    for (const index of [0, 1]) {
      const own = choices.filter((choice) => choice.index === index);
      expect(own.flatMap(({ logprobs }) => logprobs?.content ?? [])).toHaveLength(Buffer.byteLength(TWO));
    }
  });
});

describe('the grammar of an answer', () => {
  const structureOf = async (fields: object) => {
    const { post, compiled } = await serving(ONE);
    const { statusCode } = await post(fields);
    expect(statusCode).toBe(200);
    return compiled;
  };
  const strict = { ...find, function: { ...find.function, strict: true } };

  test('is calls if there must be one, and one call for one function', async () => {
    expect(await structureOf({ tool_choice: 'required' })).toMatchObject([
      { kind: 'calls', most: 16, calls: [{ begin: '{"name": "find", "arguments": ' }, { end: '}' }] },
    ]);
    const named = await structureOf({ tool_choice: { type: 'function', function: { name: 'add' } } });
    expect(named).toMatchObject([{ most: 1, calls: [{ begin: '{"name": "add", "arguments": ' }] }]);
    expect(named[0]).not.toHaveProperty('instead');
    expect(await structureOf({ tool_choice: 'required', parallel_tool_calls: false })).toMatchObject([{ most: 1 }]);
  });

  test('is free where the model decides, unless a function is strict or the answer has a form', async () => {
    expect(await structureOf({})).toEqual([]);
    expect(await structureOf({ tool_choice: 'none' })).toEqual([]);
    expect(await structureOf({ tools: [strict] })).toMatchObject([
      { instead: { kind: 'text', trigger: '<tool_call>' } },
    ]);
    const form = { response_format: { type: 'json_object' } };
    expect(await structureOf(form)).toMatchObject([{ kind: 'calls', instead: { kind: 'json_schema' } }]);
    expect(await structureOf({ ...form, tool_choice: 'none' })).toMatchObject([{ kind: 'json_schema' }]);
  });

  const allowed = (mode: string, ...names: string[]) => ({
    tool_choice: {
      type: 'allowed_tools',
      allowed_tools: { mode, tools: names.map((name) => ({ type: 'function', function: { name } })) },
    },
  });

  test('has the calls of the allowed tools alone', async () => {
    const [must] = await structureOf(allowed('required', 'add'));
    expect(must).toMatchObject({ most: 16, calls: [{ begin: '{"name": "add", "arguments": ' }] });
    expect(must).not.toHaveProperty('instead');
    const one = { ...allowed('required', 'find'), parallel_tool_calls: false };
    expect(await structureOf(one)).toMatchObject([{ most: 1, calls: [{ begin: '{"name": "find", "arguments": ' }] }]);
    const may = await structureOf(allowed('auto', 'add'));
    expect(may).toMatchObject([
      { calls: [{ begin: expect.stringContaining('"add"') }], instead: { kind: 'text', trigger: '<tool_call>' } },
    ]);
    const form = { response_format: { type: 'json_object' }, ...allowed('auto', 'add') };
    expect(await structureOf(form)).toMatchObject([{ calls: [{}], instead: { kind: 'json_schema' } }]);
  });

  test('is free where every tool is allowed and the model decides, unless one that is allowed is strict', async () => {
    expect(await structureOf(allowed('auto', 'add', 'find', 'add'))).toEqual([]);
    expect(await structureOf({ tools: [strict, add], ...allowed('auto', 'find', 'add') })).toMatchObject([
      { kind: 'calls' },
    ]);
  });

  test('is that of the allowed tools, the prompt that of all', async () => {
    const { post, services } = await serving('Yes.');
    const shown: unknown[] = [];
    const { chat } = services.prompts;
    services.prompts.chat = (input) => {
      shown.push({ tools: input.tools, mayCall: input.toolsMayBeCalled });
      return chat(input);
    };
    for (const choice of [{}, allowed('auto', 'add'), allowed('required', 'find')]) {
      expect((await post(choice)).statusCode).toBe(200);
    }
    expect(shown).toEqual(Array(3).fill({ tools: [find, add], mayCall: true }));
  });

  test('lets no tool be called that is not allowed, also without a sign in front', async () => {
    const { post, services } = await serving('{"name": "find", "parameters": {"q": "x"}}');
    services.notation = NOTATIONS.llama3_json;
    const [choice] = (await post(allowed('auto', 'add'))).json().choices;
    expect([choice.message.tool_calls, choice.finish_reason]).toEqual([undefined, 'stop']);
  });

  test('has any object for a schema that cannot be enforced, unless the function is strict', async () => {
    const parameters = { type: 'object', properties: { tags: { type: 'array', uniqueItems: true } } };
    const loose = { type: 'function', function: { name: 'tag', parameters } };
    const [structure] = await structureOf({ tools: [loose], tool_choice: 'required' });
    expect(structure).toMatchObject({ calls: [{ schema: '{"type":"object","additionalProperties":true}' }] });
    const { post } = await serving(ONE);
    const refused = await post({ tools: [{ ...loose, function: { ...loose.function, strict: true } }] });
    expect(refused.json().error).toMatchObject({
      param: 'tools[0].function.parameters',
      message: expect.stringMatching(/\/properties\/tags\/uniqueItems is not supported/),
    });
  });
});

describe('tools are refused', () => {
  const tool = (fields: object) => ({ type: 'function', function: { name: 'f', ...fields } });

  test.each([
    ['for a choice without tools', { tools: [], tool_choice: 'required' }, 'tool_choice', /needs `tools`/],
    [
      'for a function that is not there',
      { tool_choice: { type: 'function', function: { name: 'g' } } },
      'tool_choice',
      /"g", which is none/,
    ],
    [
      'for an allowed function that is not there',
      {
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'auto', tools: [find, { type: 'function', function: { name: 'g' } }] },
        },
      },
      'tool_choice',
      /"g", which is none/,
    ],
    [
      'for a mode of allowed tools',
      { tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'none', tools: [find] } } },
      'tool_choice.allowed_tools.mode',
      /must be one of "auto", "required"/,
    ],
    [
      'for allowed tools that are none',
      { tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } } },
      'tool_choice.allowed_tools.tools',
      /fewer than 1/,
    ],
    [
      'for allowed tools in the form of the other route',
      { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [find] } },
      'tool_choice',
      /must have required properties allowed_tools/,
    ],
    [
      'for allowed tools without tools',
      { tools: [], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [find] } } },
      'tool_choice',
      /needs `tools`/,
    ],
    [
      'for another choice',
      { tool_choice: { type: 'custom', custom: { name: 'find' } } },
      'tool_choice.type',
      /"allowed_tools"/,
    ],
    ['for another kind', { tools: [{ type: 'custom' }] }, 'tools[0].type', /"function"/],
    ['for a name', { tools: [tool({ name: 'a b' })] }, 'tools[0].function.name', /pattern/],
    ['for a name twice', { tools: [find, find] }, 'tools[1].function.name', /a second time/],
    ['for their number', { tools: Array.from({ length: 129 }, (_, at) => tool({ name: `f${at}` })) }, 'tools', /128/],
    [
      'for parameters that are no object',
      { tools: [tool({ parameters: { type: 'string' } })], tool_choice: 'required' },
      'tools[0].function.parameters.type',
      /must be "object"/,
    ],
    [
      'for a long schema',
      { tools: [tool({ parameters: { description: 'x'.repeat(70_000) } })], tool_choice: 'required' },
      'tools[0].function.parameters',
      /65536 characters/,
    ],
    [
      'for a result of no call',
      { messages: [...question.messages, { role: 'tool', tool_call_id: 'a', content: '3' }] },
      'messages[1].tool_call_id',
      /^`messages\[1\]\.tool_call_id` is "a", the id of no call before it\.$/,
    ],
  ])('%s', async (_, fields, param, words) => {
    const { post } = await serving(ONE);
    const response = await post(fields);
    expect([response.statusCode, response.json().error]).toMatchObject([
      400,
      { code: 'invalid_request', param, message: expect.stringMatching(words) },
    ]);
  });

  test.each([
    ['null for what is not given', { tools: [{ ...find, function: { name: 'f', description: null, strict: null } }] }],
    ['a choice that calls nothing', { tools: undefined, tool_choice: 'none' }],
    ['no tools at all', { tools: [], tool_choice: 'auto', parallel_tool_calls: true }],
    ['tools that are not called', { tool_choice: 'none' }],
  ])('not for %s', async (_, fields) => {
    const { post } = await serving('Yes.');
    expect((await post(fields)).json().choices[0]).toMatchObject({
      message: { content: 'Yes.' },
      finish_reason: 'stop',
    });
  });
});
