/**
 * The tools of a request: which functions may be called, whether they must be, and the structure of an answer that
 * calls them. Knows OpenAI's fields; src/tools knows how models write calls, src/grammar what can be enforced.
 */
import { BlockstitchError } from '../../errors.js';
import { enforceableSchema } from '../../grammar/json-schema.js';
import type { CallsStructure, OutputStructure } from '../../grammar/output-structure.js';
import { JSON_OBJECT } from '../../grammar/output-structure.js';
import { type CallNotation, writtenCall } from '../../tools/call-notation.js';
import type { CallParserOptions } from '../../tools/call-parser.js';
import type { ChatBody } from '../schemas/chat-schema.js';
import type { ToolBody } from '../schemas/tool-schema.js';

/** Calls in one answer that a grammar allows: where it does not end them, small models call for ever. */
const MOST_CALLS = 16;
/** Characters of a function's schema. */
const MAX_CHARACTERS = 1 << 16;
const NO_PARAMETERS = '{"type":"object","properties":{},"additionalProperties":false}';

export interface RequestedTools {
  /** How calls are found in the answer. */
  parser: CallParserOptions;
  /** What the answer must look like; absent if the model is free. */
  structure?: CallsStructure;
}

/**
 * @param besides what the answer is if it has no call
 * @returns undefined if nothing may be called
 * @throws BlockstitchError `invalid_request` naming the field
 */
export function requestedTools(
  { tools = [], tool_choice: choice, parallel_tool_calls: parallel = true }: ChatBody,
  notation: CallNotation,
  besides: OutputStructure | undefined,
): RequestedTools | undefined {
  const names = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    const { name } = tool.function;
    if (names.has(name)) throw invalid(`tools[${index}].function.name`, `names ${JSON.stringify(name)} a second time`);
    names.add(name);
  }
  if (tools.length === 0) {
    if (choice === undefined || choice === 'auto' || choice === 'none') return undefined;
    throw invalid('tool_choice', 'needs `tools`');
  }
  if (choice === 'none') return undefined;
  const { mode, names: chosen = names, most: mostChosen } = readChoice(choice);
  for (const name of chosen) {
    if (!names.has(name)) throw invalid('tool_choice', `names ${JSON.stringify(name)}, which is none of the tools`);
  }
  const mustCall = mode === 'required';
  const most = parallel ? mostChosen : 1;
  const parser = { notation, functions: chosen, ...(most === undefined ? {} : { most }) };
  const callable = [...tools.entries()].filter(([, { function: definition }]) => chosen.has(definition.name));
  const isStrict = callable.some(([, { function: definition }]) => definition.strict === true);
  if (!mustCall && !isStrict && besides === undefined && chosen.size === names.size) return { parser };
  const instead = mustCall ? undefined : (besides ?? { kind: 'text', trigger: notation.marker, bare: notation.bare });
  return {
    parser,
    structure: {
      ...written(notation),
      kind: 'calls',
      calls: callable.map(([index, tool]) => call(notation, tool, `tools[${index}].function.parameters`)),
      // Llama writes one call, whatever the client allows.
      most: notation.bare ? 1 : (most ?? MOST_CALLS),
      ...(instead === undefined ? {} : { instead: instead as NonNullable<CallsStructure['instead']> }),
    },
  };
}

/** What `tool_choice` says: whether there must be a call, of which functions if not of any, and how many at most. */
function readChoice(choice: ChatBody['tool_choice']): { mode: string; names?: ReadonlySet<string>; most?: number } {
  if (typeof choice !== 'object') return { mode: choice ?? 'auto' };
  if (choice.type === 'function') return { mode: 'required', names: new Set([choice.function.name]), most: 1 };
  const { mode, tools } = choice.allowed_tools;
  return { mode, names: new Set(tools.map(({ function: { name } }) => name)) };
}

function written({ marker, bare, opening, separator, closing }: CallNotation) {
  return { opening: `${bare ? '' : marker}${opening}`, separator, closing };
}

function call(notation: CallNotation, tool: ToolBody, param: string): CallsStructure['calls'][number] {
  const mark = '\0';
  const [begin = '', end = ''] = writtenCall(notation, tool.function.name, mark).split(mark);
  return { begin, schema: schemaOf(tool, param), end };
}

/** The schema of a function's arguments. What cannot be enforced is refused only if the function says `strict`. */
function schemaOf({ function: { parameters, strict } }: ToolBody, param: string): string {
  if (parameters === undefined || parameters === null) return NO_PARAMETERS;
  if (JSON.stringify(parameters).length > MAX_CHARACTERS)
    throw invalid(param, `has more than ${MAX_CHARACTERS} characters`);
  const { type } = parameters;
  if (type !== undefined && type !== 'object') throw invalid(`${param}.type`, 'must be "object"');
  try {
    return JSON.stringify(enforceableSchema({ type: 'object', ...parameters }, param));
  } catch (error) {
    if (strict === true || !(error instanceof BlockstitchError)) throw error;
    return (JSON_OBJECT as { schema: string }).schema;
  }
}

function invalid(param: string, what: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason: `\`${param}\` ${what}.` }, { param });
}
