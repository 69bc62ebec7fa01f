/** Which notation a checkpoint uses, by its chat template and its vocabulary. The templates are cut down to what tells. */
import { describe, expect, test } from 'vitest';
import { detectNotation, MARKERS, NOTATIONS } from '../../../src/tools/call-notation.js';

const none = () => false;
const QWEN =
  '{%- if tools %}return a json object with function name and arguments within <tool_call></tool_call> XML tags{% endif %}';
const LLAMA =
  '{%- if tools is not none %}{{- \'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.\' }}{% endif %}';
const MISTRAL = '{%- if tools %}{{- "[AVAILABLE_TOOLS] [" }}{% endif %}{{- "[TOOL_CALLS] [" }}';

describe('the notation', () => {
  test.each([
    ['hermes', QWEN],
    ['llama3_json', LLAMA],
    ['mistral', MISTRAL],
  ])('%s is seen in the chat template', (name, template) => {
    expect(detectNotation(template, none)).toBe(name);
    expect(detectNotation(template, () => true)).toBe(name);
  });

  test('is seen in the vocabulary if the template takes tools and shows no calls', () => {
    const template = '{{ tools | tojson }}';
    for (const [name, { marker }] of Object.entries(NOTATIONS)) {
      expect(detectNotation(template, (text) => text === marker)).toBe(name);
    }
  });

  test('is the one that the prompt explains if the template takes no tools', () => {
    expect(detectNotation('{{ messages }}', (text) => text === '[TOOL_CALLS]')).toBe('hermes');
    expect(detectNotation(undefined, none)).toBe('hermes');
  });

  test('is not known if the template takes tools and nothing tells', () => {
    expect(detectNotation('{{ tools }}', none)).toBeUndefined();
  });
});

test('every marker of a notation is shown by the detokenizer', () => {
  for (const { marker } of Object.values(NOTATIONS)) expect(MARKERS).toContain(marker);
});
