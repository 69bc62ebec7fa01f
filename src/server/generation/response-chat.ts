/**
 * A request of /v1/responses as the chat that it is, and what is wrong with that chat in the request's own words.
 * Knows both shapes; `start-chat.ts` reads the chat.
 */
import { BlockstitchError } from '../../errors.js';
import type { ChatBody } from '../schemas/chat-schema.js';
import type { InputItem, ResponseBody } from '../schemas/responses-schema.js';

type Message = ChatBody['messages'][number];
type Part = { type: 'text'; text: string };
type MessageOfParts = Omit<Message, 'content'> & { content?: Part[] };

/** Fields that mean the same in both. */
const SHARED = [
  'model',
  'documents',
  'segmentation',
  'auto_blocks',
  'attention',
  'citations',
  'cache_salt',
  'temperature',
  'top_p',
  'seed',
  'prompt_lookup',
  'parallel_tool_calls',
] as const satisfies readonly (keyof ResponseBody & keyof ChatBody)[];

/** A field that is not known does not go on: the schema has not checked it. */
export function responseChat(body: ResponseBody): ChatBody {
  const { input, instructions, text, max_output_tokens: maxTokens, tools, tool_choice: choice } = body;
  const asked = typeof input === 'string' ? [{ role: 'user' as const, content: input }] : messagesOf(input);
  const format = text?.format;
  const { type = 'text', ...schemaFields } = format ?? {};
  if (type === 'json_schema' && format?.schema === undefined) {
    const param = 'text.format.schema';
    throw new BlockstitchError('invalid_request', { reason: `\`${param}\` is missing.` }, { param });
  }
  return {
    ...sharedFields(body),
    messages: instructions === undefined ? asked : [{ role: 'system', content: instructions }, ...asked],
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(format === undefined
      ? {}
      : { response_format: { type, ...(type === 'json_schema' ? { json_schema: schemaFields } : {}) } }),
    ...(tools === undefined ? {} : { tools: tools.map(({ type, ...definition }) => ({ type, function: definition })) }),
    ...(choice === undefined ? {} : { tool_choice: chatChoice(choice) }),
  };
}

function sharedFields(body: ResponseBody): Pick<ChatBody, (typeof SHARED)[number]> {
  return Object.fromEntries(SHARED.flatMap((field) => (body[field] === undefined ? [] : [[field, body[field]]])));
}

function chatChoice(choice: NonNullable<ResponseBody['tool_choice']>): NonNullable<ChatBody['tool_choice']> {
  if (typeof choice === 'string') return choice;
  if (choice.type === 'function') return named(choice);
  return { type: choice.type, allowed_tools: { mode: choice.mode, tools: choice.tools.map(named) } };
}

function named<Type>({ type, name }: { type: Type; name: string }) {
  return { type, function: { name } };
}

/** What the assistant wrote in one turn is one message of a chat: its text and its calls. */
function messagesOf(items: readonly InputItem[]): MessageOfParts[] {
  const messages: MessageOfParts[] = [];
  for (const item of items) {
    const last = messages.at(-1);
    if (item.type === 'function_call_output') {
      messages.push({ role: 'tool', tool_call_id: item.call_id, content: partsOf(item.output) });
    } else if (item.type === 'function_call') {
      const { call_id: id, name, arguments: json } = item;
      const call = { id, type: 'function' as const, function: { name, arguments: json } };
      if (last?.role !== 'assistant') messages.push({ role: 'assistant', tool_calls: [call] });
      else if (last.tool_calls === undefined) last.tool_calls = [call];
      else last.tool_calls.push(call);
    } else if (item.role === 'assistant' && last?.tool_calls !== undefined) {
      last.content ??= [];
      for (const part of partsOf(item.content)) last.content.push(part);
    } else messages.push({ role: item.role, content: partsOf(item.content) });
  }
  return messages;
}

function partsOf(content: Extract<InputItem, { role: string }>['content']): Part[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return content.map(({ text }) => ({ type: 'text', text }));
}

/** Names of the chat's fields, and those of the request's. */
const RENAMED: readonly [RegExp, string][] = [
  [/^messages(\[\d+\])?\.?.*$/, 'input'],
  [/^max_tokens$/, 'max_output_tokens'],
  [/^response_format.*$/, 'text.format'],
  [/^tools\[(\d+)\]\.function\b/, 'tools[$1]'],
];

/** An error of the chat that `body` is names the field as the request has it. */
export function inResponseWords(error: unknown, body: ResponseBody): unknown {
  if (!(error instanceof BlockstitchError) || error.param === undefined) return error;
  const { code, details, param } = error;
  const name = nameInRequest(param, body);
  if (name === param) return error;
  const inWords = (detail: string | number) =>
    detail === param ? name : typeof detail === 'string' ? detail.replaceAll(`\`${param}\``, `\`${name}\``) : detail;
  const renamedDetails = Object.fromEntries(Object.entries(details).map(([key, detail]) => [key, inWords(detail)]));
  return new BlockstitchError(code, renamedDetails, { param: name, cause: error.cause });
}

function nameInRequest(param: string, body: ResponseBody): string {
  const [, index] = /^messages\[(\d+)\]\.tool_call_id$/.exec(param) ?? [];
  if (index !== undefined) return `input[${itemOfResult(body, Number(index))}].call_id`;
  const [pattern, replacement] = RENAMED.find(([each]) => each.test(param)) ?? [];
  return pattern === undefined || replacement === undefined ? param : param.replace(pattern, replacement);
}

/** Which item of the input a message of a tool was: each result is a message of its own. */
function itemOfResult(body: ResponseBody, messageIndex: number): number {
  const isResult = ({ role }: ChatBody['messages'][number]) => role === 'tool';
  const before = responseChat(body).messages.slice(0, messageIndex).filter(isResult).length;
  const items = typeof body.input === 'string' ? [] : [...body.input.entries()];
  const results = items.filter(([, { type }]) => type === 'function_call_output');
  return (results[before] as [number, InputItem])[0];
}
