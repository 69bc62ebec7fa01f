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
  prediction: () => true,
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

/** Of /v1/responses: whatever needs state or a model that reasons. */
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
};

/** @throws BlockstitchError `invalid_request` naming the first field that cannot be honoured */
export function refuseUnsupportedFields(body: Body, kind: Kind): void {
  refuse(body, UNSUPPORTED, kind);
}

/** The same for /v1/responses, before it is read as a chat. */
export function refuseResponseFields(body: Body): void {
  refuse(body, UNSUPPORTED_OF_RESPONSES, 'chat');
}

function refuse(body: Body, unsupported: typeof UNSUPPORTED, kind: Kind): void {
  for (const [field, asksForMore] of Object.entries(unsupported)) {
    const value = body[field];
    if (value !== undefined && value !== null && asksForMore(value, body, kind)) {
      throw new BlockstitchError(
        'invalid_request',
        { reason: `\`${field}\` is not supported by this server.` },
        { param: field },
      );
    }
  }
}
