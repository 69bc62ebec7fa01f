/**
 * Messages in OpenAI's shapes, read into what chat templates take: a role, one string of content, tool calls and the
 * fields beside them, named as `transformers` names them. Everything else is refused with the path of the field that is
 * wrong. The only owner of the shape of a message.
 */
import { BlockstitchError } from '../errors.js';
import { isRecord } from './template-data.js';

export interface ToolCall {
  id?: string;
  type: 'function';
  /** `arguments` is JSON as the client wrote it; ChatRendering gives templates the object or the string. */
  function: { name: string; arguments: string };
}

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  /** Null only beside tool calls. */
  content: string | null;
  name?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
  reasoning_content?: string;
  /** The same text under the name that gpt-oss reads. */
  thinking?: string;
}

/** Roles as clients send them. `developer` is OpenAI's newer name of `system`; templates know only the latter. */
const ROLES: Record<string, ChatMessage['role']> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
};

/** Names under which clients and servers send an assistant's reasoning. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'] as const;

/**
 * @param messages the request's `messages`; content is a string or a list of `{type: 'text', text}` parts, which are
 *   joined by line breaks
 * @throws BlockstitchError `invalid_request` with `param` such as `messages[2].content[0].type`
 */
export function readMessages(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages)) throw invalid('messages', 'messages must be a list.');
  if (messages.length === 0) throw invalid('messages', 'messages is empty; send at least one.');
  const read = messages.map((message: unknown, index) => readMessage(message, `messages[${index}]`));
  refuseStrayResults(read);
  return read;
}

/** A result that has an id belongs to a call before it. Where such a call has none, any id may be its. */
function refuseStrayResults(messages: readonly ChatMessage[]): void {
  const called = new Set<string | undefined>();
  for (const [index, { tool_calls: calls = [], tool_call_id: id }] of messages.entries()) {
    for (const call of calls) called.add(call.id);
    if (id === undefined || called.has(id) || called.has(undefined)) continue;
    const path = `messages[${index}].tool_call_id`;
    throw invalid(path, `\`${path}\` is ${JSON.stringify(id.slice(0, 64))}, the id of no call before it.`);
  }
}

function readMessage(message: unknown, path: string): ChatMessage {
  if (!isRecord(message)) throw invalid(path, `${path} must be an object.`);
  const role = typeof message.role === 'string' && Object.hasOwn(ROLES, message.role) ? ROLES[message.role] : undefined;
  if (!role) {
    throw invalid(`${path}.role`, `${path}.role must be one of ${Object.keys(ROLES).join(', ')}.`);
  }
  const calls = role === 'assistant' ? readToolCalls(message.tool_calls ?? [], `${path}.tool_calls`) : [];
  const content = readContent(message.content ?? null, role, calls.length > 0, `${path}.content`);
  const name = optionalString(message, 'name', path);
  const callId = role === 'tool' ? optionalString(message, 'tool_call_id', path) : undefined;
  const reasoning = role === 'assistant' ? readReasoning(message, path) : undefined;
  return {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...(callId === undefined ? {} : { tool_call_id: callId }),
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning, thinking: reasoning }),
  };
}

function readContent(content: unknown, role: ChatMessage['role'], hasCalls: boolean, path: string): string | null {
  if (typeof content === 'string') return content;
  // OpenAI lets an assistant's content be absent. Templates tell a message that is all tool calls by a null.
  if (content === null && role === 'assistant') return hasCalls ? null : '';
  if (!Array.isArray(content)) throw invalid(path, `${path} must be a string or a list of text parts.`);
  const texts = content.map((part: unknown, index) => {
    const partPath = `${path}[${index}]`;
    if (!isRecord(part)) throw invalid(partPath, `${partPath} must be an object.`);
    const key = part.type === 'refusal' && role === 'assistant' ? 'refusal' : 'text';
    if (part.type !== key) throw invalid(`${partPath}.type`, `${partPath}.type must be "text".`);
    const text = part[key];
    if (typeof text !== 'string') throw invalid(`${partPath}.${key}`, `${partPath}.${key} must be a string.`);
    return text;
  });
  return texts.join('\n');
}

function readToolCalls(calls: unknown, path: string): ToolCall[] {
  if (!Array.isArray(calls)) throw invalid(path, `${path} must be a list.`);
  return calls.map((call: unknown, index): ToolCall => {
    const at = `${path}[${index}]`;
    if (!isRecord(call)) throw invalid(at, `${at} must be an object.`);
    if ((call.type ?? 'function') !== 'function') throw invalid(`${at}.type`, `${at}.type must be "function".`);
    const made = call.function;
    if (!isRecord(made)) throw invalid(`${at}.function`, `${at}.function must be an object.`);
    if (typeof made.name !== 'string') throw invalid(`${at}.function.name`, `${at}.function.name must be a string.`);
    const id = optionalString(call, 'id', at);
    const parsed = readArguments(made.arguments ?? '', `${at}.function.arguments`);
    return { ...(id === undefined ? {} : { id }), type: 'function', function: { name: made.name, arguments: parsed } };
  });
}

/** OpenAI's API has a string of JSON; transformers' messages have the object. */
function readArguments(given: unknown, path: string): string {
  if (isRecord(given)) return JSON.stringify(given);
  if (typeof given !== 'string') throw invalid(path, `${path} must be a string of JSON.`);
  return given.trim() === '' ? '{}' : given;
}

function readReasoning(message: Record<string, unknown>, path: string): string | undefined {
  for (const key of REASONING) {
    const text = optionalString(message, key, path);
    if (text !== undefined) return text;
  }
  return undefined;
}

function optionalString(record: Record<string, unknown>, key: string, path: string): string | undefined {
  const value = record[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(`${path}.${key}`, `${path}.${key} must be a string.`);
  return value;
}

function invalid(param: string, reason: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param });
}
