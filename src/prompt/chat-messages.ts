/**
 * Messages in OpenAI's shapes, read into what chat templates take: a role and one string of content.
 * Everything else is refused with the path of the field that is wrong.
 */
import { BlockstitchError } from '../errors.js';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  name?: string;
}

/** Roles as clients send them. `developer` is OpenAI's newer name of `system`; templates know only the latter. */
const ROLES: Record<string, ChatMessage['role']> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
  tool: 'tool',
};

/**
 * @param messages the request's `messages`; content is a string or a list of `{type: 'text', text}` parts, which are
 *   joined by line breaks
 * @throws BlockstitchError `invalid_request` with `param` such as `messages[2].content[0].type`
 */
export function readMessages(messages: unknown): ChatMessage[] {
  if (!Array.isArray(messages)) throw invalid('messages', 'messages must be a list.');
  if (messages.length === 0) throw invalid('messages', 'messages is empty; send at least one.');
  return messages.map((message: unknown, index) => readMessage(message, `messages[${index}]`));
}

function readMessage(message: unknown, path: string): ChatMessage {
  if (!isRecord(message)) throw invalid(path, `${path} must be an object.`);
  const role = typeof message.role === 'string' && Object.hasOwn(ROLES, message.role) ? ROLES[message.role] : undefined;
  if (!role) {
    throw invalid(`${path}.role`, `${path}.role must be one of ${Object.keys(ROLES).join(', ')}.`);
  }
  const content = readContent(message.content, role, `${path}.content`);
  const { name } = message;
  if (name === undefined || name === null) return { role, content };
  if (typeof name !== 'string') throw invalid(`${path}.name`, `${path}.name must be a string.`);
  return { role, content, name };
}

function readContent(content: unknown, role: ChatMessage['role'], path: string): string {
  if (typeof content === 'string') return content;
  // OpenAI lets an assistant's content be null beside tool calls.
  if ((content === null || content === undefined) && role === 'assistant') return '';
  if (!Array.isArray(content)) throw invalid(path, `${path} must be a string or a list of text parts.`);
  const texts = content.map((part: unknown, index) => {
    const partPath = `${path}[${index}]`;
    if (!isRecord(part)) throw invalid(partPath, `${partPath} must be an object.`);
    if (part.type !== 'text') throw invalid(`${partPath}.type`, `${partPath}.type must be "text".`);
    if (typeof part.text !== 'string') throw invalid(`${partPath}.text`, `${partPath}.text must be a string.`);
    return part.text;
  });
  return texts.join('\n');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(param: string, reason: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param });
}
