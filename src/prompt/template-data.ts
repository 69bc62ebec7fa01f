/**
 * What a request gives a chat template beside its messages: tools, switches such as `enable_thinking`, and how the
 * prompt ends. All of it is the client's data: bounded, and its strings never become control tokens.
 */
import { BlockstitchError } from '../errors.js';

/** How a prompt ends, and what else its template is told. */
export interface TemplateOptions {
  /** Definitions in OpenAI's form, shown to the template as they are. */
  tools?: readonly unknown[];
  /** Whether the model may call the tools: a prompt whose template does not show them explains them then. */
  toolsMayBeCalled?: boolean;
  /** Variables of the template, such as `enable_thinking`. */
  templateKwargs?: Readonly<Record<string, unknown>>;
  /** Whether the prompt ends with the header of an answer. Default: true, unless the last message is continued. */
  addGenerationPrompt?: boolean;
  /** The prompt ends inside the last message, which the answer continues. */
  continueFinalMessage?: boolean;
}

/** Variables that the server sets itself. */
const RESERVED = new Set([
  'messages',
  'documents',
  'tools',
  'add_generation_prompt',
  'continue_final_message',
  'chat_template',
  'tokenize',
  '__proto__',
]);
/** Levels of nesting that a template is given at most. */
export const MAX_DEPTH = 32;

/** @throws BlockstitchError `invalid_request` naming the field, for names of the server's own and for deep nesting */
export function checkTemplateOptions(options: TemplateOptions): void {
  const { tools, templateKwargs, addGenerationPrompt, continueFinalMessage } = options;
  for (const name of Object.keys(templateKwargs ?? {})) {
    const param = `chat_template_kwargs.${name}`;
    if (RESERVED.has(name) || name.startsWith('blockstitch_')) throw invalid(param, `${param} is set by the server.`);
    if (!/^[A-Za-z_]\w*$/.test(name)) throw invalid(param, `${param} is not a name that a template can have.`);
  }
  if (isDeep(templateKwargs, MAX_DEPTH)) {
    throw invalid('chat_template_kwargs', `chat_template_kwargs is nested deeper than ${MAX_DEPTH} levels.`);
  }
  if (isDeep(tools, MAX_DEPTH)) throw invalid('tools', `tools is nested deeper than ${MAX_DEPTH} levels.`);
  const wrong = tools?.findIndex((tool) => !isRecord(tool)) ?? -1;
  if (wrong >= 0) throw invalid(`tools[${wrong}]`, `tools[${wrong}] must be an object.`);
  if (addGenerationPrompt === true && continueFinalMessage === true) {
    throw invalid(
      'continue_final_message',
      'continue_final_message and add_generation_prompt exclude one another: the prompt ends inside the last message, or behind it.',
    );
  }
}

/** The value with every string of it changed; names of fields stay. @param value at most `MAX_DEPTH` deep */
export function mapStrings<Value>(value: Value, change: (text: string) => string): Value {
  if (typeof value === 'string') return change(value) as Value;
  if (Array.isArray(value)) return value.map((each) => mapStrings(each, change)) as Value;
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mapStrings(each, change)])) as Value;
}

/** Whether a value has more than so many levels. It is walked without recursion. */
export function isDeep(root: unknown, levels: number): boolean {
  let level = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null
        ? Object.values(value).filter((child) => typeof child === 'object' && child !== null)
        : [],
    );
  }
  return false;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(param: string, reason: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param });
}
