/**
 * Reads request bodies: strict UTF-8, JSON only, a bound on the number of values, no lone surrogates.
 * Knows bytes and JSON; which fields a body has is the schemas' business. Fastify itself keeps to `bodyLimit`.
 */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';

/** Values (array elements and members) in one body. Keeps parsing and validating under the event loop's bound. */
export const MAX_JSON_VALUES = 100_000;

export const jsonBody = fp(
  (app: FastifyInstance, _options: object, done: () => void) => {
    app.removeAllContentTypeParsers();
    const parse = app.getDefaultJsonParser('error', 'error');
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, next) => {
      try {
        const bytes = body as Buffer;
        if (!isUtf8(bytes)) throw new BlockstitchError('invalid_utf8');
        if (bytes.length > MAX_JSON_VALUES) refuseTooManyValues(bytes);
        parse(request, bytes.toString('utf8'), (error, value) => {
          if (error) return next(new BlockstitchError('invalid_json', { reason: oneLine(error.message) }), undefined);
          try {
            if (bytes.includes('\\ud') || bytes.includes('\\uD')) refuseLoneSurrogates(value, '');
            next(null, withoutNulls(value));
          } catch (refusal) {
            next(refusal as Error, undefined);
          }
        });
      } catch (refusal) {
        next(refusal as Error, undefined);
      }
    });
    done();
  },
  { name: 'json-body' },
);

/** Counts commas and opening brackets outside strings: every JSON value but the first follows one. */
function refuseTooManyValues(bytes: Buffer): void {
  let values = 1;
  let inString = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === 0x22) inString = !inString;
    else if (inString) {
      if (byte === 0x5c) index += 1;
    } else if (byte === 0x2c || byte === 0x5b || byte === 0x7b) {
      values += 1;
      if (values > MAX_JSON_VALUES) {
        throw new BlockstitchError('payload_too_large', {
          what: 'The body',
          actual: `more than ${MAX_JSON_VALUES} JSON values`,
          limit: MAX_JSON_VALUES,
          setting: 'the server itself',
        });
      }
    }
  }
}

/** @param path where `value` stands in the body, e.g. `messages[0].content` */
function refuseLoneSurrogates(value: unknown, path: string): void {
  if (typeof value === 'string') {
    if (/\p{Surrogate}/u.test(value)) {
      throw new BlockstitchError(
        'text_not_encodable',
        { what: path || 'The body', reason: 'it holds a lone surrogate (half of a UTF-16 pair).' },
        { param: path },
      );
    }
  } else if (Array.isArray(value)) {
    value.forEach((element, index) => {
      refuseLoneSurrogates(element, `${path}[${index}]`);
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      refuseLoneSurrogates(key, 'A field name');
      refuseLoneSurrogates(member, path === '' ? key : `${path}.${key}`);
    }
  }
}

/** Clients send `null` for "not given": top-level nulls are dropped before validation. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
}

function oneLine(message: string): string {
  const line = message.replace(/\s+/g, ' ');
  return line.length > 200 ? `${line.slice(0, 200)}...` : line;
}
