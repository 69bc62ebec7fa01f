/**
 * Tools through the chat templates of real checkpoints, which `make tokenizers` fetches: the notation that is detected, and
 * that a model is told of tools, of calls and of results, by its template or in words.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { PromptBuilder } from '../../../src/prompt/prompt-builder.js';
import { createTextService, type TextService } from '../../../src/text/text-service.js';
import { detectNotation, type NotationName } from '../../../src/tools/call-notation.js';
import { realTokenizer } from '../../support/real-tokenizers.js';

/** These packages' templates. That of llama3_1 is a short one without tools, so the prompt explains them in hermes. */
const DETECTED: Record<string, NotationName> = {
  qwen3: 'hermes',
  llama3_1: 'hermes',
  deepseek_v3: 'hermes',
  gemma3: 'hermes',
};
const TOOLS = [
  {
    type: 'function',
    function: {
      name: 'find_the_host',
      description: 'Finds it.',
      parameters: {
        type: 'object',
        properties: { fair: { type: 'string', description: 'Which.' } },
        required: ['fair'],
      },
    },
  },
];
const ASKED = { role: 'user', content: 'Who hosts it?' };
const CALL = {
  id: 'call12345',
  type: 'function',
  function: { name: 'find_the_host', arguments: '{"fair": "Zesuni"}' },
};
const HISTORY = [
  ASKED,
  { role: 'assistant', content: null, tool_calls: [CALL] },
  { role: 'tool', tool_call_id: 'call12345', content: 'Gulati hosts it.' },
];
const opened: TextService[] = [];
afterAll(() => Promise.all(opened.map((text) => text.close())));

describe.each(Object.keys(DETECTED))('%s', (name) => {
  const directory = realTokenizer(name);

  test.skipIf(directory === undefined)('is told of tools, calls and results (needs make tokenizers)', async () => {
    const text = await createTextService({ checkpointDir: directory ?? '' });
    opened.push(text);
    const notation = detectNotation(text.chatTemplate, (token) => text.tokenizer.tokenId(token) !== undefined);
    expect(notation).toBe(DETECTED[name]);
    const builder = new PromptBuilder({
      textService: text,
      sinkTokenIds: new Int32Array(),
      notation: DETECTED[name] as NotationName,
    });
    const shown = async (messages: object[]) => {
      const plan = await builder.chat({ messages, tools: TOOLS, toolsMayBeCalled: true });
      return text.decode([...plan.blocks.flatMap(({ tokenIds }) => [...tokenIds]), ...plan.finalTokenIds]);
    };
    expect(await shown([ASKED])).toMatch(/find_the_host[\s\S]*Who hosts it\?/);
    const whole = await shown(HISTORY);
    expect(whole).toMatch(/Who hosts it\?[\s\S]*find_the_host[\s\S]*Zesuni[\s\S]*Gulati hosts it\./);
  });
});
