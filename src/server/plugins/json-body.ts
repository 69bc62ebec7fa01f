/**
 * Reads request bodies: strict UTF-8, JSON only, bounds on depth and number of values, no lone surrogates, no `__proto__`.
 * Knows bytes and JSON; the schemas say which fields a body has.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';
import { jsonFault } from '../json-fault.js';
import { JSON_LIMITS, measureJson } from '../json-measure.js';
import { bodyTurns, LARGE_BYTES, readBody } from '../request-body.js';

export const jsonBody = fp<{ maxBodyBytes: number }>(
  (app, { maxBodyBytes }, done) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
      refuseEncoded(request);
      const bytes = await readBody(request, payload, maxBodyBytes);
      // Many clients name a content type in every request, even without content.
      if (bytes.length === 0 && request.method === 'DELETE') return undefined;
      return readJson(bytes);
    });
    done();
  },
  { name: 'json-body' },
);

/** Bodies come as they are. @throws BlockstitchError `unsupported_media_type` if this one is compressed */
export function refuseEncoded(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return;
  const accepted = `uncompressed ${acceptedType(request)}`;
  throw new BlockstitchError('unsupported_media_type', { given: `A body encoded as ${encoding}`, accepted });
}

/** What the route of the request takes: what its schema tells OpenAPI, too. */
export function acceptedType({ routeOptions }: FastifyRequest): string {
  return routeOptions.schema?.consumes?.[0] ?? 'application/json';
}

/**
 * JSON from UTF-8, within the limits of every body.
 * @param what how messages name it
 * @throws BlockstitchError `invalid_utf8`, `invalid_json`, `payload_too_large`, `text_not_encodable`
 */
export async function readJson(given: Buffer, what = 'The body'): Promise<unknown> {
  const bytes = withoutByteOrderMark(given);
  const piece: Piece = bytes.length > LARGE_BYTES ? (work) => bodyTurns.run(work) : (work) => work();
  return read(bytes, what, piece);
}

/** Some editors and tools put one in front of UTF-8. */
function withoutByteOrderMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Runs a piece of the work at once, or for megabytes in a turn of the event loop of its own. */
type Piece = <Result>(work: () => Result) => Result | Promise<Result>;

/** Works in pieces. The longest piece (JSON.parse) takes about a millisecond per megabyte. */
async function read(bytes: Buffer, what: string, piece: Piece): Promise<unknown> {
  if (bytes.length === 0) throw new BlockstitchError('invalid_json', { what, reason: 'it is empty' });
  await piece(() => {
    if (!isUtf8(bytes)) throw new BlockstitchError('invalid_utf8', { what });
    refuseTooMuch(bytes, what);
  });
  // Both can only come from escapes or from these very words: most bodies are not walked at all.
  const mustBeWalked = await piece(() => WALKED.some((words) => bytes.includes(words)));
  const text = await piece(() => bytes.toString('utf8'));
  const value = await piece(() => parsed(text, what));
  if (mustBeWalked) await piece(() => refuseBadStrings(value, what, ''));
  return value;
}

/** Spellings without which a body has neither a lone surrogate nor a prototype. */
const WALKED = ['\\ud', '\\uD', '__proto__', 'constructor', '\\u00'];

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BlockstitchError('invalid_json', { what, reason: jsonFault((error as Error).message) });
  }
}

function refuseTooMuch(bytes: Buffer, what: string): void {
  const { depth, values, numbers } = measureJson(bytes);
  if (depth > JSON_LIMITS.depth) {
    throw new BlockstitchError('invalid_json', {
      what,
      reason: `it is nested deeper than ${JSON_LIMITS.depth} levels`,
    });
  }
  const tooMany = (actual: string, limit: number) =>
    new BlockstitchError('payload_too_large', { what, actual, limit, setting: 'the server itself' });
  if (values > JSON_LIMITS.values) throw tooMany(`${values} JSON values`, JSON_LIMITS.values);
  if (numbers > JSON_LIMITS.numbers) throw tooMany(`${numbers} numbers in lists`, JSON_LIMITS.numbers);
}

/** @param path where `value` stands in it, e.g. `messages[0].content` */
function refuseBadStrings(value: unknown, what: string, path: string): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw loneSurrogate(path || what, path);
  } else if (Array.isArray(value)) {
    value.forEach((element, index) => {
      refuseBadStrings(element, what, `${path}[${index}]`);
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      if (!key.isWellFormed()) throw loneSurrogate('A field name', path);
      if (key === '__proto__' || (key === 'constructor' && hasPrototype(member))) {
        throw new BlockstitchError('invalid_json', { what, reason: `it has the forbidden field ${key}` });
      }
      refuseBadStrings(member, what, path === '' ? key : `${path}.${key}`);
    }
  }
}

function loneSurrogate(what: string, param: string): BlockstitchError {
  const reason = 'it holds a lone surrogate (half of a UTF-16 pair).';
  return new BlockstitchError('text_not_encodable', { what, reason }, param === '' ? {} : { param });
}

function hasPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype');
}
