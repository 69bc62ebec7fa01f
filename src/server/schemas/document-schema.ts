/** /v1/documents, /v1/jobs and /v1/segment on the wire. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { MAX_ID_BYTES } from '../../documents/document-limits.js';
import { TierNameSchema } from './cache-schema.js';
import { mapOf, named, oneOf, usedAs } from './named.js';
import { CacheSaltSchema, SegmentationSchema } from './sampling-schema.js';
import { BlockOriginSchema } from './usage-schema.js';

export const IngestBodySchema = named(
  'DocumentRequest',
  Type.Object({
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_ID_BYTES,
        pattern: '^[^\\x00-\\x1f\\x7f/?#]+$',
        description:
          `At most ${MAX_ID_BYTES} bytes of UTF-8, neither "." nor "..". An id made from the content where absent. An ` +
          'existing document is replaced.',
      }),
    ),
    title: Type.Optional(
      Type.String({ maxLength: 1024, description: 'Placed before the text, as part of its first block.' }),
    ),
    text: Type.String({ description: 'The document itself. Not only white space.' }),
    metadata: Type.Optional(
      mapOf(Type.String({ maxLength: 512 }), {
        propertyNames: { maxLength: 64 },
        maxProperties: 16,
        description: 'Returned as it was given; at most 16 entries.',
      }),
    ),
    segmentation: Type.Optional(SegmentationSchema),
    cache_salt: Type.Optional(CacheSaltSchema),
    background: Type.Optional(
      Type.Boolean({
        description: '`true`: answer 202 with a job at once. `false`: answer when every block is stored.',
      }),
    ),
  }),
);
export type IngestBody = Static<typeof IngestBodySchema>;

const DocumentBlockSchema = named(
  'DocumentBlock',
  Type.Object({
    hash: Type.String({ description: 'The block key: GET /v1/blocks/{hash}.' }),
    tokens: Type.Integer(),
    start: Type.Integer({ description: 'UTF-16 offset in the text.' }),
    end: Type.Integer(),
    origin: Type.Optional(usedAs(BlockOriginSchema, 'Only in the answer to POST.')),
  }),
);

const DocumentCostSchema = named(
  'DocumentCost',
  Type.Object(
    {
      blocks: Type.Integer(),
      tokens: Type.Integer(),
      seconds: Type.Number({ description: 'Of engine steps, by the share that these tokens had in them.' }),
    },
    {
      description:
        'What was computed for this id since it was registered first, replacements included. Blocks that were found ' +
        'cached cost nothing. Absent for documents that older versions ingested.',
    },
  ),
);

export const DocumentSchema = named(
  'Document',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('document'),
    created_at: Type.Integer({ description: 'Unix time, seconds.' }),
    title: Type.Optional(Type.String()),
    text: Type.Optional(Type.String({ description: 'Only in GET /v1/documents/{id}.' })),
    metadata: Type.Optional(mapOf(Type.String())),
    characters: Type.Integer({ description: 'UTF-16 units.' }),
    tokens: Type.Integer({ description: 'Of all its blocks.' }),
    bytes: Type.Integer({ description: 'KV of its blocks in a store. Documents of a tenant share equal blocks.' }),
    prefilled: Type.Optional(DocumentCostSchema),
    block_count: Type.Integer({ description: 'Blocks that the text was cut into.' }),
    blocks: Type.Optional(Type.Array(DocumentBlockSchema, { description: 'Not in GET /v1/documents.' })),
  }),
);

export const DocumentListSchema = named(
  'DocumentList',
  Type.Object({
    object: Type.Literal('list'),
    data: Type.Array(DocumentSchema),
    damaged: Type.Array(Type.String(), {
      description: 'Ids on this page whose records are damaged: POST them again, or DELETE them.',
    }),
    has_more: Type.Boolean({ description: 'Whether ids follow behind `last_id`.' }),
    last_id: Type.Union([Type.String(), Type.Null()], {
      description: 'The last id that was read. Give it as `after` for the next page.',
    }),
  }),
);

export const DeletedSchema = named(
  'DocumentDeleted',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('document.deleted'),
    deleted: Type.Boolean(),
  }),
);

export const JobErrorSchema = named('JobError', Type.Object({ message: Type.String(), code: Type.String() }));
export const JobSchema = named(
  'Job',
  Type.Object({
    id: Type.String(),
    object: Type.Literal('job'),
    status: named(
      'JobStatus',
      oneOf(['running', 'done', 'failed', 'cancelled'], {
        description: '`running` until it has ended, also while it waits.',
      }),
    ),
    document_id: Type.String({ description: 'The id under which it will be found.' }),
    created_at: Type.Integer({ description: 'Unix time, seconds.' }),
    blocks_done: Type.Integer({ description: 'Blocks that are cached and stored.' }),
    blocks_total: Type.Integer({ description: '0 until the text has been segmented.' }),
    error: Type.Union([JobErrorSchema, Type.Null()]),
  }),
);

export const SegmentBodySchema = named(
  'SegmentRequest',
  Type.Object({
    text: Type.String({ description: 'Not only white space.' }),
    title: Type.Optional(
      Type.String({ maxLength: 1024, description: 'With `include_cache`: the title that the document will have.' }),
    ),
    segmentation: Type.Optional(SegmentationSchema),
    include_text: Type.Optional(Type.Boolean({ description: "Repeat each block's text in the answer." })),
    include_cache: Type.Optional(
      Type.Boolean({ description: "Give each block's key as a document of a chat, and the tiers that hold it now." }),
    ),
  }),
);

export const SegmentAnswerSchema = named(
  'SegmentList',
  Type.Object({
    object: Type.Literal('list'),
    characters: Type.Integer(),
    tokens: Type.Integer(),
    data: Type.Array(
      named(
        'Segment',
        Type.Object({
          start: Type.Integer({ description: 'UTF-16 offset; the blocks cover the text exactly once.' }),
          end: Type.Integer(),
          tokens: Type.Integer(),
          boundary_score: Type.Number({ description: 'Strength of the boundary at `end`, 0 to 1.' }),
          seam: Type.Optional(
            Type.Literal(true, {
              description: 'Present where two passages of a prompt were joined, or a passage and the rest.',
            }),
          ),
          text: Type.Optional(Type.String()),
          hash: Type.Optional(
            Type.Union([Type.String(), Type.Null()], {
              description:
                'The block key: GET /v1/blocks/{hash}. `null` if the block has no tokens: it is left out of prompts.',
            }),
          ),
          tiers: Type.Optional(Type.Array(TierNameSchema, { description: 'Nearest first; empty = a miss.' })),
        }),
      ),
    ),
  }),
);

/** URLs end up in logs: the header is the place for it. Taken for one more version. */
const SaltInQuery = Type.String({
  minLength: 1,
  maxLength: 256,
  deprecated: true,
  description: 'Deprecated: send the header. The header `x-cache-salt` may not name another one.',
});
export const SaltQuerySchema = Type.Object({ cache_salt: Type.Optional(SaltInQuery) });
export const DocumentQuerySchema = Type.Object({
  include_text: Type.Optional(Type.Boolean({ description: '`false` leaves the text out.' })),
  cache_salt: Type.Optional(SaltInQuery),
});
export const ListQuerySchema = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: '20 where absent.' })),
  after: Type.Optional(Type.String({ maxLength: MAX_ID_BYTES, description: 'Only documents after this id.' })),
  cache_salt: Type.Optional(SaltInQuery),
});
