/**
 * Reads request bodies: strict UTF-8, JSON only, bounds on depth and number of values, no lone surrogates, no `__proto__`.
 * Knows bytes and JSON; the schemas say which fields a body has. Fastify itself keeps to `bodyLimit`.
 */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';
import { JSON_LIMITS, measureJson } from '../json-measure.js';
import { LoopTurns } from '../loop-turns.js';

const LARGE_BYTES = 1024 * 1024;
const turns = new LoopTurns();

export const jsonBody = fp(
  (app: FastifyInstance, _options: object, done: () => void) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer' },
      async (request: FastifyRequest, body: unknown) => {
        const encoding = request.headers['content-encoding'] ?? 'identity';
        if (encoding !== 'identity') {
          const contentType = `application/json, encoded as ${encoding}`;
          throw new BlockstitchError('unsupported_media_type', { contentType });
        }
        const bytes = body as Buffer;
        // Many clients name a content type in every request, even without content.
        if (bytes.length === 0 && request.method === 'DELETE') return undefined;
        return readJson(bytes);
      },
    );
    done();
  },
  { name: 'json-body' },
);

/**
 * JSON from UTF-8, within the limits of every body.
 * @throws BlockstitchError `invalid_utf8`, `invalid_json`, `payload_too_large`, `text_not_encodable`
 */
export async function readJson(given: Buffer): Promise<unknown> {
  const bytes = withoutByteOrderMark(given);
  const piece: Piece = bytes.length > LARGE_BYTES ? (work) => turns.run(work) : (work) => work();
  return read(bytes, piece);
}

/** Some editors and tools put one in front of UTF-8. */
function withoutByteOrderMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Runs a piece of the work at once, or for megabytes in a turn of the event loop of its own. */
type Piece = <Result>(work: () => Result) => Result | Promise<Result>;

/** Works in pieces. The longest piece (JSON.parse) takes about a millisecond per megabyte. */
async function read(bytes: Buffer, piece: Piece): Promise<unknown> {
  if (bytes.length === 0) throw new BlockstitchError('invalid_json', { reason: 'it is empty' });
  await piece(() => {
    if (!isUtf8(bytes)) throw new BlockstitchError('invalid_utf8');
    refuseTooMuch(bytes);
  });
  // Both can only come from escapes or from these very words: most bodies are not walked at all.
  const mustBeWalked = await piece(() => WALKED.some((words) => bytes.includes(words)));
  const text = await piece(() => bytes.toString('utf8'));
  const value = await piece(() => parsed(text));
  if (mustBeWalked) await piece(() => refuseBadStrings(value, ''));
  return value;
}

/** Spellings without which a body has neither a lone surrogate nor a prototype. */
const WALKED = ['\\ud', '\\uD', '__proto__', 'constructor', '\\u00'];

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BlockstitchError('invalid_json', { reason: withoutQuote((error as Error).message) });
  }
}

function refuseTooMuch(bytes: Buffer): void {
  const { depth, values, numbers } = measureJson(bytes);
  if (depth > JSON_LIMITS.depth) {
    throw new BlockstitchError('invalid_json', { reason: `it is nested deeper than ${JSON_LIMITS.depth} levels` });
  }
  const tooMany = (actual: string, limit: number) =>
    new BlockstitchError('payload_too_large', { what: 'The body', actual, limit, setting: 'the server itself' });
  if (values > JSON_LIMITS.values) throw tooMany(`${values} JSON values`, JSON_LIMITS.values);
  if (numbers > JSON_LIMITS.numbers) throw tooMany(`${numbers} numbers in lists`, JSON_LIMITS.numbers);
}

/** @param path where `value` stands in the body, e.g. `messages[0].content` */
function refuseBadStrings(value: unknown, path: string): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw loneSurrogate(path || 'The body', path);
  } else if (Array.isArray(value)) {
    value.forEach((element, index) => {
      refuseBadStrings(element, `${path}[${index}]`);
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      if (!key.isWellFormed()) throw loneSurrogate('A field name', path);
      if (key === '__proto__' || (key === 'constructor' && hasPrototype(member))) {
        throw new BlockstitchError('invalid_json', { reason: `it has the forbidden field ${key}` });
      }
      refuseBadStrings(member, path === '' ? key : `${path}.${key}`);
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

/** What V8 says of malformed JSON, without the piece of the body that it quotes: this goes to the log. */
function withoutQuote(message: string): string {
  return message.replace(/,? (\.\.\.)?".*"(\.\.\.)? is not valid JSON$/s, ' is not expected there');
}
