/**
 * Ingesting one document: cut, prefill, store, register, in this order, so that what is registered is cached.
 * Knows the order and the identities; each step is a service's.
 */
import { createHash } from 'node:crypto';
import type { BlockReport } from '../engine/engine.js';
import { BlockstitchError } from '../errors.js';
import type { IngestBody } from '../server/schemas/document-schema.js';
import type { Services } from '../server/services.js';
import { checkDocumentText, segmentOptions } from './document-inputs.js';
import type { DocumentRecord } from './document-record.js';

const MAX_METADATA = 16;

export interface IngestProgress {
  signal: AbortSignal;
  total?(blocks: number): void;
  blockDone?(): void;
}

/** @throws BlockstitchError `empty_input`, `payload_too_large`, `invalid_request`: everything that can be told at once */
export function checkIngest(services: Services, body: IngestBody): void {
  checkDocumentText(body.text, 'text', services.config);
  if (Object.keys(body.metadata ?? {}).length > MAX_METADATA) {
    const reason = `\`metadata\` has more than ${MAX_METADATA} entries.`;
    throw new BlockstitchError('invalid_request', { reason }, { param: 'metadata' });
  }
}

/** The id of a document: the client's, or one made from salt, title and text, so that equal documents are one. */
export function documentId(body: IngestBody): string {
  if (body.id !== undefined) return body.id;
  const hash = createHash('sha256');
  for (const part of [body.cache_salt ?? '', body.title ?? '', body.text]) hash.update(`${part.length}:${part}`);
  return `doc-${hash.digest('hex').slice(0, 32)}`;
}

/**
 * Ingests a document; when it resolves, its blocks are cached and its record is durable.
 *
 * @returns the record, and where each block came from
 * @throws BlockstitchError what segmenting, the engine and the store throw; nothing is registered then
 */
export async function ingestDocument(
  services: Services,
  body: IngestBody,
  progress: IngestProgress,
): Promise<{ record: DocumentRecord; reports: BlockReport[] }> {
  const { engine, prompts, metrics } = services;
  const id = documentId(body);
  const salt = body.cache_salt === undefined ? {} : { cacheSalt: body.cache_salt };
  const title = body.title === undefined ? {} : { title: body.title };
  const segmentation = segmentOptions(body.segmentation);
  const context = { tenant: body.cache_salt ?? '', signal: progress.signal };
  const segments = await services.segment(body.text, segmentation, context);
  const blocks = await prompts.documentBlocks({ id, ...title, text: body.text, segments }, context);
  progress.total?.(blocks.length);
  const reports = await engine.ingest(
    blocks,
    {
      sinkTokenIds: prompts.sinkTokenIds,
      scope: { tenant: '', salt: body.cache_salt ?? '' },
      onBlock: (report) => {
        metrics.ingested(report.origin);
        progress.blockDone?.();
      },
    },
    progress.signal,
  );
  const record: DocumentRecord = {
    id,
    ...title,
    text: body.text,
    ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
    ...salt,
    segmentation,
    createdAt: Math.floor(Date.now() / 1000),
    segments: segments.map(({ start, end, tokens }) => ({ start, end, tokens })),
    blocks: reports.map((report, index) => {
      const { start = 0, end = body.text.length } = blocks[index]?.source ?? {};
      return { hash: report.key, tokens: report.tokens, start, end };
    }),
  };
  const replaced = await services.documents.get(id, body.cache_salt);
  await services.documents.put(record);
  await dropOrphans(services, replaced, record);
  return { record, reports };
}

/** Forgets a document and drops its blocks from every tier; another document with equal text has them computed anew. */
export async function forgetDocument(services: Services, id: string, cacheSalt: string | undefined): Promise<void> {
  const record = await services.documents.get(id, cacheSalt);
  if (!record || !(await services.documents.delete(id, cacheSalt))) {
    throw new BlockstitchError('document_not_found', { id }, { param: 'id' });
  }
  await services.cache.forget({ keys: record.blocks.map(({ hash }) => hash) });
}

async function dropOrphans(
  services: Services,
  before: DocumentRecord | undefined,
  after: DocumentRecord,
): Promise<void> {
  const kept = new Set(after.blocks.map(({ hash }) => hash));
  const orphans = (before?.blocks ?? []).map(({ hash }) => hash).filter((hash) => !kept.has(hash));
  if (orphans.length > 0) await services.cache.forget({ keys: orphans });
}
