/**
 * Asks for an API key where any is configured. Keys are compared by digest in constant time and never logged.
 * Knows the Authorization header; what a key may do is not its business (every key may do everything).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';

export interface ApiKeysOptions {
  keys: readonly string[];
}

export const apiKeys = fp<ApiKeysOptions>(
  (app: FastifyInstance, { keys }, done) => {
    const digests = keys.map(digest);
    if (digests.length > 0) {
      app.addHook('onRequest', async (request) => {
        if (!isKnown(request, digests)) throw new BlockstitchError('authentication_failed');
      });
    }
    done();
  },
  { name: 'api-keys' },
);

/** What a client is counted by: its key's digest, or its address where it sends none. */
export function clientIdentity(request: FastifyRequest): string {
  const key = bearer(request);
  return key === undefined ? `address:${request.ip}` : `key:${digest(key).toString('base64url')}`;
}

function isKnown(request: FastifyRequest, digests: readonly Buffer[]): boolean {
  const given = digest(bearer(request) ?? '');
  let known = false;
  for (const expected of digests) known = timingSafeEqual(given, expected) || known;
  return known;
}

function bearer(request: FastifyRequest): string | undefined {
  const [scheme, key, ...rest] = (request.headers.authorization ?? '').trim().split(/\s+/);
  return scheme?.toLowerCase() === 'bearer' && key && rest.length === 0 ? key : undefined;
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}
