/**
 * Refuses by name the request fields that other servers know, that change what an answer means, and that are not
 * supported here. Fields that are neither here nor in the schema are ignored, as OpenAI-compatible servers do.
 */
import { BlockstitchError } from '../../errors.js';

type Body = Record<string, unknown>;
type Kind = 'chat' | 'completion';

/** Each returns true for a value that this server cannot honour. */
const UNSUPPORTED: Record<string, (value: unknown, body: Body, kind: Kind) => boolean> = {
  tools: (value, _body, kind) => kind === 'completion' && (!Array.isArray(value) || value.length > 0),
  tool_choice: (value, _body, kind) => kind === 'completion' && value !== 'none' && value !== 'auto',
  functions: (value) => !Array.isArray(value) || value.length > 0,
  function_call: (value) => value !== 'none' && value !== 'auto',
  modalities: (value) => !Array.isArray(value) || value.some((modality) => modality !== 'text'),
  audio: () => true,
  prediction: (_value, _body, kind) => kind === 'completion',
  web_search_options: () => true,
  suffix: (value) => value !== '',
  echo: (value) => value !== false,
  best_of: (value, body) => value !== (body.n ?? 1),
  min_tokens: (value) => value !== 0,
  prompt_logprobs: (value) => value !== 0 && value !== false,
  use_beam_search: (value) => value !== false,
  length_penalty: (value) => value !== 1,
  // vLLM's.
  max_completion_tokens: (_value, _body, kind) => kind === 'completion',
  include_stop_str_in_output: (value) => value !== false,
  skip_special_tokens: (value) => value !== true,
  add_special_tokens: (value, _body, kind) => value !== (kind === 'completion'),
  bad_words: (value) => !Array.isArray(value) || value.length > 0,
  allowed_token_ids: () => true,
  truncate_prompt_tokens: () => true,
  return_tokens_as_token_ids: (value) => value !== false,
  chat_template: () => true,
  guided_whitespace_pattern: () => true,
  logits_processors: (value) => !Array.isArray(value) || value.length > 0,
  // llama.cpp's and TGI's.
  grammar: () => true,
  json_schema: () => true,
  regex: () => true,
  n_predict: () => true,
  max_new_tokens: () => true,
  repeat_penalty: (value) => value !== 1,
  typical_p: (value) => value !== 1,
  top_a: (value) => value !== 0,
  mirostat: (value) => value !== 0,
  dry_multiplier: (value) => value !== 0,
  xtc_probability: (value) => value !== 0,
};

/** Of /v1/responses besides: whatever needs state or a model that reasons, and what only a chat may say. */
const UNSUPPORTED_OF_RESPONSES: typeof UNSUPPORTED = {
  n: (value) => value !== 1,
  previous_response_id: () => true,
  conversation: () => true,
  prompt: () => true,
  background: (value) => value !== false,
  include: (value) => !Array.isArray(value) || value.length > 0,
  reasoning: (value) => JSON.stringify(value) !== '{}',
  truncation: (value) => value !== 'disabled',
  top_logprobs: (value) => value !== 0,
  max_tool_calls: () => true,
  // A chat's. Some have another name here, see `NAMES_OF_RESPONSES`.
  messages: () => true,
  max_tokens: () => true,
  max_completion_tokens: () => true,
  response_format: (value) => JSON.stringify(value) !== '{"type":"text"}',
  structured_outputs: () => true,
  guided_json: () => true,
  guided_regex: () => true,
  guided_choice: () => true,
  guided_grammar: () => true,
  stop: (value) => !isEmpty(value),
  stop_token_ids: (value) => !isEmpty(value),
  ignore_eos: (value) => value !== false,
  top_k: (value) => value !== 0 && value !== -1,
  min_p: (value) => value !== 0,
  presence_penalty: (value) => value !== 0,
  frequency_penalty: (value) => value !== 0,
  repetition_penalty: (value) => value !== 1,
  logit_bias: (value) => !isEmpty(value),
  logprobs: (value) => value !== false,
  prediction: () => true,
  chat_template_kwargs: (value) => !isEmpty(value),
  add_generation_prompt: (value) => value !== true,
  continue_final_message: (value) => value !== false,
};

/** Fields of a chat that /v1/responses has under another name. */
const NAMES_OF_RESPONSES: Readonly<Record<string, string>> = {
  messages: 'input',
  max_tokens: 'max_output_tokens',
  max_completion_tokens: 'max_output_tokens',
  response_format: 'text.format',
};

/** @throws BlockstitchError `invalid_request` naming the first field that cannot be honoured */
export function refuseUnsupportedFields(body: Body, kind: Kind): void {
  refuse(body, UNSUPPORTED, kind, 'this server');
}

/** The same for /v1/responses, before it is read as a chat. */
export function refuseResponseFields(body: Body): void {
  refuse(body, { ...UNSUPPORTED, ...UNSUPPORTED_OF_RESPONSES }, 'chat', '/v1/responses', NAMES_OF_RESPONSES);
}

function refuse(
  body: Body,
  unsupported: typeof UNSUPPORTED,
  kind: Kind,
  where: string,
  names: Readonly<Record<string, string>> = {},
): void {
  for (const [field, asksForMore] of Object.entries(unsupported)) {
    const value = body[field];
    if (value === undefined || value === null || !asksForMore(value, body, kind)) continue;
    const name = names[field];
    const reason =
      name === undefined
        ? `\`${field}\` is not supported by ${where}.`
        : `\`${field}\` is no field of ${where}: send \`${name}\`.`;
    throw new BlockstitchError('invalid_request', { reason }, { param: field });
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
