/**
 * Every error that Blockstitch reports: one table (code, HTTP status, OpenAI type, retryable, message, remedy).
 * Responses, OpenAPI, docs/api.md and metric labels all come from it; test/unit/server/reference.test.ts holds them equal.
 * Callers match on `error.code`, never on class. "No room", "no hit" and "store down" are return values, not errors.
 */

export interface ErrorEntry {
  status: number;
  /** The `type` field on the wire, as OpenAI's API names it. */
  type: 'invalid_request_error' | 'authentication_error' | 'not_found_error' | 'rate_limit_error' | 'server_error';
  retryable: boolean;
  /** `{name}` placeholders are filled from the details given. */
  message: string;
  /** What clients read in its place, where the details name hosts, paths or other parts of the server. The log has both. */
  outside?: string;
  remedy: string;
}

export const ERRORS = {
  invalid_json: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    message: '{what} is not valid JSON: {reason}.',
    remedy: 'Send a JSON object in UTF-8.',
  },
  invalid_utf8: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    message: '{what} is not valid UTF-8.',
    remedy: 'Encode it as UTF-8.',
  },
  invalid_request: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    message: '{reason}',
    remedy: 'Correct the field named in `param`.',
  },
  empty_input: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    message: '{what} is empty.',
    remedy: 'Send at least one character that is not white space.',
  },
  segmentation_invalid: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    message: 'Segmentation options contradict one another: {reason}',
    remedy: 'Keep min_tokens <= target_tokens <= max_tokens, or give granularity alone.',
  },
  context_length_exceeded: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    // Clients know the code, or OpenAI's opening words.
    message:
      "This model's maximum context length is {contextTokens} tokens. However, the prompt has {promptTokens} tokens{asked}.",
    remedy: 'Send fewer documents, or lower max_tokens.',
  },
  pool_too_small: {
    status: 400,
    type: 'invalid_request_error',
    retryable: false,
    message: 'The request needs {needed} KV pages, the pool has {pages}.',
    remedy: 'Send less, or ask the operator for a larger --kv-memory.',
  },
  authentication_failed: {
    status: 401,
    type: 'authentication_error',
    retryable: false,
    message: 'No valid API key was given.',
    remedy: 'Send Authorization: Bearer <key>.',
  },
  stored_bytes_exceeded: {
    status: 403,
    // Not 507: clients repeat what is 5xx, and a repeated request fails again.
    type: 'invalid_request_error',
    retryable: false,
    message: 'The stored blocks of this tenant have {stored}; {wanted} more pass the limit of {limit}.',
    remedy: 'DELETE documents that are not needed any more, or ask the operator for a larger limit.',
  },
  model_not_found: {
    status: 404,
    type: 'not_found_error',
    retryable: false,
    message: 'The model `{model}` is not served here.',
    remedy: 'GET /v1/models lists what is served.',
  },
  document_not_found: {
    status: 404,
    type: 'not_found_error',
    retryable: false,
    message: 'There is no document `{id}`.',
    remedy: 'POST /v1/documents first, or send the text itself.',
  },
  document_damaged: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The record of the document `{id}` is damaged: {reason}.',
    remedy: 'POST the document again, or DELETE it.',
  },
  block_not_found: {
    status: 404,
    type: 'not_found_error',
    retryable: false,
    message: 'No tier holds the block `{hash}`.',
    remedy: 'POST the document again; its blocks are computed anew.',
  },
  job_not_found: {
    status: 404,
    type: 'not_found_error',
    retryable: false,
    message: 'There is no job `{id}`.',
    remedy: 'Jobs are kept for a while after they end; GET /v1/documents shows what was ingested.',
  },
  route_not_found: {
    status: 404,
    type: 'not_found_error',
    retryable: false,
    message: 'There is no route {method} {path}.',
    remedy: 'GET /openapi.json lists the routes.',
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    retryable: false,
    message: '{method} is not allowed on {path}.',
    remedy: 'GET /openapi.json lists the methods of each route.',
  },
  cors_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    retryable: false,
    message: 'Pages of the origin {origin} may not call this server.',
    remedy: 'Start the server with --cors-origins and this origin.',
  },
  deleted_meanwhile: {
    status: 409,
    type: 'invalid_request_error',
    retryable: true,
    message: 'Blocks of the document were deleted again and again while it was ingested.',
    remedy: 'POST the document again; nothing was registered.',
  },
  payload_too_large: {
    status: 413,
    type: 'invalid_request_error',
    retryable: false,
    message: '{what} has {actual}, more than the limit of {limit}.',
    remedy: 'Send less; the limit is set by {setting}.',
  },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    retryable: false,
    message: '{given} is not supported here.',
    remedy: 'Send {accepted} to this route.',
  },
  text_not_encodable: {
    status: 422,
    type: 'invalid_request_error',
    retryable: false,
    message: '{what} cannot be tokenized: {reason}',
    remedy: 'Send well-formed Unicode text.',
  },
  queue_full: {
    status: 429,
    type: 'rate_limit_error',
    retryable: true,
    message: '{waiting} requests are waiting, the limit is {limit}.',
    remedy: 'Retry after the seconds given in Retry-After.',
  },
  rate_limit_exceeded: {
    status: 429,
    type: 'rate_limit_error',
    retryable: true,
    message: 'The limit of {limit} {what} is reached.',
    remedy: 'Retry after the seconds given in Retry-After.',
  },
  client_closed: {
    status: 499,
    type: 'invalid_request_error',
    retryable: false,
    message: 'The client went away.',
    remedy: 'Log only; nothing is sent.',
  },
  engine_failed: {
    status: 500,
    type: 'server_error',
    retryable: true,
    message: 'The engine failed: {reason}',
    outside: "The engine failed; the server's log says why.",
    remedy: 'Retry; if it stays, see the log.',
  },
  internal_error: {
    status: 500,
    type: 'server_error',
    retryable: true,
    message: 'Internal error.',
    remedy: 'See the log entry with this request id.',
  },
  overloaded: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The server is overloaded: {reason}',
    remedy: 'Retry after the seconds given in Retry-After.',
  },
  shutting_down: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The server is shutting down.',
    remedy: 'Retry on another replica.',
  },
  not_ready: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The server is not ready: {reason}',
    remedy: 'Wait until /ready answers 200.',
  },
  store_failed: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The store failed: {reason}',
    outside: "The store failed; the server's log says why.",
    remedy: 'Retry; nothing was acknowledged.',
  },
  store_damaged: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The store in {directory} is damaged: {reason}.',
    remedy:
      'Move the directory away, or delete it, and start again: blocks are computed anew, documents must be sent again.',
  },
  file_damaged: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: '{file} cannot be read to its end: {reason}.',
    remedy: 'Export it again. What stands in front of the damage is in the store, and stays there.',
  },
  deadline_exceeded: {
    status: 504,
    type: 'server_error',
    retryable: true,
    message: 'The deadline of {deadlineMs} ms passed.',
    remedy: 'Retry, or raise the deadline.',
  },
  checkpoint_invalid: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The checkpoint {path} cannot be used: {reason}',
    remedy:
      'Point --model at a complete Hugging Face directory or GGUF file of a supported family; --adapter, if it is named, at a PEFT LoRA directory.',
  },
  import_failed: {
    status: 500,
    type: 'server_error',
    retryable: true,
    message: 'The model could not be imported into {path}: {reason}',
    remedy:
      'Free space in the import cache or choose another one; what was done is kept and the import goes on from there.',
  },
  config_invalid: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The setting {setting} is invalid: {reason}',
    remedy: 'See blockstitch COMMAND --help.',
  },
  download_failed: {
    status: 500,
    type: 'server_error',
    retryable: true,
    message: 'The download of {repository} failed: {reason}',
    remedy: 'Run the same command again: it goes on where it stopped.',
  },
  segmenter_unusable: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The {what} in {path} cannot be used: {reason}',
    outside: "This segmenter cannot be used here; the server's log says why.",
    remedy:
      'Name another segmenter, or point --segmenter-dir at a trained segmenter, --sentence-encoder at an ONNX sentence encoder.',
  },
  native_unavailable: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The native kernels cannot be used: {reason}',
    remedy:
      'Run kernels/build.mjs of this installation with node (needs a C++17 compiler and CMake), then blockstitch doctor.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code of the table above. `details` fill the message; `param` names the offending field. */
export class BlockstitchError extends Error {
  override readonly name = 'BlockstitchError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, string | number>>;
  readonly param: string | undefined;
  /** What to do about it, for the response and the terminal. */
  readonly remedy: string;

  /** The message without words: a client's own may be among them. For logs. */
  get wordless(): string {
    const numbers = Object.entries(this.details).filter(([, detail]) => typeof detail === 'number');
    return ERRORS[this.code].message.replace(/\{(\w+)\}/g, (_, name: string) => {
      return String(numbers.find(([each]) => each === name)?.[1] ?? '...');
    });
  }

  /** The message for clients. */
  get outside(): string {
    const { outside }: ErrorEntry = ERRORS[this.code];
    return outside ?? this.message;
  }

  constructor(
    code: ErrorCode,
    details: Record<string, string | number> = {},
    options: { param?: string; cause?: unknown } = {},
  ) {
    const entry = ERRORS[code];
    super(fill(entry.message, details), options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.status = entry.status;
    this.retryable = entry.retryable;
    this.details = details;
    this.param = options.param;
    this.remedy = fill(entry.remedy, details);
  }

  /** The same error, told of another parameter: equal work is done once for several places in requests. */
  at(param: string): BlockstitchError {
    if (this.param === undefined || this.details.what !== this.param || this.param === param) return this;
    return new BlockstitchError(this.code, { ...this.details, what: param }, { param, cause: this });
  }
}

/** A client's words do not come back by the megabyte: longer ones are cut in messages. */
const MAX_DETAIL_CHARACTERS = 1000;

function fill(template: string, details: Record<string, string | number>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => shortened(String(details[name] ?? whole)));
}

function shortened(text: string): string {
  return text.length > MAX_DETAIL_CHARACTERS ? `${text.slice(0, MAX_DETAIL_CHARACTERS).toWellFormed()}...` : text;
}
