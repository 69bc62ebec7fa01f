/** /v1/blocks, /v1/cache, /v1/models, /health and /ready on the wire. */
import { Type } from '@fastify/type-provider-typebox';
import { SETTINGS } from '../../config.js';
import { mapOf, named, oneOf, stringOrNull, usedAs } from './named.js';
import { AttentionModeSchema } from './sampling-schema.js';

export const TierNameSchema = named('TierName', oneOf(['pool', 'host', 'lmdb', 'redis']));

export const BlockHashSchema = Type.Object({
  hash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Lower-case hex SHA-256.' }),
});

export const BlockSchema = named(
  'Block',
  Type.Object({
    hash: Type.String(),
    object: Type.Literal('block'),
    tiers: Type.Array(TierNameSchema, { description: 'Nearest first.' }),
    tokens: Type.Union([Type.Integer(), Type.Null()]),
    bytes: Type.Union([Type.Integer(), Type.Null()]),
  }),
);

export const BlockDeletedSchema = named(
  'BlockDeleted',
  Type.Object({
    hash: Type.String(),
    object: Type.Literal('block.deleted'),
    deleted: Type.Boolean(),
  }),
);

const TierSchema = named(
  'TierStatistics',
  Type.Object({
    tier: TierNameSchema,
    entries: Type.Integer({ description: 'Blocks in it.' }),
    bytes: Type.Integer({ description: 'Their size.' }),
    hits: Type.Integer({ description: 'Look-ups that found a block.' }),
    misses: Type.Integer({ description: 'Look-ups that did not.' }),
    corrupt: Type.Integer({ description: 'Values that failed a check.' }),
    loaded_bytes: Type.Integer({ description: 'Read from it.' }),
    load_seconds: Type.Number({ description: 'Spent reading.' }),
  }),
);

const PoolSchema = named(
  'PoolStatistics',
  Type.Object({
    pages: Type.Integer(),
    free_pages: Type.Integer(),
    cached_pages: Type.Integer({ description: 'Pages that hold cached blocks.' }),
    active_pages: Type.Integer({ description: 'Pages that running requests hold.' }),
    page_tokens: Type.Integer(),
    page_bytes: Type.Integer(),
    cached_blocks: Type.Integer(),
  }),
);

const StoreSchema = named(
  'StoreStatistics',
  Type.Object({
    tier: TierNameSchema,
    breaker: named('BreakerState', oneOf(['closed', 'open', 'half-open'])),
    failures: Type.Integer(),
  }),
);

const TenantUsageSchema = named(
  'TenantUsage',
  Type.Object({
    blocks: Type.Integer(),
    bytes: Type.Integer(),
    limit: Type.Union([Type.Integer(), Type.Null()], { description: 'Most bytes that the tenant may have there.' }),
  }),
);

export const CacheSchema = named(
  'CacheStatistics',
  Type.Object({
    object: Type.Literal('cache'),
    pool: PoolSchema,
    tiers: Type.Array(TierSchema),
    store: Type.Union([StoreSchema, Type.Null()]),
    tenant: Type.Union([TenantUsageSchema, Type.Null()], {
      description: "The caller's blocks in the store; null if it does not say. In Redis up to ten seconds old.",
    }),
    queried_tokens: Type.Integer({ description: 'Prompt tokens that were looked up.' }),
    hit_tokens: mapOf(Type.Integer(), { description: 'By tier.' }),
  }),
);

/** Closed: a misspelt parameter must not empty every tier. */
export const FlushQuerySchema = Type.Object(
  {
    tiers: Type.Optional(
      Type.String({
        pattern: '^(pool|host|lmdb|redis)(,(pool|host|lmdb|redis))*$',
        description: 'Separated by commas; all tiers if absent.',
      }),
    ),
  },
  { additionalProperties: false },
);
export const FlushedSchema = named(
  'CacheFlushed',
  Type.Object({ object: Type.Literal('cache.flushed'), blocks: Type.Integer() }),
);

export const ModelSchema = named(
  'Model',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('model'),
    created: Type.Integer(),
    owned_by: Type.String(),
    root: Type.String({ description: 'Name of its checkpoint, or of the adapter that is merged into it.' }),
    parent: stringOrNull({ description: 'With an adapter: name of the checkpoint that it is merged into.' }),
    max_model_len: Type.Integer({ description: 'Context, tokens.' }),
    blockstitch: named(
      'ModelDetails',
      Type.Object({
        family: Type.String(),
        weights: named('WeightFormat', oneOf(SETTINGS.weights.choices)),
        fingerprint: Type.String(),
        attention: usedAs(AttentionModeSchema, 'Of requests that name none.'),
        repair: Type.Number({ description: 'Share of the cached tokens that such requests compute again in context.' }),
        kv_dtype: named('KvType', oneOf(SETTINGS.kvDtype.choices)),
        sink_token_ids: Type.Array(Type.Integer(), { description: 'Tokens in front of every prompt.' }),
        block_start_token_ids: Type.Array(Type.Integer(), { description: 'Learned tokens in front of every block.' }),
        block_end_token_ids: Type.Array(Type.Integer(), { description: 'Learned tokens behind every block.' }),
      }),
    ),
  }),
);
export const ModelListSchema = named(
  'ModelList',
  Type.Object({ object: Type.Literal('list'), data: Type.Array(ModelSchema) }),
);

export const HealthSchema = named('Health', Type.Object({ status: Type.Literal('ok') }));
const StoreStateSchema = named(
  'StoreState',
  oneOf(['ok', 'failing'], {
    description:
      'failing: the store cannot be reached, or its calls fail. Requests go on by computing; documents by id may be refused',
  }),
);
export const ReadySchema = named(
  'Ready',
  Type.Object({ status: Type.Literal('ready'), model: Type.String(), store: StoreStateSchema }),
);
