/**
 * How a chat template takes tool calls. Most templates want a call's arguments as the object that the JSON stands for
 * (vLLM gives them that), some add the string to others (DeepSeek). A message that is all calls has no content: most
 * templates want none (as `transformers` 5 gives it to them), some a null, some fail without a string. A rendering of a
 * call that nobody made tells which.
 */
import type { ChatMessage, ToolCall } from './chat-messages.js';
import type { ChatTemplate } from './chat-template.js';
import { isDeep, isRecord, MAX_DEPTH } from './template-data.js';

export interface ToolCallForm {
  arguments: 'object' | 'string';
  /** What stands for the content of a message that is all calls. */
  content: 'absent' | 'null' | 'empty';
}

/** A message as templates take it. */
export type TemplateMessage = Omit<ChatMessage, 'tool_calls' | 'content'> & {
  content?: string | null;
  tool_calls?: unknown[];
};

export const USUAL_FORM: ToolCallForm = { arguments: 'object', content: 'absent' };

const FORMS: readonly ToolCallForm[] = (['absent', 'null', 'empty'] as const).flatMap((content) =>
  (['object', 'string'] as const).map((form) => ({ arguments: form, content })),
);
const NEEDLE = 'bsargument';
const NAME = 'bsfunction';
const CALL: ToolCall = {
  id: 'call00000',
  type: 'function',
  function: { name: NAME, arguments: JSON.stringify({ [NEEDLE]: NEEDLE }) },
};
const PROBE: readonly ChatMessage[] = [
  { role: 'user', content: 'Q' },
  { role: 'assistant', content: null, tool_calls: [CALL] },
];

/**
 * @returns the first form in which the template shows a call's arguments; if it shows none, the first that it takes;
 *   and whether it shows calls at all
 */
export function learnToolCallForm(
  template: ChatTemplate,
  specialTokens: Readonly<Record<string, string>>,
): ToolCallForm & { isShown: boolean } {
  const tried = FORMS.map((form) => ({ form, text: probe(template, specialTokens, form) }));
  const shown = tried.find(({ text }) => text?.includes(NEEDLE));
  const taken = shown ?? tried.find(({ text }) => text !== undefined);
  const isShown = tried.some(({ text }) => text?.includes(NEEDLE) || text?.includes(NAME));
  return { ...(taken?.form ?? USUAL_FORM), isShown };
}

/** @returns undefined if the template fails */
function probe(
  template: ChatTemplate,
  specialTokens: Readonly<Record<string, string>>,
  form: ToolCallForm,
): string | undefined {
  const messages = PROBE.map((message) => inForm(message, form));
  try {
    return template.render({ ...specialTokens, messages, tools: null, documents: null, add_generation_prompt: false });
  } catch {
    return undefined;
  }
}

/** The message for the template. What a model wrote as arguments need not be JSON: that stays a string. */
export function inForm(message: ChatMessage, form: ToolCallForm): TemplateMessage {
  const { tool_calls: calls, content, ...rest } = message;
  const shown = content ?? { absent: undefined, null: null, empty: '' }[form.content];
  return {
    ...rest,
    ...(shown === undefined ? {} : { content: shown }),
    ...(calls === undefined ? {} : { tool_calls: calls.map((call) => callInForm(call, form)) }),
  };
}

function callInForm(call: ToolCall, form: ToolCallForm): object {
  const { name, arguments: json } = call.function;
  return { ...call, function: { name, arguments: form.arguments === 'object' ? parsed(json) : json } };
}

function parsed(json: string): unknown {
  try {
    const value: unknown = JSON.parse(json);
    return isRecord(value) && !isDeep(value, MAX_DEPTH) ? value : json;
  } catch {
    return json;
  }
}
