/**
 * Sets `request.scope`, a request's tenant and salt. Requests of one scope share cached blocks.
 * The salt comes from the body (`cache_salt`) or the header (`x-cache-salt`). It is a secret: it goes to no log and to no
 * URL that this server makes, and only its digest goes further than this file.
 * Knows the places of salts; api-keys.ts knows the tenant.
 */
import { createHash } from 'node:crypto';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { CacheScope } from '../../cache/tiers.js';
import { BlockstitchError } from '../../errors.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set once the request is validated. */
    scope: CacheScope;
  }
}

const MOST_CHARACTERS = 256;
const HEADER = 'x-cache-salt';

/** Tags of routes that answer by the salt. */
const SALTED = ['generate', 'documents'];
const headers = Type.Object({
  [HEADER]: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MOST_CHARACTERS,
      pattern: '^[\\x20-\\x7e]*$',
      description: 'The same as `cache_salt` in a body, in ASCII.',
    }),
  ),
});

export const tenants = fp(
  (app: FastifyInstance, _options: object, done: () => void) => {
    app.decorateRequest('scope');
    app.addHook('onRoute', (route) => {
      if (route.schema?.tags?.some((tag) => SALTED.includes(tag))) route.schema = { headers, ...route.schema };
    });
    app.addHook('preHandler', async (request) => {
      request.scope = scopeOf(request, request.body);
    });
    done();
  },
  { name: 'tenants', dependencies: ['api-keys'] },
);

/** @param body of the request, or one of its lines @throws BlockstitchError `invalid_request` if two places name different salts */
export function scopeOf(request: FastifyRequest, body: unknown): CacheScope {
  return { tenant: request.tenant, salt: hashed(saltOf(request, body)) };
}

function saltOf({ query, headers }: FastifyRequest, body: unknown): string {
  // The query is taken for one more version; see docs/api.md.
  const given = [field(body), headers[HEADER], field(query)].filter((salt) => salt !== undefined && salt !== null);
  const [salt = '', ...others] = given;
  if (typeof salt !== 'string' || (given.length > 0 && (salt === '' || salt.length > MOST_CHARACTERS))) {
    throw invalid(`must be a text of 1 to ${MOST_CHARACTERS} characters`);
  }
  if (others.some((other) => other !== salt)) throw invalid(`and the header \`${HEADER}\` name different salts`);
  return salt;
}

/** SHA-256 in hex; '' for no salt. */
function hashed(salt: string): string {
  return salt === '' ? '' : createHash('sha256').update(salt, 'utf8').digest('hex');
}

function field(part: unknown): unknown {
  return typeof part === 'object' && part !== null && 'cache_salt' in part ? part.cache_salt : undefined;
}

function invalid(reason: string): BlockstitchError {
  return new BlockstitchError('invalid_request', { reason: `\`cache_salt\` ${reason}.` }, { param: 'cache_salt' });
}
