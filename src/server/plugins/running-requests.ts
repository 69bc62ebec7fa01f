/**
 * Ties each API request to the server's lifecycle: refused while draining, aborted when its client goes away. A draining
 * server keeps no connection open behind an answer. Routes hand `request.clientSignal` to the engine.
 * Knows sockets and the lifecycle, no engine.
 */
import { setMaxListeners } from 'node:events';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';
import type { Lifecycle } from '../lifecycle.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborted when the client has gone or a drain has run out of time; its reason is a BlockstitchError. */
    clientSignal: AbortSignal;
  }
}

export const runningRequests = fp<{ lifecycle: Lifecycle }>(
  (app: FastifyInstance, { lifecycle }, done) => {
    app.decorateRequest('clientSignal');
    app.addHook('onRequest', async (request, reply) => {
      if (lifecycle.name === 'draining') throw new BlockstitchError('shutting_down');
      const { controller, end } = lifecycle.begin();
      request.clientSignal = controller.signal;
      // A request of many passages has many steps that wait for it at once; each takes its listener off.
      setMaxListeners(0, controller.signal);
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) controller.abort(new BlockstitchError('client_closed'));
        end();
      });
    });
    app.addHook('onSend', async (_request, reply) => {
      if (lifecycle.name === 'draining') reply.header('connection', 'close');
    });
    done();
  },
  { name: 'running-requests' },
);
