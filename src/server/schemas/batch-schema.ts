/** /v1/document-batch on the wire: lines of NDJSON in both directions. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { ErrorDetailSchema } from './error-schema.js';
import { named, oneOf } from './named.js';

export const DocumentLinesSchema = Type.String({
  description:
    'One JSON object per line, each a `DocumentRequest`. With `background: true` its result names the job that was accepted. ' +
    'Blank lines are left out.',
});

export const DocumentResultSchema = named(
  'DocumentResult',
  Type.Object({
    line: Type.Integer({ description: 'Of the body, from 1. 0 if the body itself broke off.' }),
    status: named(
      'DocumentResultStatus',
      oneOf(['done', 'accepted', 'failed'], {
        description: '`done`: every block is cached and stored. `accepted`: the job goes on after a restart.',
      }),
    ),
    id: Type.Optional(Type.String({ description: 'Of the document.' })),
    tokens: Type.Optional(Type.Integer({ description: 'Of all its blocks.' })),
    computed_tokens: Type.Optional(Type.Integer({ description: 'Those that were prefilled now.' })),
    block_count: Type.Optional(Type.Integer()),
    job_id: Type.Optional(Type.String({ description: 'GET /v1/jobs/{id}.' })),
    error: Type.Optional(ErrorDetailSchema),
  }),
);
export type DocumentResult = Static<typeof DocumentResultSchema>;
