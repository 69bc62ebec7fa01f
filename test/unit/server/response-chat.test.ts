/** A request of /v1/responses becomes a chat: items become messages, and errors of the chat get the request's names. */
import { describe, expect, test } from 'vitest';
import { BlockstitchError } from '../../../src/errors.js';
import { readMessages } from '../../../src/prompt/chat-messages.js';
import { inResponseWords, responseChat } from '../../../src/server/generation/response-chat.js';
import type { InputItem, ResponseBody } from '../../../src/server/schemas/responses-schema.js';

const messagesOf = (...input: InputItem[]) => readMessages(responseChat({ input }).messages);
const call = (id: string, name: string, json: string): InputItem => ({
  ...{ type: 'function_call', id: `fc_${id}`, call_id: id, status: 'completed', name, arguments: json },
});
const madeCall = (id: string, name: string, json: string) => ({
  ...{ id, type: 'function', function: { name, arguments: json } },
});
const gave = (id: string, output: Extract<InputItem, { output: unknown }>['output']): InputItem => ({
  ...{ type: 'function_call_output', call_id: id, output },
});
const said = (role: 'user' | 'assistant', text: string) => ({ role, content: text }) as const;

describe('items of the input', () => {
  test('that the assistant wrote in one turn are one message: its text and its calls', () => {
    expect(
      messagesOf(
        said('user', 'Who hosts it?'),
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
        call('a', 'find', '{"q": "fair"}'),
        call('b', 'add', ''),
        gave('a', 'Sobako'),
        gave('b', '3'),
        said('user', 'And now?'),
      ),
    ).toEqual([
      { role: 'user', content: 'Who hosts it?' },
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [madeCall('a', 'find', '{"q": "fair"}'), madeCall('b', 'add', '{}')],
      },
      { role: 'tool', tool_call_id: 'a', content: 'Sobako' },
      { role: 'tool', tool_call_id: 'b', content: '3' },
      { role: 'user', content: 'And now?' },
    ]);
  });

  test('that are a call alone are a message without content, a new one behind each result', () => {
    const items = [call('a', 'add', '{}'), gave('a', ''), call('b', 'add', '{}'), gave('b', [])];
    expect(messagesOf(said('user', 'Add.'), ...items)).toEqual([
      { role: 'user', content: 'Add.' },
      { role: 'assistant', content: null, tool_calls: [madeCall('a', 'add', '{}')] },
      { role: 'tool', tool_call_id: 'a', content: '' },
      { role: 'assistant', content: null, tool_calls: [madeCall('b', 'add', '{}')] },
      { role: 'tool', tool_call_id: 'b', content: '' },
    ]);
  });

  test('that are text behind a call belong to its message', () => {
    const [, message] = messagesOf(
      said('user', 'Add.'),
      said('assistant', 'I add.'),
      call('a', 'add', '{}'),
      said('assistant', 'Done.'),
    );
    expect(message).toEqual({
      role: 'assistant',
      content: 'I add.\nDone.',
      tool_calls: [madeCall('a', 'add', '{}')],
    });
  });

  test('that are messages without calls stay as they are, also two of the assistant', () => {
    const both = [said('user', 'Why?'), said('assistant', 'So.'), said('assistant', 'Because.')];
    expect(messagesOf(...both)).toEqual(both);
  });

  test('that are results in parts are joined as every text is', () => {
    const parts = [
      { type: 'input_text', text: 'one' },
      { type: 'input_text', text: 'two' },
    ] as const;
    expect(messagesOf(call('a', 'add', '{}'), gave('a', [...parts]))).toMatchObject([
      { role: 'assistant' },
      { role: 'tool', content: 'one\ntwo' },
    ]);
  });
});

test("tools and the choice among them are the chat's", () => {
  const find = { type: 'function', name: 'find', description: 'Finds.', parameters: { type: 'object' }, strict: true };
  const body = {
    input: 'Who?',
    tools: [find, { type: 'function', name: 'add' }],
    tool_choice: { type: 'function', name: 'add' },
    parallel_tool_calls: false,
  } as ResponseBody;
  const { type, ...definition } = find;
  expect(responseChat(body)).toEqual({
    messages: [{ role: 'user', content: 'Who?' }],
    tools: [
      { type, function: definition },
      { type, function: { name: 'add' } },
    ],
    tool_choice: { type, function: { name: 'add' } },
    parallel_tool_calls: false,
  });
  expect(responseChat({ ...body, tool_choice: 'required' }).tool_choice).toBe('required');
  expect(Object.keys(responseChat({ input: 'Who?' }))).toEqual(['messages']);
});

test('fields that the schema does not name do not go on', () => {
  const unknown = { stop: '.', logit_bias: { x: 1 }, max_tokens: 'five', n: 3, messages: [], service_tier: 'flex' };
  const own = { seed: 7, documents: ['One is.'], citations: true };
  const body = { input: 'Who?', ...own, ...unknown, store: false, metadata: { a: 'b' }, stream: true } as ResponseBody;
  expect(responseChat(body)).toEqual({ messages: [{ role: 'user', content: 'Who?' }], ...own });
});

test.each([
  ['messages[3].content', 'input'],
  ['messages', 'input'],
  ['max_tokens', 'max_output_tokens'],
  ['response_format.json_schema.schema', 'text.format'],
  ['tools[12].function.name', 'tools[12].name'],
  ['tools[0].function.parameters.type', 'tools[0].parameters.type'],
  ['tool_choice', 'tool_choice'],
  ['documents[0].text', 'documents[0].text'],
])('an error at %s is told of %s', (param, name) => {
  const error = new BlockstitchError('invalid_request', { reason: `\`${param}\` is wrong.` }, { param });
  expect(inResponseWords(error, { input: 'Who?' })).toMatchObject({
    param: name,
    message: expect.stringContaining(`\`${name}\` is`),
  });
});

test('an error of one message is told of the item that it was', () => {
  const input = [
    said('user', 'Add.'),
    said('assistant', 'I add.'),
    call('a', 'add', '{}'),
    gave('a', '3'),
    gave('b', '4'),
  ];
  const told = (body: ResponseBody) => {
    try {
      return readMessages(responseChat(body).messages);
    } catch (error) {
      return inResponseWords(error, body);
    }
  };
  const stray = { param: 'input[4].call_id', message: '`input[4].call_id` is "b", the id of no call before it.' };
  expect(told({ input })).toMatchObject(stray);
  expect(told({ input, instructions: 'Be brief.' })).toMatchObject(stray);
});
