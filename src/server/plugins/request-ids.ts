/** Gives every request an id: the client's `x-request-id` if it is harmless, else a new one. The answer's header has it. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

/** For fastify's `genReqId`. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : `req-${randomUUID()}`;
}

export const requestIds = fp(
  (app: FastifyInstance, _options: object, done: () => void) => {
    app.addHook('onRequest', async (request, reply) => {
      reply.header('x-request-id', request.id);
    });
    done();
  },
  { name: 'request-ids' },
);
