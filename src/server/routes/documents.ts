/** /v1/documents: ingest, read, list and delete documents; /v1/jobs: ingestions that run in the background. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@fastify/type-provider-typebox';
import type { DocumentRecord } from '../../documents/document-record.js';
import { checkIngest, documentId, forgetDocument, ingestDocument } from '../../documents/ingest-document.js';
import type { BlockReport } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import type { Lifecycle } from '../lifecycle.js';
import {
  DeletedSchema,
  DocumentListSchema,
  DocumentSchema,
  IngestBodySchema,
  JobSchema,
  ListQuerySchema,
  SaltQuerySchema,
} from '../schemas/document-schema.js';
import { errorResponses } from '../schemas/error-schema.js';
import { json } from '../schemas/response-forms.js';
import type { Services } from '../services.js';
import { wireJob } from './jobs.js';

const DEFAULT_PAGE = 20;
const params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 256 }) });
const tags = ['documents'];

const ingestSchema = {
  operationId: 'createDocument',
  tags,
  summary: 'Cut a document into blocks, compute and store their KV',
  body: IngestBodySchema,
  response: {
    200: json(DocumentSchema, 'Every block is cached and stored.'),
    202: json(JobSchema, 'With `background: true`: the job that does it.'),
    ...errorResponses(['body', 'engine'], ['empty_input', 'segmentation_invalid', 'store_failed', 'client_closed']),
  },
};
const listSchema = {
  operationId: 'listDocuments',
  tags,
  summary: 'List documents',
  querystring: ListQuerySchema,
  response: {
    200: json(DocumentListSchema, 'One page, without texts and blocks.'),
    ...errorResponses([], ['store_failed']),
  },
};
const getSchema = {
  operationId: 'getDocument',
  tags,
  summary: 'One document with its text',
  params,
  querystring: SaltQuerySchema,
  response: {
    200: json(DocumentSchema, 'The document.'),
    ...errorResponses([], ['document_not_found', 'store_failed']),
  },
};
const deleteSchema = {
  ...getSchema,
  operationId: 'deleteDocument',
  summary: 'Forget a document and drop its blocks from every tier',
  response: { ...getSchema.response, 200: json(DeletedSchema, 'Deleted.') },
};

export const documents: FastifyPluginAsyncTypebox<{ lifecycle: Lifecycle }> = async (app, { lifecycle }) => {
  app.post('/v1/documents', { schema: ingestSchema }, async (request, reply) => {
    const services = lifecycle.services();
    const { body } = request;
    checkIngest(services, body);
    if (body.background) {
      const { config, jobs } = services;
      if (jobs.running > config.maxQueue) {
        throw new BlockstitchError('queue_full', { waiting: jobs.running, limit: config.maxQueue });
      }
      const job = jobs.start(documentId(body), (progress) => ingestDocument(services, body, progress));
      return reply.code(202).header('location', `/v1/jobs/${job.id}`).send(wireJob(job));
    }
    const { record, reports } = await ingestInTime(services, body, request.clientSignal);
    return wireDocument(record, { reports });
  });

  app.get('/v1/documents', { schema: listSchema }, async (request) => {
    const { limit = DEFAULT_PAGE, after, cache_salt: cacheSalt } = request.query;
    const { records, hasMore } = await lifecycle.services().documents.list({
      limit,
      ...(after === undefined ? {} : { after }),
      ...(cacheSalt === undefined ? {} : { cacheSalt }),
    });
    const data = records.map((record) => wireDocument(record, { withBlocks: false }));
    return { object: 'list', data, has_more: hasMore, last_id: records.at(-1)?.id ?? null };
  });

  app.get('/v1/documents/:id', { schema: getSchema }, async (request) => {
    const { id } = request.params;
    const record = await lifecycle.services().documents.get(id, request.query.cache_salt);
    if (!record) throw new BlockstitchError('document_not_found', { id }, { param: 'id' });
    return wireDocument(record, { withText: true });
  });

  app.delete('/v1/documents/:id', { schema: deleteSchema }, async (request) => {
    const { id } = request.params;
    await forgetDocument(lifecycle.services(), id, request.query.cache_salt);
    return { id, object: 'document.deleted', deleted: true };
  });
};

async function ingestInTime(services: Services, body: Parameters<typeof ingestDocument>[1], client: AbortSignal) {
  const { deadlineMs } = services.config;
  const deadline = deadlineMs === 0 ? undefined : AbortSignal.timeout(deadlineMs);
  try {
    return await ingestDocument(services, body, { signal: deadline ? AbortSignal.any([client, deadline]) : client });
  } catch (error) {
    if (client.aborted) throw client.reason;
    if (deadline?.aborted) throw new BlockstitchError('deadline_exceeded', { deadlineMs }, { cause: error });
    throw error;
  }
}

interface WireExtras {
  withText?: boolean;
  withBlocks?: boolean;
  reports?: readonly BlockReport[];
}

function wireDocument(record: DocumentRecord, { withText = false, withBlocks = true, reports }: WireExtras = {}) {
  const blocks = record.blocks.map((block, index) => {
    const origin = reports?.[index]?.origin;
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
    block_count: blocks.length,
    ...(withBlocks ? { blocks } : {}),
  };
}
