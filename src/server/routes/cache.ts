/** /v1/blocks/{hash} and /v1/cache: show what is cached in which tier, and drop it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { tenantTag } from '../../cache/block-key.js';
import type { BlockSelection, CacheScope, CacheStatistics, TierStatistics } from '../../cache/tiers.js';
import type { EngineStatistics } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import type { Lifecycle } from '../lifecycle.js';
import {
  BlockDeletedSchema,
  BlockHashSchema,
  BlockSchema,
  CacheSchema,
  FlushedSchema,
  FlushQuerySchema,
} from '../schemas/cache-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { json } from '../schemas/response-forms.js';
import { tiersNamed, type WireTier, wireOrigin } from '../wire-tiers.js';

const tags = ['cache'];

const blockSchema = {
  operationId: 'getBlock',
  tags,
  summary: 'Which tiers hold a block',
  params: BlockHashSchema,
  response: {
    200: json(BlockSchema, 'The block.', examples.block),
    ...errorResponses([], ['block_not_found', 'store_failed']),
  },
};
const deleteBlockSchema = {
  ...blockSchema,
  operationId: 'deleteBlock',
  summary: 'Drop a block from every tier',
  description: 'A block that a running request uses leaves when that request ends.',
  response: { ...blockSchema.response, 200: json(BlockDeletedSchema, 'Dropped.', examples.blockDeleted) },
};
const cacheSchema = {
  operationId: 'getCache',
  tags,
  summary: 'Pool and tiers in numbers',
  response: {
    200: json(CacheSchema, 'Counters since the start.', examples.cacheStatistics),
    ...errorResponses([], ['engine_failed']),
  },
};
const flushSchema = {
  operationId: 'flushCache',
  tags,
  summary: 'Drop every cached block of the caller, from all tiers or some',
  description: 'With API keys: the blocks of that key. Without: every block.',
  querystring: FlushQuerySchema,
  response: {
    200: json(FlushedSchema, 'How many were dropped.', examples.cacheFlushed),
    ...errorResponses([], ['store_failed']),
  },
};

export const cache: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.get('/v1/blocks/:hash', { schema: blockSchema }, async (request) => {
    const { hash } = request.params;
    const { cache: blocks } = lifecycle.services();
    refuseOthers(hash, request.scope);
    const [found] = await blocks.find([hash]);
    if (!found || found.tiers.length === 0) throw new BlockstitchError('block_not_found', { hash }, { param: 'hash' });
    const tiers = found.tiers.map((tier) => wireOrigin(tier, blocks.brand));
    return { hash, object: 'block', tiers, tokens: found.tokens ?? null, bytes: found.bytes ?? null };
  });

  app.delete('/v1/blocks/:hash', { schema: deleteBlockSchema }, async (request) => {
    const { hash } = request.params;
    refuseOthers(hash, request.scope);
    const { blocks, failure } = await lifecycle.services().cache.forget({ keys: [hash] });
    if (failure !== undefined) throw new BlockstitchError('store_failed', { reason: failure });
    if (blocks === 0) throw new BlockstitchError('block_not_found', { hash }, { param: 'hash' });
    return { hash, object: 'block.deleted', deleted: true };
  });

  app.get('/v1/cache', { schema: cacheSchema }, async ({ scope }) => {
    const { engine, cache: blocks } = lifecycle.services();
    const usage = await blocks.usage(tenantTag(scope.tenant));
    const tenant = usage && { blocks: usage.entries, bytes: usage.bytes, limit: usage.limit ?? null };
    return { ...wireCache(engine.statistics(), await blocks.statistics()), tenant: tenant ?? null };
  });

  app.delete('/v1/cache', { schema: flushSchema }, async (request) => {
    const { cache: blocks } = lifecycle.services();
    const tiers = tiersNamed(request.query.tiers?.split(','), blocks.brand);
    const { blocks: dropped, failure } = await blocks.forget(everythingOf(request.scope), tiers);
    if (failure !== undefined) throw new BlockstitchError('store_failed', { reason: failure });
    return { object: 'cache.flushed', blocks: dropped };
  });
};

/** Another tenant's block looks like one that does not exist. @throws BlockstitchError `block_not_found` */
function refuseOthers(hash: string, { tenant }: CacheScope): void {
  if (!hash.startsWith(tenantTag(tenant))) throw new BlockstitchError('block_not_found', { hash }, { param: 'hash' });
}

/** A server without keys drops every block, also those of keys that it had before. */
function everythingOf({ tenant }: CacheScope): BlockSelection {
  return { prefix: tenant === '' ? '' : tenantTag(tenant) };
}

function wireCache({ pool, queriedTokens, hitTokens }: EngineStatistics, { host, store }: CacheStatistics) {
  return {
    object: 'cache',
    pool: {
      pages: pool.pages,
      free_pages: pool.freePages,
      cached_pages: pool.cachedPages,
      active_pages: pool.activePages,
      page_tokens: pool.pageTokens,
      page_bytes: pool.pageBytes,
      cached_blocks: pool.cachedBlocks,
    },
    tiers: [wireTier('host', host), ...(store ? [wireTier(store.brand, store)] : [])],
    store: store ? { tier: store.brand, breaker: store.breaker, failures: store.failures } : null,
    queried_tokens: queriedTokens,
    hit_tokens: {
      pool: hitTokens.pool,
      host: hitTokens.host,
      lmdb: store?.brand === 'lmdb' ? hitTokens.store : 0,
      redis: store?.brand === 'redis' ? hitTokens.store : 0,
    },
  };
}

function wireTier(tier: WireTier, { entries, bytes, hits, misses, corrupt, loadedBytes, loadSeconds }: TierStatistics) {
  return { tier, entries, bytes, hits, misses, corrupt, loaded_bytes: loadedBytes, load_seconds: loadSeconds };
}
