/**
 * Asks for an API key if the server has any, and sets the request's tenant: each key is a tenant of its own, unless its
 * entry names a shared one. Guessing is slow: after too many wrong keys, an address does not learn for a minute whether
 * a key is right. Knows the Authorization header; `keys/key-ring.ts` knows the keys. Every key may call every route.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { LRUCache } from 'lru-cache';
import { BlockstitchError } from '../../errors.js';
import { clientNetwork } from '../client-address.js';
import { ClientCounter } from '../client-counter.js';
import type { KeyHolder, KeyRing } from '../keys/key-ring.js';

export interface ApiKeysOptions {
  keys: Pick<KeyRing, 'asksForKeys' | 'find'>;
  /** Wrong keys of one address a minute; 0 sets no limit. */
  maxFailures: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Id of the tenant, made from its key; '' if the server has no keys. */
    tenant: string;
    /** Whose key it is; undefined if the server has no keys. */
    keyHolder: KeyHolder | undefined;
  }
}

/** Keys with the addresses that they came from lately: those go on when somebody else guesses from the same address. */
const MOST_FAMILIAR = 10_000;
const FAMILIAR_MS = 3_600_000;

export const apiKeys = fp<ApiKeysOptions>(
  (app: FastifyInstance, { keys, maxFailures }, done) => {
    app.decorateRequest('tenant', '');
    app.decorateRequest('keyHolder', undefined);
    if (!keys.asksForKeys) return done();
    const failures = new ClientCounter();
    const familiar = new LRUCache<string, true>({ max: MOST_FAMILIAR, ttl: FAMILIAR_MS });
    app.addHook('onRequest', async (request, reply) => {
      const given = bearer(request);
      if (given === undefined) throw new BlockstitchError('authentication_failed');
      const holder = keys.find(given);
      const address = clientNetwork(request.ip);
      const visitor = `${holder?.client} ${address}`;
      const { count, secondsLeft } = failures.read(address);
      const guesses = maxFailures > 0 && count >= maxFailures;
      if (holder !== undefined && (!guesses || familiar.has(visitor))) {
        familiar.set(visitor, true);
        request.keyHolder = holder;
        request.tenant = holder.tenant;
        return;
      }
      if (guesses) {
        reply.header('retry-after', secondsLeft);
        throw new BlockstitchError('rate_limit_exceeded', { limit: maxFailures, what: 'wrong API keys a minute' });
      }
      failures.add(address);
      throw new BlockstitchError('authentication_failed');
    });
    done();
  },
  { name: 'api-keys' },
);

function bearer({ headers }: FastifyRequest): string | undefined {
  const [scheme, key, ...rest] = (headers.authorization ?? '').trim().split(/\s+/);
  return scheme?.toLowerCase() === 'bearer' && key && rest.length === 0 ? key : undefined;
}
