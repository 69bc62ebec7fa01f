/**
 * What a request says its answer must look like, under OpenAI's and vLLM's names, and the grammar that is made of it.
 * Knows fields and limits; src/grammar knows what can be enforced.
 */
import type { FastifyReply } from 'fastify';
import { BlockstitchError } from '../../errors.js';
import { enforceableSchema } from '../../grammar/json-schema.js';
import type { GrammarId } from '../../grammar/mask-link.js';
import { JSON_OBJECT, type OutputStructure } from '../../grammar/output-structure.js';
import type { SamplingBody } from '../schemas/sampling-schema.js';
import type { Services } from '../services.js';

/** Characters of a schema, grammar or list of choices, and of a regular expression. */
const MAX_CHARACTERS = 1 << 16;
const MAX_PATTERN = 4096;

export interface Requested {
  structure: OutputStructure;
  /** The field that asks for it. */
  param: string;
}

/**
 * Compiles what an answer must look like. The grammar is held until the answer has gone out.
 * @returns nothing if the request asks for no structure
 * @throws BlockstitchError `invalid_request` for structures that are wrong, too large or cannot be enforced
 */
export async function heldGrammar(
  { grammars }: Services,
  requested: Requested | undefined,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<{ grammar?: GrammarId }> {
  if (requested === undefined) return {};
  const { id, release } = await grammars.compile(requested.structure, requested.param, signal);
  if (reply.raw.closed) release();
  else reply.raw.once('close', release);
  return { grammar: id };
}

/** @throws BlockstitchError `invalid_request` */
export function requestedStructure(body: SamplingBody): Requested | undefined {
  const found = [...fromResponseFormat(body), ...fromStructuredOutputs(body), ...fromGuidedFields(body)];
  const [first, second] = found;
  if (second !== undefined) {
    throw invalid(second.param, `\`${second.param}\` and \`${first?.param}\` both say what the answer looks like.`);
  }
  return first;
}

function* fromResponseFormat({ response_format: format }: SamplingBody): Iterable<Requested> {
  if (format?.type === 'json_object') yield { structure: JSON_OBJECT, param: 'response_format' };
  if (format?.type !== 'json_schema') return;
  const param = 'response_format.json_schema.schema';
  if (format.json_schema === undefined) throw invalid('response_format', '`response_format.json_schema` is missing.');
  // OpenAI takes a missing schema as any object.
  if (format.json_schema.schema === undefined) yield { structure: JSON_OBJECT, param };
  else yield ofSchema(format.json_schema.schema, param);
}

function* fromStructuredOutputs({ structured_outputs: outputs }: SamplingBody): Iterable<Requested> {
  if (outputs === undefined) return;
  const { json, regex, choice, grammar, json_object: anyObject } = outputs;
  const at = (name: string) => `structured_outputs.${name}`;
  if ('structural_tag' in outputs) throw invalid(at('structural_tag'), `\`${at('structural_tag')}\` is not supported.`);
  if (json !== undefined) yield ofSchema(json, at('json'));
  if (regex !== undefined) yield ofPattern(regex, at('regex'));
  if (choice !== undefined) yield ofChoices(choice, at('choice'));
  if (grammar !== undefined) yield ofGrammar(grammar, at('grammar'));
  if ([json, regex, choice, grammar, anyObject].every((each) => each === undefined))
    throw invalid(
      'structured_outputs',
      '`structured_outputs` names nothing: give one of json, regex, choice, grammar, json_object.',
    );
  if (anyObject) yield { structure: JSON_OBJECT, param: at('json_object') };
}

function* fromGuidedFields(body: SamplingBody): Iterable<Requested> {
  if (body.guided_json !== undefined) yield ofSchema(body.guided_json, 'guided_json');
  if (body.guided_regex !== undefined) yield ofPattern(body.guided_regex, 'guided_regex');
  if (body.guided_choice !== undefined) yield ofChoices(body.guided_choice, 'guided_choice');
  if (body.guided_grammar !== undefined) yield ofGrammar(body.guided_grammar, 'guided_grammar');
}

/** @param schema an object, or its JSON text as vLLM takes it */
function ofSchema(schema: unknown, param: string): Requested {
  let parsed = schema;
  if (typeof schema === 'string') {
    checkLength(schema, MAX_CHARACTERS, param);
    try {
      parsed = JSON.parse(schema);
    } catch {
      throw invalid(param, `\`${param}\` is not JSON.`);
    }
  }
  checkLength(JSON.stringify(parsed), MAX_CHARACTERS, param);
  return { structure: { kind: 'json_schema', schema: JSON.stringify(enforceableSchema(parsed, param)) }, param };
}

function ofPattern(pattern: string, param: string): Requested {
  checkLength(pattern, MAX_PATTERN, param);
  return { structure: { kind: 'regex', pattern }, param };
}

function ofChoices(choices: readonly string[], param: string): Requested {
  if (choices.includes('')) throw invalid(param, `\`${param}\` holds an empty string.`);
  if (choices.some((choice) => choice.includes('\0'))) throw invalid(param, `\`${param}\` holds a NUL character.`);
  checkLength(choices.join(), MAX_CHARACTERS, param);
  return { structure: { kind: 'choice', choices }, param };
}

function ofGrammar(ebnf: string, param: string): Requested {
  checkLength(ebnf, MAX_CHARACTERS, param);
  return { structure: { kind: 'grammar', ebnf }, param };
}

function checkLength(text: string, limit: number, param: string): void {
  if (text === '') throw invalid(param, `\`${param}\` is empty.`);
  if (text.length > limit) throw invalid(param, `\`${param}\` has ${text.length} characters, more than ${limit}.`);
}

function invalid(param: string, reason: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason }, { param });
}
