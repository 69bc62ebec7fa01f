/**
 * The edge where errors become responses: one translation, to OpenAI's shape plus `remedy`.
 * Knows src/errors.ts and what fastify throws; the rooms throw BlockstitchError and never see HTTP.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError, ERRORS, type ErrorCode } from '../../errors.js';
import { withoutSecrets } from '../logged-request.js';
import { describeValidation } from '../validation-message.js';
import { acceptedType } from './json-body.js';

export interface ErrorHandlerOptions {
  /** Called once per error response, for the metrics. */
  onError?: (error: BlockstitchError) => void;
}

/** Seconds after which a client may try again, by what went wrong. */
const RETRY_AFTER_SECONDS = {
  queue_full: 1,
  rate_limit_exceeded: 1,
  overloaded: 2,
  shutting_down: 5,
  not_ready: 5,
} as const;

export const errorHandler = fp<ErrorHandlerOptions>(
  (app: FastifyInstance, options, done) => {
    const routes = new Map<string, RoutePattern>();
    app.addHook('onRoute', (route) => rememberRoute(routes, route));
    app.setErrorHandler((thrown: FastifyError, request, reply) => {
      // Its method or its body may be refused before anybody asks whether there is a route.
      const error = request.is404 ? missingRoute(request, reply, routes) : translate(thrown, request);
      options.onError?.(error);
      logError(error, thrown, request);
      return sendError(reply, error);
    });
    app.setNotFoundHandler((request, reply) => {
      const error = missingRoute(request, reply, routes);
      options.onError?.(error);
      return sendError(reply, error);
    });
    done();
  },
  { name: 'error-handler' },
);

/** The body of an error response; also the payload of an error inside an event stream. */
export function errorBody(error: BlockstitchError) {
  const { outside, param, code, remedy } = error;
  return { error: { message: outside, type: ERRORS[code].type, param: param ?? null, code, remedy } };
}

/** Turns whatever was thrown into an error of the table. Only the log gets the text of an unknown error. */
export function translate(thrown: unknown, request: FastifyRequest): BlockstitchError {
  if (thrown instanceof BlockstitchError) return thrown;
  const error = thrown as Partial<FastifyError>;
  if (error.validation) {
    const { reason, param } = describeValidation(error.validation, error.validationContext);
    return new BlockstitchError('invalid_request', { reason }, param === undefined ? {} : { param });
  }
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const accepted = acceptedType(request);
    return new BlockstitchError('unsupported_media_type', { given: givenType(request), accepted });
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new BlockstitchError('invalid_request', { reason: error.message ?? 'The request is malformed.' });
  }
  return new BlockstitchError('internal_error', {}, { cause: thrown });
}

/** For fastify's `frameworkErrors`: URLs that cannot be decoded and the like. No route sees them. */
export function answerFrameworkError(thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const reason = withoutSecrets(thrown.message);
  sendError(reply, new BlockstitchError('invalid_request', { reason }));
  request.log.info({ code: thrown.code }, reason);
}

/** Answers bytes that are not a request: malformed HTTP, headers that are too long or too slow. */
export function answerBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const reason = `The HTTP request is malformed (${error.code ?? 'unknown'}).`;
  const body = JSON.stringify(errorBody(new BlockstitchError('invalid_request', { reason })));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function givenType({ headers }: FastifyRequest): string {
  const type = headers['content-type'];
  return type === undefined || type === '' ? 'A body without a content type' : `The content type \`${type}\``;
}

function sendError(reply: FastifyReply, error: BlockstitchError): FastifyReply {
  if (error.code in RETRY_AFTER_SECONDS && !reply.hasHeader('retry-after')) {
    reply.header('retry-after', RETRY_AFTER_SECONDS[error.code as keyof typeof RETRY_AFTER_SECONDS]);
  }
  // OpenAI's clients obey this before they look at the status.
  reply.header('x-should-retry', String(error.retryable));
  return reply.code(error.status).type('application/json; charset=utf-8').send(errorBody(error));
}

/** 405 if another method has a route at this path, else 404. */
function missingRoute(request: FastifyRequest, reply: FastifyReply, routes: ReadonlyMap<string, RoutePattern>) {
  const path = request.url.split('?', 1)[0] ?? '/';
  const allowed = [...routes.values()].find(({ pattern }) => pattern.test(path))?.methods;
  if (!allowed) return new BlockstitchError('route_not_found', { method: request.method, path });
  reply.header('allow', [...allowed].sort().join(', '));
  if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
    return new BlockstitchError('cors_not_allowed', { origin: request.headers.origin ?? 'unknown' });
  }
  return new BlockstitchError('method_not_allowed', { method: request.method, path });
}

interface RoutePattern {
  pattern: RegExp;
  methods: Set<string>;
}

function rememberRoute(routes: Map<string, RoutePattern>, { url, method }: RouteOptions): void {
  if (url.includes('*')) return;
  const source = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[^\w-]/g, '\\$&')));
  const known = routes.get(url) ?? { pattern: new RegExp(`^${source.join('/')}$`), methods: new Set<string>() };
  for (const name of [method].flat()) known.methods.add(name);
  routes.set(url, known);
}

/**
 * Errors of a server that is well: a client has left, or polls while the model loads. A damaged document has its own line
 * in the log, once.
 */
const USUAL: readonly ErrorCode[] = ['client_closed', 'not_ready', 'shutting_down', 'document_damaged'];

/** Too much was asked of a server that is well. A stack would say nothing. */
const TOO_MUCH: readonly ErrorCode[] = ['overloaded', 'deadline_exceeded'];

/**
 * One line per error. Usual errors are not warnings. The message of a refusal may repeat what the client sent, and so may
 * the names of fields within fields: the log has neither.
 */
export function logError(error: BlockstitchError, thrown: unknown, request: FastifyRequest): void {
  if (error.code === 'not_ready') request.log.info({ code: error.code }, error.message);
  else if (USUAL.includes(error.code)) request.log.info({ code: error.code }, error.wordless);
  else if (TOO_MUCH.includes(error.code)) request.log.warn({ code: error.code }, error.message);
  else if (error.status >= 500 && !error.retryable) request.log.error({ err: thrown, code: error.code }, error.message);
  else if (error.status >= 500) request.log.warn({ err: error.cause ?? thrown, code: error.code }, error.message);
  else request.log.info({ code: error.code, param: /^[\w-]+(\[\d+\])?/.exec(error.param ?? '')?.[0] }, error.wordless);
}
