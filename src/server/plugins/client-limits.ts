/** Requests per minute of one API key (or address, where no key is sent): 429 `rate_limited` with Retry-After. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';
import { clientIdentity } from './api-keys.js';

export const clientLimits = fp<{ requestsPerMinute: number }>(
  async (app: FastifyInstance, { requestsPerMinute }) => {
    if (requestsPerMinute === 0) return;
    await app.register(rateLimit, {
      max: requestsPerMinute,
      timeWindow: 60_000,
      keyGenerator: clientIdentity,
      errorResponseBuilder: (_request, { max }) =>
        new BlockstitchError('rate_limited', { limit: max, window: 'a minute' }),
    });
  },
  { name: 'client-limits' },
);
