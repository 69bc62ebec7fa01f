/**
 * One turn of the event loop takes at most about a megabyte of bodies, of all connections together. Node itself would take
 * up to 2 MB of each connection in each turn, and everything else would wait. Knows bytes and turns, not what bodies hold.
 */
import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

export const TURN_BYTES = 1024 * 1024;
/** A body that goes on brings about 64 KB before it can be stopped again. */
export const RESUMED_PER_TURN = 16;

export const bodyPace = fp(
  (app: FastifyInstance, _options: object, done: () => void) => {
    const pace = new BodyPace();
    // Without a promise: whoever reads the body must listen before its first bytes come.
    app.addHook('preParsing', ({ routeOptions }, _reply, payload, next) => {
      if (!routeOptions.config.streamsBody) pace.hold(payload as Readable);
      next(null, payload);
    });
    done();
  },
  { name: 'body-pace' },
);

/** What all bodies of a server may take in one turn. */
export class BodyPace {
  readonly #waiting: Readable[] = [];
  #takenBytes = 0;
  #turn: NodeJS.Immediate | undefined;

  /** Pauses `body` whenever this turn has taken its bytes, and lets it go on in its order in a later one. */
  hold(body: Readable): void {
    body.on('data', (chunk: Buffer) => {
      this.#takenBytes += chunk.length;
      this.#turn ??= setImmediate(this.#nextTurn);
      if (this.#takenBytes < TURN_BYTES) return;
      body.pause();
      this.#waiting.push(body);
    });
  }

  readonly #nextTurn = (): void => {
    this.#takenBytes = 0;
    for (const body of this.#waiting.splice(0, RESUMED_PER_TURN)) body.resume();
    this.#turn = this.#waiting.length > 0 ? setImmediate(this.#nextTurn) : undefined;
  };
}
