/**
 * Lets pages of the origins in `--cors-origins` call the API from a browser. It answers preflight requests before keys are
 * checked, because browsers send none with them. Without the setting no header of CORS is sent.
 */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

/** Headers of answers that pages may read. */
const EXPOSED = [
  'x-request-id',
  'retry-after',
  'x-should-retry',
  'x-blockstitch-cached-tokens',
  'x-blockstitch-blocks-hit',
  'x-blockstitch-ttft-ms',
  ...['requests', 'tokens', 'prompt-tokens', 'new-tokens'].flatMap((kind) =>
    ['limit', 'remaining', 'reset'].map((fact) => `x-ratelimit-${fact}-${kind}`),
  ),
];
/** Browsers ask again after this time. */
const PREFLIGHT_SECONDS = 600;

export const crossOrigin = fp<{ origins: readonly string[] }>(
  async (app: FastifyInstance, { origins }) => {
    if (origins.length === 0) return;
    await app.register(cors, {
      origin: origins.includes('*') ? '*' : [...origins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      exposedHeaders: EXPOSED,
      maxAge: PREFLIGHT_SECONDS,
    });
  },
  { name: 'cross-origin' },
);
