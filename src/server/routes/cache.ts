/** /v1/blocks/{hash} and /v1/cache: what is cached in which tier, and dropping it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { CacheTier, TierStatistics } from '../../cache/block-store.js';
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
import { json } from '../schemas/response-forms.js';

const tags = ['cache'];

const blockSchema = {
  operationId: 'getBlock',
  tags,
  summary: 'Which tiers hold a block',
  params: BlockHashSchema,
  response: { 200: json(BlockSchema, 'The block.'), ...errorResponses([], ['block_not_found', 'engine_failed']) },
};
const deleteBlockSchema = {
  ...blockSchema,
  operationId: 'deleteBlock',
  summary: 'Drop a block from every tier',
  description: 'A block that a running request uses leaves when that request ends.',
  response: { ...blockSchema.response, 200: json(BlockDeletedSchema, 'Dropped.') },
};
const cacheSchema = {
  operationId: 'getCache',
  tags,
  summary: 'Pool and tiers in numbers',
  response: { 200: json(CacheSchema, 'Counters since the start.'), ...errorResponses([], ['engine_failed']) },
};
const flushSchema = {
  operationId: 'flushCache',
  tags,
  summary: 'Drop every cached block, from all tiers or some',
  querystring: FlushQuerySchema,
  response: { 200: json(FlushedSchema, 'How many were dropped.'), ...errorResponses([], ['engine_failed']) },
};

export const cache: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.get('/v1/blocks/:hash', { schema: blockSchema }, async (request) => {
    const { hash } = request.params;
    const [found] = await lifecycle.services().engine.locate([hash]);
    if (!found || found.tiers.length === 0) throw new BlockstitchError('block_not_found', { hash }, { param: 'hash' });
    return { hash, object: 'block', tiers: found.tiers, tokens: found.tokens ?? null, bytes: found.bytes ?? null };
  });

  app.delete('/v1/blocks/:hash', { schema: deleteBlockSchema }, async (request) => {
    const { hash } = request.params;
    const dropped = await lifecycle.services().engine.evict([hash]);
    if (dropped === 0) throw new BlockstitchError('block_not_found', { hash }, { param: 'hash' });
    return { hash, object: 'block.deleted', deleted: true };
  });

  app.get('/v1/cache', { schema: cacheSchema }, async () => {
    return wireCache(await lifecycle.services().engine.statistics());
  });

  app.delete('/v1/cache', { schema: flushSchema }, async (request) => {
    const tiers = request.query.tiers?.split(',') as CacheTier[] | undefined;
    return { object: 'cache.flushed', blocks: await lifecycle.services().engine.evict(undefined, tiers) };
  });
};

function wireCache({ pool, repository, queriedTokens, hitTokens }: EngineStatistics) {
  const { store } = repository;
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
    tiers: [wireTier('host', repository.host), ...(store ? [wireTier(store.tier, store)] : [])],
    store: store ? { tier: store.tier, breaker: store.breaker, failures: store.failures } : null,
    queried_tokens: queriedTokens,
    hit_tokens: hitTokens,
  };
}

function wireTier(
  tier: CacheTier,
  { entries, bytes, hits, misses, corrupt, loadedBytes, loadSeconds }: TierStatistics,
) {
  return { tier, entries, bytes, hits, misses, corrupt, loaded_bytes: loadedBytes, load_seconds: loadSeconds };
}
