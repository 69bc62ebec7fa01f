/**
 * Limits the requests of one API key in a minute, or of one address if the server has no keys: 429 `rate_limited` with
 * Retry-After. It runs behind the key check, so a made-up key is never counted as a client.
 */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';
import { clientNetwork } from '../client-address.js';
import { ClientCounter } from '../client-counter.js';

export const clientLimits = fp<{ requestsPerMinute: number }>(
  (app: FastifyInstance, { requestsPerMinute: limit }, done) => {
    if (limit === 0) return done();
    const requests = new ClientCounter();
    app.addHook('onRequest', async (request, reply) => {
      const client = request.tenant === '' ? `address ${clientNetwork(request.ip)}` : `key ${request.tenant}`;
      const { count, secondsLeft } = requests.add(client);
      reply.headers({
        'x-ratelimit-limit': limit,
        'x-ratelimit-remaining': Math.max(0, limit - count),
        'x-ratelimit-reset': secondsLeft,
      });
      if (count <= limit) return;
      reply.header('retry-after', secondsLeft);
      throw new BlockstitchError('rate_limited', { limit, what: 'requests' });
    });
    done();
  },
  { name: 'client-limits', dependencies: ['api-keys'] },
);
