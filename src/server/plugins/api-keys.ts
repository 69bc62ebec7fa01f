/**
 * Asks for an API key if the server has any, and sets the request's tenant: each key is a tenant of its own.
 * Keys are compared by digest, in constant time, and never logged. Guessing is slow: after too many wrong keys, an address
 * does not learn for a minute whether a key is right. Knows the Authorization header; every key may call every route.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { LRUCache } from 'lru-cache';
import { BlockstitchError } from '../../errors.js';
import { clientNetwork } from '../client-address.js';
import { ClientCounter } from '../client-counter.js';

export interface ApiKeysOptions {
  keys: readonly string[];
  /** Wrong keys of one address a minute; 0 sets no limit. */
  maxFailures: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Id of the tenant, made from its key; '' if the server has no keys. */
    tenant: string;
  }
}

/** Keys with the addresses that they came from lately: those go on when somebody else guesses from the same address. */
const MOST_FAMILIAR = 10_000;
const FAMILIAR_MS = 3_600_000;

export const apiKeys = fp<ApiKeysOptions>(
  (app: FastifyInstance, { keys, maxFailures }, done) => {
    app.decorateRequest('tenant', '');
    if (keys.length === 0) return done();
    const digests = keys.map(digest);
    const tenants = keys.map(tenantId);
    const failures = new ClientCounter();
    const familiar = new LRUCache<string, true>({ max: MOST_FAMILIAR, ttl: FAMILIAR_MS });
    app.addHook('onRequest', async (request, reply) => {
      const given = bearer(request);
      if (given === undefined) throw new BlockstitchError('authentication_failed');
      const known = indexOf(digest(given), digests);
      const address = clientNetwork(request.ip);
      const visitor = `${known} ${address}`;
      const { count, secondsLeft } = failures.read(address);
      const guesses = maxFailures > 0 && count >= maxFailures;
      if (known !== undefined && (!guesses || familiar.has(visitor))) {
        familiar.set(visitor, true);
        request.tenant = tenants[known] ?? '';
        return;
      }
      if (guesses) {
        reply.header('retry-after', secondsLeft);
        throw new BlockstitchError('rate_limited', { limit: maxFailures, what: 'wrong API keys' });
      }
      failures.add(address);
      throw new BlockstitchError('authentication_failed');
    });
    done();
  },
  { name: 'api-keys' },
);

/** The tenant of a key: a digest of the key's digest, so that a list of hashed keys names the same tenants. 32 hex digits. */
export function tenantId(key: string): string {
  return createHash('sha256')
    .update(`blockstitch tenant ${digest(key).toString('hex')}`)
    .digest('hex')
    .slice(0, 32);
}

/** Compares with every key, so that time does not tell which one matched. */
function indexOf(given: Buffer, digests: readonly Buffer[]): number | undefined {
  let found: number | undefined;
  for (const [index, expected] of digests.entries()) found = timingSafeEqual(given, expected) ? index : found;
  return found;
}

function bearer({ headers }: FastifyRequest): string | undefined {
  const [scheme, key, ...rest] = (headers.authorization ?? '').trim().split(/\s+/);
  return scheme?.toLowerCase() === 'bearer' && key && rest.length === 0 ? key : undefined;
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}
