/** Results of tools in a history: each belongs to a call before it. */
import { describe, expect, test } from 'vitest';
import { readMessages } from '../../../src/prompt/chat-messages.js';

const user = { role: 'user', content: 'Who hosts it?' };
const calls = (...ids: (string | undefined)[]) => ({
  ...{ role: 'assistant', content: null },
  tool_calls: ids.map((id) => ({ ...(id === undefined ? {} : { id }), function: { name: 'find', arguments: '{}' } })),
});
const gave = (id?: string) => ({
  ...{ role: 'tool', content: 'Sobako' },
  ...(id === undefined ? {} : { tool_call_id: id }),
});
const said = { role: 'assistant', content: 'Sobako does.' };

describe('a result of a tool is refused at its call id', () => {
  test.each([
    ['where there is no call', [user, gave('a')], 1],
    ['where no call has its id', [user, calls('a'), gave('b')], 2],
    ['where its call comes later', [user, gave('a'), calls('a'), gave('a')], 1],
    ['where the first result has a call and the second none', [user, calls('a'), gave('a'), gave('b'), said], 3],
    ['where only a part of the id is there', [user, calls('call_ab'), gave('call_a')], 2],
  ])('%s', (_, messages, index) => {
    const param = `messages[${index}].tool_call_id`;
    expect(() => readMessages(messages)).toThrow(
      expect.objectContaining({
        ...{ code: 'invalid_request', param },
        message: expect.stringMatching(/^`messages\[\d\]\.tool_call_id` is "\w+", the id of no call before it\.$/),
      }),
    );
  });

  test('and a long id is not repeated whole', () => {
    const refused = () => readMessages([user, gave('x'.repeat(1e5))]);
    expect(refused).toThrow(/^.{50,300}$/);
  });
});

describe('a result of a tool is taken', () => {
  test.each([
    ['behind its call, in any order', [user, calls('a', 'b'), gave('b'), gave('a')]],
    ['turns behind its call', [user, calls('a'), said, user, gave('a')]],
    ['a second time, as a history that was sent again has it', [user, calls('a'), gave('a'), gave('a')]],
    ['for an id that a later call has again', [user, calls('a'), gave('a'), calls('a'), gave('a')]],
    ['without an id', [user, calls('a'), gave()]],
    ['without an id and without a call', [user, gave()]],
    ["where a call before it has no id, as in transformers' form", [user, calls(undefined), gave('a')]],
    ['for an empty id that its call has too', [user, calls(''), gave('')]],
  ])('%s', (_, messages) => {
    expect(readMessages(messages)).toHaveLength(messages.length);
  });
});
