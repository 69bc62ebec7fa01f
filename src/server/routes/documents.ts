/** /v1/documents: ingest, read, list and delete documents. Background ingestions are jobs: routes/jobs.ts. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import { MAX_ID_BYTES } from '../../documents/document-limits.js';
import type { DocumentRecord, PrefillCost } from '../../documents/document-record.js';
import type { NewDocument } from '../../documents/ingest-document.js';
import { BlockstitchError } from '../../errors.js';
import { segmentOptions } from '../generation/segment-options.js';
import type { Lifecycle } from '../lifecycle.js';
import {
  DeletedSchema,
  DocumentListSchema,
  DocumentQuerySchema,
  DocumentSchema,
  type IngestBody,
  IngestBodySchema,
  JobSchema,
  ListQuerySchema,
  SaltQuerySchema,
} from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import * as examples from '../schemas/examples.js';
import { body, json } from '../schemas/response-forms.js';
import type { Services } from '../services.js';
import { wireOrigin } from '../wire-tiers.js';
import { wireJob } from './jobs.js';

const DEFAULT_PAGE = 20;
const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: MAX_ID_BYTES }) });
const tags = ['documents'];
const location = { Location: { type: 'string', description: 'Path of the job.' } };

/** Where to go on from the answer to an ingestion. */
const ofBodyId = { parameters: { id: '$response.body#/id' } };
const blockHash = { parameters: { hash: '$response.body#/blocks/0/hash' } };
const links = {
  200: {
    getDocument: { operationId: 'getDocument', ...ofBodyId },
    deleteDocument: { operationId: 'deleteDocument', ...ofBodyId },
    getBlock: { operationId: 'getBlock', ...blockHash },
    deleteBlock: { operationId: 'deleteBlock', ...blockHash },
  },
  202: {
    getJob: { operationId: 'getJob', ...ofBodyId },
    watchJob: { operationId: 'watchJob', ...ofBodyId },
    cancelJob: { operationId: 'cancelJob', ...ofBodyId },
  },
};

const ingestSchema = {
  operationId: 'createDocument',
  tags,
  summary: 'Cut a document into blocks, compute and store their KV',
  body: body(IngestBodySchema, examples.documentRequest),
  response: {
    200: json(DocumentSchema, 'Every block is cached and stored.', examples.document),
    202: json(
      JobSchema,
      'With `background: true`: the job that does it. It goes on after a restart of the server.',
      examples.job,
      location,
    ),
    ...errorResponses(
      ['body', 'engine'],
      [
        'empty_input',
        'segmentation_invalid',
        'segmenter_unusable',
        'stored_bytes_exceeded',
        'deleted_meanwhile',
        'store_failed',
        'client_closed',
      ],
    ),
  },
};
const listSchema = {
  operationId: 'listDocuments',
  tags,
  summary: 'List documents',
  querystring: ListQuerySchema,
  response: {
    200: json(DocumentListSchema, 'One page, without texts and blocks.', examples.documentList),
    ...errorResponses([], ['store_failed']),
  },
};
const getSchema = {
  operationId: 'getDocument',
  tags,
  summary: 'One document with its text',
  params,
  querystring: DocumentQuerySchema,
  response: {
    200: json(DocumentSchema, 'The document.', examples.document),
    ...errorResponses([], ['document_not_found', 'document_damaged', 'store_failed']),
  },
};
const deleteSchema = {
  operationId: 'deleteDocument',
  tags,
  summary: 'Drop a document and its blocks from every tier',
  description:
    'Blocks go first, then the document. After 503 `store_failed` the document is still there: the same call goes on. ' +
    'It waits for an ingestion of the same id that this server accepted before. Another replica keeps its copies in pool ' +
    'and host memory until they leave by age.',
  params,
  querystring: SaltQuerySchema,
  response: {
    200: json(
      DeletedSchema,
      'The document is gone, and so are its blocks in this server and in the store.',
      examples.documentDeleted,
    ),
    ...errorResponses([], ['document_not_found', 'store_failed', 'client_closed']),
  },
};

export const documents: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/documents', { schema: ingestSchema, links }, async (request, reply) => {
    const { documents, config, cache } = lifecycle.services();
    const { body, scope } = request;
    const document = newDocument(body);
    if (body.background) {
      const job = await documents.start(scope, document);
      return reply.code(202).header('location', `/v1/jobs/${job.id}`).send(wireJob(job));
    }
    const { record, reports } = await inTime(config.deadlineMs, request.clientSignal, (signal) =>
      documents.ingest(scope, document, { signal }),
    );
    return wireDocument(record, cache, { origins: reports.map(({ origin }) => wireOrigin(origin, cache.brand)) });
  });

  app.get('/v1/documents', { schema: listSchema }, async (request) => {
    const { limit = DEFAULT_PAGE, after } = request.query;
    const { documents, cache } = lifecycle.services();
    const page = await documents.list(request.scope, { limit, ...(after === undefined ? {} : { after }) });
    const data = page.records.map((record) => wireDocument(record, cache, { withBlocks: false }));
    return { object: 'list', data, damaged: page.damaged, has_more: page.hasMore, last_id: page.lastId ?? null };
  });

  app.get('/v1/documents/:id', { schema: getSchema }, async (request) => {
    const { documents, cache } = lifecycle.services();
    const record = await documents.get(request.scope, request.params.id);
    return wireDocument(record, cache, { withText: request.query.include_text !== false });
  });

  app.delete('/v1/documents/:id', { schema: deleteSchema }, async (request) => {
    const { id } = request.params;
    await lifecycle.services().documents.forget(request.scope, id, request.clientSignal);
    return { id, object: 'document.deleted', deleted: true };
  });
};

/** A document as it came over the wire. */
export function newDocument({ id, title, text, metadata, segmentation }: IngestBody): NewDocument {
  return {
    ...(id === undefined ? {} : { id }),
    ...(title === undefined ? {} : { title }),
    text,
    ...(metadata === undefined ? {} : { metadata }),
    segmentation: segmentOptions(segmentation),
  };
}

/** @throws the client's reason if it leaves first; BlockstitchError `deadline_exceeded` if the time is over */
export async function inTime<T>(
  deadlineMs: number,
  client: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = deadlineMs === 0 ? undefined : AbortSignal.timeout(deadlineMs);
  try {
    return await work(deadline ? AbortSignal.any([client, deadline]) : client);
  } catch (error) {
    if (client.aborted) throw client.reason;
    if (deadline?.aborted) throw new BlockstitchError('deadline_exceeded', { deadlineMs }, { cause: error });
    throw error;
  }
}

interface WireExtras {
  withText?: boolean;
  withBlocks?: boolean;
  origins?: readonly string[];
}

/** Bytes of a document's blocks in a store, equal ones once. */
function storedBytes({ blocks }: DocumentRecord, cache: Pick<Services['cache'], 'bytesOf'>): number {
  let bytes = 0;
  for (const tokens of new Map(blocks.map(({ hash, tokens }) => [hash, tokens])).values())
    bytes += cache.bytesOf(tokens);
  return bytes;
}

function wireCost({ blocks, tokens, ms }: PrefillCost) {
  return { blocks, tokens, seconds: ms / 1000 };
}

function wireDocument(
  record: DocumentRecord,
  cache: Pick<Services['cache'], 'bytesOf'>,
  { withText = false, withBlocks = true, origins }: WireExtras = {},
) {
  const blocks = record.blocks.map((block, index) => {
    const origin = origins?.[index];
    return origin === undefined ? block : { ...block, origin };
  });
  return {
    id: record.id,
    object: 'document',
    created_at: record.createdAt,
    ...(record.title === undefined ? {} : { title: record.title }),
    ...(withText ? { text: record.text } : {}),
    ...(record.metadata === undefined ? {} : { metadata: record.metadata }),
    characters: record.text.length,
    tokens: record.blocks.reduce((sum, { tokens }) => sum + tokens, 0),
    bytes: storedBytes(record, cache),
    ...(record.cost === undefined ? {} : { prefilled: wireCost(record.cost) }),
    block_count: blocks.length,
    ...(withBlocks ? { blocks } : {}),
  };
}
