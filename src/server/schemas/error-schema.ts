/** The error body on the wire and, for OpenAPI, the error responses of a route, both derived from src/errors.ts. */
import { type TSchema, Type } from '@fastify/type-provider-typebox';
import { ERRORS, type ErrorCode, type ErrorEntry } from '../../errors.js';
import { named, oneOf } from './named.js';

const TYPES = [...new Set(Object.values(ERRORS).map(({ type }) => type))];

export const ErrorDetailSchema = named(
  'ErrorDetail',
  Type.Object({
    message: Type.String(),
    type: named('ErrorType', oneOf(TYPES, { description: 'Class of the error, as OpenAI names it.' })),
    param: Type.Union([Type.String(), Type.Null()], { description: 'The field that is wrong, if there is one.' }),
    code: Type.String({ description: 'A code of the error table: match on this.' }),
    remedy: Type.String({ description: 'What to do about it.' }),
  }),
);

export const ErrorSchema = named(
  'ErrorResponse',
  Type.Object({ error: ErrorDetailSchema }, { description: 'Every error has this shape.' }),
);

/** Errors that any route under /v1 can answer with. */
const API_ERRORS: ErrorCode[] = [
  'invalid_request',
  'authentication_failed',
  'rate_limit_exceeded',
  'internal_error',
  'not_ready',
  'overloaded',
  'shutting_down',
];

/** Errors that any route with a JSON body can answer with besides. */
const BODY_ERRORS: ErrorCode[] = [
  'invalid_json',
  'invalid_utf8',
  'payload_too_large',
  'unsupported_media_type',
  'text_not_encodable',
];

/** Errors of routes that run the engine. */
const ENGINE_ERRORS: ErrorCode[] = ['queue_full', 'engine_failed', 'pool_too_small', 'deadline_exceeded'];

/** Statuses that come with Retry-After for some of their codes. */
const RETRIED = new Set([429, 503]);
const retryAfter = {
  'Retry-After': { type: 'integer', minimum: 0, description: 'Seconds after which to try again.' },
};
const shouldRetry = {
  'X-Should-Retry': {
    type: 'boolean',
    description: "Whether the same request may succeed later. OpenAI's clients obey it.",
  },
};

type ErrorGroup = 'body' | 'engine';

/** Of every route that reads a chat with its documents. */
export const CHAT_ERRORS = [
  'empty_input',
  'segmentation_invalid',
  'segmenter_unusable',
  'context_length_exceeded',
  'model_not_found',
  'document_not_found',
  'document_damaged',
  'store_failed',
] as const satisfies readonly ErrorCode[];

/**
 * OpenAPI responses for the errors of a route under /v1: by status, the codes in the description.
 *
 * @param groups what the route does: reads a JSON body, runs the engine
 * @param codes  errors of its own
 */
export function errorResponses(
  groups: readonly ErrorGroup[],
  codes: readonly ErrorCode[] = [],
): Record<number, TSchema> {
  const all = new Set([...API_ERRORS, ...codes]);
  if (groups.includes('body')) for (const code of BODY_ERRORS) all.add(code);
  if (groups.includes('engine')) for (const code of ENGINE_ERRORS) all.add(code);
  return responsesFor([...all]);
}

/** As `errorResponses`, for exactly the codes given (routes outside /v1). */
export function responsesFor(codes: readonly ErrorCode[]): Record<number, TSchema> {
  const byStatus = new Map<number, [ErrorCode, ...ErrorCode[]]>();
  for (const code of codes) {
    const { status } = ERRORS[code];
    // Nobody is there to read the answer.
    if (code === 'client_closed') continue;
    const sharing = byStatus.get(status);
    byStatus.set(status, sharing ? [...sharing, code] : [code]);
  }
  const responses: Record<number, TSchema> = {};
  for (const [status, sharing] of [...byStatus].sort(([a], [b]) => a - b)) {
    responses[status] = Type.Unsafe({
      description: sharing.map((code) => `\`${code}\``).join(', '),
      content: { 'application/json': { schema: ErrorSchema, example: errorExample(sharing[0]) } },
      headers: { ...shouldRetry, ...(RETRIED.has(status) ? retryAfter : {}) },
    });
  }
  return responses;
}

/** What an error looks like; what fills its message is left out. */
export function errorExample(code: ErrorCode) {
  const { type, message, outside, remedy }: ErrorEntry = ERRORS[code];
  const filled = (template: string) => template.replace(/\{\w+\}/g, '...');
  return { error: { message: filled(outside ?? message), type, param: null, code, remedy: filled(remedy) } };
}
