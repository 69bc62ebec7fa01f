/** How a prompt ends, what its template is told, tool calls in the history, and BOS under full attention. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readMessages } from '../../../src/prompt/chat-messages.js';
import { ChatTemplate } from '../../../src/prompt/chat-template.js';
import { type ChatInput, PromptBuilder } from '../../../src/prompt/prompt-builder.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { directoryOf } from '../../support/tokenizer-fixtures.js';

const TEMPLATE =
  "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | default('') | trim }}{% for c in m.tool_calls or [] %}<call>{{ c.function.name }} {{ c.function.arguments.q }}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}";

/** Knows no tools. */
const PLAIN =
  "{% for m in messages %}{{ m.role + ': ' + m.content }}\n{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
const TOOLS = [{ type: 'function', function: { name: 'find', parameters: { type: 'object', properties: {} } } }];

const opened: { text: TextService; directory: string }[] = [];
afterAll(async () => {
  for (const { text, directory } of opened) {
    await text.close();
    await rm(directory, { recursive: true });
  }
});

async function builderFor(template: string, sinks: number[] = [], sinksUnderFull = false) {
  const directory = await mkdtemp(join(tmpdir(), 'blockstitch-options-'));
  await cp(directoryOf('qwen2'), directory, { recursive: true });
  await writeFile(join(directory, 'chat_template.jinja'), template);
  const text = await createTextService({ checkpointDir: directory });
  opened.push({ text, directory });
  const builder = new PromptBuilder({ textService: text, sinkTokenIds: Int32Array.from(sinks), sinksUnderFull });
  const ids = async (input: ChatInput) => {
    const { sinkTokenIds, blocks, finalTokenIds } = await builder.chat(input);
    return [...sinkTokenIds, ...blocks.flatMap(({ tokenIds }) => [...tokenIds]), ...finalTokenIds];
  };
  return { text, builder, ids, shown: async (input: ChatInput) => text.decode(await ids(input)) };
}

const user = { role: 'user', content: 'Why?' };

describe('the end of a prompt', () => {
  test('is the header of an answer, or the last message, or a place inside it', async () => {
    const { shown } = await builderFor(TEMPLATE);
    const half = { role: 'assistant', content: 'Because ' };
    const question = '<|im_start|>user\nWhy?<|im_end|>\n';
    expect(await shown({ messages: [user] })).toBe(`${question}<|im_start|>assistant\n`);
    expect(await shown({ messages: [user], addGenerationPrompt: false })).toBe(question);
    // This template trims messages, so the white space at the end goes, as in transformers.
    expect(await shown({ messages: [user, half], continueFinalMessage: true })).toBe(
      `${question}<|im_start|>assistant\nBecause`,
    );
    const documents = [{ text: 'It rains.' }];
    expect(await shown({ messages: [user, half], documents, continueFinalMessage: true })).toBe(
      '<|im_start|>user\nIt rains.\n\nWhy?<|im_end|>\n<|im_start|>assistant\nBecause',
    );
  });

  test('cannot be both, nor inside a message that the template drops', async () => {
    const { shown } = await builderFor("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}");
    const both = { messages: [user], continueFinalMessage: true, addGenerationPrompt: true };
    await expect(shown(both)).rejects.toMatchObject({ code: 'invalid_request', param: 'continue_final_message' });
    const dropped = { messages: [user, { role: 'assistant', content: 'x' }], continueFinalMessage: true };
    await expect(shown(dropped)).rejects.toMatchObject({ param: 'continue_final_message' });
  });
});

describe('what the template is told', () => {
  test('switches and tools reach it; their texts never become control tokens', async () => {
    const { ids, shown, text } = await builderFor(TEMPLATE);
    expect(await shown({ messages: [user], templateKwargs: { enable_thinking: false } })).toMatch(/<think><\/think>$/);
    const tools = [{ type: 'function', function: { name: 'f', description: '<|im_end|>' } }];
    const end = text.tokenizer.tokenId('<|im_end|>');
    const shownTools = await ids({ messages: [user], tools });
    expect(text.decode(shownTools)).toContain('"description": "<|im_end|>"');
    expect(shownTools.filter((id) => id === end)).toHaveLength(2);
  });

  test('tools in front are a block of their own, so that they are cached, and change no token', async () => {
    const { builder, ids } = await builderFor(TEMPLATE);
    const plan = await builder.chat({ messages: [user], tools: TOOLS });
    expect(plan.blocks.map(({ kind }) => kind)).toEqual(['template']);
    const other = await builder.chat({ messages: [{ ...user, content: 'When?' }], tools: TOOLS });
    expect(other.blocks).toEqual(plan.blocks);
    expect(await ids({ messages: [user], tools: TOOLS })).toEqual(
      await ids({ messages: [user], tools: TOOLS, attention: 'full' }),
    );
  });

  test.each([
    ['messages', {}],
    ['documents', []],
    ['tokenize', false],
    ['blockstitch_strip', 1],
    ['not a name', 1],
    ['__proto__', 1],
  ])('%s is not for clients to set', async (name, value) => {
    const { ids } = await builderFor(TEMPLATE);
    const templateKwargs = Object.fromEntries([[name, value]]);
    await expect(ids({ messages: [user], templateKwargs })).rejects.toMatchObject({
      code: 'invalid_request',
      param: `chat_template_kwargs.${name}`,
    });
  });

  test('deep nesting is refused, in switches and in tools', async () => {
    const { ids } = await builderFor(TEMPLATE);
    let deep: object = {};
    for (let level = 0; level < 100_000; level++) deep = { deep };
    await expect(ids({ messages: [user], templateKwargs: { deep } })).rejects.toThrow(/deeper than 32/);
    await expect(ids({ messages: [user], tools: [deep] })).rejects.toThrow(/deeper than 32/);
  });
});

describe('tools for a template that does not show them', () => {
  const explained =
    /# Tools\n\n[\s\S]*<tools>\n\{"type":"function"[\s\S]*<tool_call>\n\{"name": NAME, "arguments": [\s\S]*<\/tool_call>/;

  test('are explained in the system message, in the notation that is read, if they may be called', async () => {
    const { shown } = await builderFor(PLAIN);
    const asked = { messages: [user], tools: TOOLS, toolsMayBeCalled: true };
    expect(await shown(asked)).toMatch(new RegExp(`^system: ${explained.source}\\nuser: Why\\?\\nassistant: $`));
    const system = { role: 'system', content: 'Be brief.' };
    expect(await shown({ ...asked, messages: [system, user] })).toMatch(/^system: Be brief\.\n\n# Tools\n/);
    expect(await shown({ ...asked, toolsMayBeCalled: false })).toBe('user: Why?\nassistant: ');
  });

  test('are explained in front of the question if the template takes no system message, behind documents', async () => {
    const { shown } = await builderFor(
      PLAIN.replace('{{', "{{ raise_exception('no') if m.role == 'system' else '' }}{{"),
    );
    const documents = [{ text: 'It rains.' }];
    const text = await shown({ messages: [user], documents, tools: TOOLS, toolsMayBeCalled: true });
    expect(text).toMatch(new RegExp(`^user: It rains\\.\\n\\n${explained.source}\\n\\nWhy\\?\\nassistant: $`));
  });
});

describe('tool calls in the history', () => {
  const call = (json: string) => ({ id: 'a', type: 'function', function: { name: 'find', arguments: json } });
  const calls = (json: string) => ({ role: 'assistant', content: null, tool_calls: [call(json)] });
  const result = { role: 'tool', tool_call_id: 'a', content: 'found' };

  test('reach the template with their arguments as an object, in OpenAI or in transformers form', async () => {
    const { shown } = await builderFor(TEMPLATE);
    expect(await shown({ messages: [user, calls('{"q": "x"}'), result] })).toContain(
      'assistant\n<call>find x<|im_end|>',
    );
    const asObject = { ...calls(''), tool_calls: [{ function: { name: 'find', arguments: { q: 'y' } } }] };
    expect(await shown({ messages: [user, asObject, result] })).toContain('<call>find y');
    expect(await shown({ messages: [user, calls('not JSON'), result] })).toContain('<call>find <');
  });

  test('keep their arguments as a string for a template that adds strings, and a null for one that asks for it', async () => {
    const { shown } = await builderFor(
      "{% for m in messages %}{% if m.role == 'assistant' and m.content is none %}{% for c in m.tool_calls %}{{ 'CALL ' + c.function.arguments }}{% endfor %}{% else %}{{ m.role + ': ' + m.content }}\n{% endif %}{% endfor %}",
    );
    expect(await shown({ messages: [user, calls('{"q":  1.0}')] })).toBe('user: Why?\nCALL {"q":  1.0}');
  });

  test('become text for a template that shows no calls: results are a message of the user', async () => {
    const { shown } = await builderFor(PLAIN);
    const second = { ...result, content: 'and lost' };
    const messages = [user, calls('{"q": "x"}'), result, second];
    const text = await shown({ messages, tools: TOOLS, toolsMayBeCalled: true });
    expect(text).toContain(
      'user: Why?\nassistant: <tool_call>\n{"name": "find", "arguments": {"q": "x"}}\n</tool_call>\n' +
        'user: <tool_response>\nfound\n</tool_response>\n<tool_response>\nand lost\n</tool_response>\nassistant: ',
    );
  });

  test('stay out of a template that leaves them out, where nothing may be called: as transformers does', async () => {
    const { shown } = await builderFor(PLAIN);
    expect(await shown({ messages: [user, calls('{"q": "x"}'), result] })).not.toContain('tool_call');
  });

  test.each([
    [{ ...user, content: 5 }, 'messages[0].content'],
    [{ role: 'assistant', tool_calls: 'x' }, 'messages[0].tool_calls'],
    [{ role: 'assistant', tool_calls: [{ type: 'code' }] }, 'messages[0].tool_calls[0].type'],
    [{ role: 'assistant', tool_calls: [{ function: {} }] }, 'messages[0].tool_calls[0].function.name'],
    [{ role: 'tool', content: 'x', tool_call_id: 5 }, 'messages[0].tool_call_id'],
    [{ role: 'user', content: [{ type: 'refusal', refusal: 'x' }] }, 'messages[0].content[0].type'],
  ])('%j is refused at its field', (message, param) => {
    expect(() => readMessages([message])).toThrow(expect.objectContaining({ code: 'invalid_request', param }));
  });

  test('an assistant may have no content, or a refusal', () => {
    const refusal = { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] };
    expect(readMessages([{ role: 'assistant' }, refusal])).toEqual([
      { role: 'assistant', content: '' },
      { role: 'assistant', content: 'No.' },
    ]);
  });
});

describe('BOS', () => {
  const WRITES_BOS = `<|im_start|>${TEMPLATE}`;

  test('stands in front under full attention only if the template writes it; under block attention it is a sink', async () => {
    const { ids, builder, text } = await builderFor(TEMPLATE, [9]);
    expect((await ids({ messages: [user], attention: 'full' }))[0]).not.toBe(9);
    expect((await ids({ messages: [user], attention: 'block' }))[0]).toBe(9);
    const whole = await builder.completion({ prompt: 'Hi', attention: 'full' });
    expect([...whole.sinkTokenIds, ...whole.finalTokenIds]).toEqual([...(await text.encode('Hi'))]);
    const given = await builder.completion({ prompt: [5, 6], attention: 'full' });
    expect([...given.sinkTokenIds, ...given.finalTokenIds]).toEqual([5, 6]);
  });

  test('that the template writes stands there once, and is a sink under block attention', async () => {
    const { text } = await builderFor(WRITES_BOS);
    const bos = text.tokenizer.tokenId('<|im_start|>') as number;
    const { ids } = await builderFor(WRITES_BOS, [bos]);
    const full = await ids({ messages: [user], attention: 'full' });
    expect(full.slice(0, 2)).toEqual([bos, bos]);
    expect(await ids({ messages: [user], attention: 'block' })).toEqual(full);
  });

  test('and learned sinks stand in front under full attention too', async () => {
    const { ids } = await builderFor(TEMPLATE, [9, 8], true);
    expect((await ids({ messages: [user], attention: 'full' })).slice(0, 2)).toEqual([9, 8]);
  });
});

test.each([
  ["{{ x.lstrip('\\n') }}|", '\n a \n', ' a \n|'],
  ["{{ x.rstrip('\\n') }}|", '\n a \n', '\n a |'],
  ["{{ x.strip('ab') }}|", 'abc a bca', 'c a bc|'],
  ['{{ x.strip() }}|', ' a ', 'a|'],
  ["{{ (x.split('c')[0]).strip('a').upper() }}|", 'abac', 'B|'],
])('%s strips as Python does', (template, x, expected) => {
  const context = { x, messages: [], documents: null, tools: null, add_generation_prompt: true };
  expect(new ChatTemplate(template, '').render(context)).toBe(expected);
});
