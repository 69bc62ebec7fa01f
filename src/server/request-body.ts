/**
 * Reads a request's body to its end, within a limit. All bodies share what one turn of the event loop takes: Node itself
 * would take up to 2 MB of each connection in each turn, and everything else would wait. Knows bytes, no JSON.
 */
import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { settingLabel } from '../config.js';
import { BlockstitchError } from '../errors.js';
import { formatBytes } from '../units.js';
import { LoopTurns } from './loop-turns.js';

/** Bytes that one turn takes of all bodies together. */
export const TURN_BYTES = 1024 * 1024;
/** A body that goes on brings about 64 KB before it can be stopped again. */
const RESUMED_PER_TURN = 16;
/** From here on, what is done with a body has a turn of its own. */
export const LARGE_BYTES = 1024 * 1024;

/** What all bodies of this process take in one turn. */
export class BodyPace {
  readonly #waiting: (() => void)[] = [];
  #takenBytes = 0;
  #turn: NodeJS.Immediate | undefined;

  /** Says that `bytes` have come. @returns when their body may go on: at once, or in its order in a later turn */
  taken(bytes: number): Promise<void> | undefined {
    this.#takenBytes += bytes;
    this.#turn ??= setImmediate(this.#nextTurn);
    if (this.#takenBytes < TURN_BYTES) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly #nextTurn = (): void => {
    this.#takenBytes = 0;
    for (const goOn of this.#waiting.splice(0, RESUMED_PER_TURN)) goOn();
    this.#turn = this.#waiting.length > 0 ? setImmediate(this.#nextTurn) : undefined;
  };
}

export const bodyPace = new BodyPace();
/** Where large bodies are joined and parsed. */
export const bodyTurns = new LoopTurns();

/**
 * @param payload the request's body; it is at its end afterwards, or flows on unread if it was refused: its sender gets the
 * answer, and Fastify closes the connection
 * @throws BlockstitchError `payload_too_large` for what is announced or has come, `invalid_request` if another length was
 * announced, `client_closed` if the rest will not come
 */
export async function readBody({ headers }: FastifyRequest, payload: Readable, maxBytes: number): Promise<Buffer> {
  const announced = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    if (announced !== undefined && announced > maxBytes) throw tooLarge(formatBytes(announced), maxBytes);
    for await (const chunk of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge('more bytes', maxBytes);
      chunks.push(chunk);
      await bodyPace.taken(chunk.length);
    }
  } catch (error) {
    if (!(error instanceof BlockstitchError)) throw new BlockstitchError('client_closed', {}, { cause: error });
    payload.resume();
    throw error;
  }
  if (announced !== undefined && announced !== bytes) {
    const reason = `The body has ${bytes} bytes, and Content-Length announced ${announced}.`;
    throw new BlockstitchError('invalid_request', { reason });
  }
  return bytes > LARGE_BYTES ? bodyTurns.run(() => Buffer.concat(chunks, bytes)) : Buffer.concat(chunks, bytes);
}

function tooLarge(actual: string, maxBytes: number): BlockstitchError {
  return new BlockstitchError('payload_too_large', {
    what: 'The body',
    actual,
    limit: formatBytes(maxBytes),
    setting: settingLabel('maxBodyBytes'),
  });
}
