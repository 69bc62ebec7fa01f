/**
 * From a request's sampling fields to the engine's parameters: the checkpoint's defaults, the server's limits.
 * Knows names and ranges; the schema has checked types, the engine does the sampling.
 */
import { type Config, settingLabel } from '../../config.js';
import type { SamplingParams } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import type { ImportedModel } from '../../model/imported-model.js';
import type { KeyHolder } from '../keys/key-ring.js';
import type { SamplingBody } from '../schemas/sampling-schema.js';

const MAX_LOGIT_BIASES = 1024;
const MAX_STOP_CHARACTERS = 1024;

export interface SamplingInput {
  body: SamplingBody;
  /** The field that bounds new tokens, with its value, if the request has one. */
  maxTokens?: { field: string; value: number };
  topLogprobs?: number;
  promptTokens: number;
  /** The field that holds the prompt. The error names it if the prompt alone fills the context. */
  promptField: 'messages' | 'prompt';
  /** Most new tokens of a choice that names no limit: what its API key may have. */
  mostByDefault?: number;
}

/** @throws BlockstitchError `context_length_exceeded`, `invalid_request` naming the field */
export function samplingParams(
  { body, maxTokens, topLogprobs, promptTokens, promptField, mostByDefault }: SamplingInput,
  model: ImportedModel,
  config: Config,
): SamplingParams {
  const { generation } = model;
  const { repetitionPenalty } = generation;
  return {
    maxTokens: newTokens(promptTokens, maxTokens, model.config.maxPositions, config, promptField, mostByDefault),
    // The least set of tokens is the likeliest one.
    temperature: body.top_p === 0 ? 0 : (body.temperature ?? generation.temperature ?? 1),
    topP: body.top_p || (generation.topP ?? 1),
    topK: Math.max(0, body.top_k ?? generation.topK ?? 0),
    minP: body.min_p ?? 0,
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    repetitionPenalty: body.repetition_penalty ?? repetitionPenalty ?? 1,
    ...(body.seed === undefined ? {} : { seed: body.seed }),
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
    ...(body.logit_bias === undefined ? {} : { logitBias: logitBias(body.logit_bias, model.config.vocabSize) }),
    stopTokenIds: [...(body.ignore_eos ? [] : model.config.eosTokenIds), ...(body.stop_token_ids ?? [])],
    ...(body.prompt_lookup === undefined ? {} : { promptLookup: body.prompt_lookup }),
  };
}

/**
 * What a choice gets that names no limit, if its API key has one of new tokens: an even share of a minute's.
 * @param choices of the request, over all its prompts
 */
export function shareOfKey(holder: KeyHolder | undefined, choices: number): { mostByDefault?: number } {
  const limit = holder?.limits.newTokensPerMinute;
  return limit === undefined ? {} : { mostByDefault: Math.floor(limit / choices) };
}

/** The stop strings of a request, checked against the limits. */
export function stopStrings(body: SamplingBody, config: Config): string[] {
  const stops = body.stop === undefined ? [] : [body.stop].flat();
  if (stops.length > config.maxStops) {
    throw invalid(
      'stop',
      `has ${stops.length} strings, more than the limit of ${config.maxStops} (${settingLabel('maxStops')})`,
    );
  }
  for (const stop of stops) {
    if (stop === '') throw invalid('stop', 'holds an empty string');
    if (stop.length > MAX_STOP_CHARACTERS)
      throw invalid('stop', `holds a string of more than ${MAX_STOP_CHARACTERS} characters`);
  }
  return stops;
}

/** `n`, checked against the limit. */
export function choiceCount(body: SamplingBody, config: Config): number {
  const count = body.n ?? 1;
  if (count > config.maxChoices) {
    throw invalid('n', `is ${count}, more than the limit of ${config.maxChoices} (${settingLabel('maxChoices')})`);
  }
  return count;
}

function newTokens(
  promptTokens: number,
  given: SamplingInput['maxTokens'],
  contextTokens: number,
  config: Config,
  promptField: string,
  mostByDefault = config.defaultTokens,
): number {
  const room = contextTokens - promptTokens;
  const byDefault = Math.min(config.defaultTokens, config.maxTokens, mostByDefault, room);
  const wanted = given?.value ?? Math.max(1, byDefault);
  if (wanted > room) {
    throw new BlockstitchError(
      'context_length_exceeded',
      { promptTokens, asked: given === undefined ? '' : ` and ${given.field} is ${given.value}`, contextTokens },
      { param: given && room > 0 ? given.field : promptField },
    );
  }
  if (wanted > config.maxTokens) {
    throw invalid(
      given?.field ?? 'max_tokens',
      `is ${wanted}, more than the limit of ${config.maxTokens} (${settingLabel('maxTokens')})`,
    );
  }
  return wanted;
}

function logitBias(given: Record<string, number>, vocabSize: number): Map<number, number> {
  const biases = new Map<number, number>();
  for (const [key, bias] of Object.entries(given)) {
    const tokenId = Number(key);
    if (!/^\d+$/.test(key) || tokenId >= vocabSize) {
      throw invalid('logit_bias', `names the token id ${JSON.stringify(key)}; ids go from 0 to ${vocabSize - 1}`);
    }
    biases.set(tokenId, bias);
    if (biases.size > MAX_LOGIT_BIASES) throw invalid('logit_bias', `names more than ${MAX_LOGIT_BIASES} tokens`);
  }
  return biases;
}

function invalid(param: string, reason: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason: `\`${param}\` ${reason}.` }, { param });
}
