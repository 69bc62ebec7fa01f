/**
 * From the documents of a request, given by id or as text, to documents cut into segments.
 * Knows limits, the registry and the segmenter; what a prompt makes of a document is src/prompt's business.
 */
import { type Config, settingLabel } from '../config.js';
import { BlockstitchError } from '../errors.js';
import type { SegmentContext, SegmentOptions } from '../segment/segmenter.js';
import type { DocumentInput } from '../server/schemas/chat-schema.js';
import type { SegmentationBody } from '../server/schemas/sampling-schema.js';
import type { PromptDocument, Services } from '../server/services.js';
import { QueuePlace } from '../text/text-threads.js';
import { formatBytes } from '../units.js';

/** Documents of one request that are cut at the same time; all of them have one place in the queue. */
const SIDE_BY_SIDE = 4;

/** The wire's names to the segmenter's. */
export function segmentOptions(body: SegmentationBody | undefined): SegmentOptions {
  return {
    ...(body?.segmenter === undefined ? {} : { segmenter: body.segmenter }),
    ...(body?.target_tokens === undefined ? {} : { targetTokens: body.target_tokens }),
    ...(body?.min_tokens === undefined ? {} : { minTokens: body.min_tokens }),
    ...(body?.max_tokens === undefined ? {} : { maxTokens: body.max_tokens }),
    ...(body?.granularity === undefined ? {} : { granularity: body.granularity }),
  };
}

/**
 * Resolves and segments a request's documents, some side by side. Stops at the one with which they no longer fit the
 * context.
 *
 * @param cacheSalt the tenant, whose documents these are and for whom what is made of them is remembered
 * @param signal the client's; its reason is thrown when it aborts
 * @throws BlockstitchError `payload_too_large`, `empty_input`, `document_not_found`, `invalid_request`, `segmentation_invalid`,
 *   `context_exceeded`, `queue_full`
 */
export async function promptDocuments(
  services: Services,
  inputs: readonly DocumentInput[],
  segmentation: SegmentationBody | undefined,
  cacheSalt: string | undefined,
  signal: AbortSignal,
): Promise<PromptDocument[]> {
  const { config } = services;
  checkDocumentCount(inputs.length, 'documents', config);
  inputs.forEach((input, index) => {
    checkForm(input, `documents[${index}]`, config);
  });
  const documents: PromptDocument[] = [];
  const place = new QueuePlace();
  const ended = new AbortController();
  const context = { tenant: cacheSalt ?? '', signal: AbortSignal.any([signal, ended.signal]), place };
  let tokens = 0;
  const cut = (input: DocumentInput, index: number) => {
    const path = `documents[${index}]`;
    return input.text === undefined
      ? registeredDocument(services, input, segmentation, cacheSalt, { ...context, param: `${path}.id` })
      : sentDocument(services, input, input.text, segmentation, { ...context, param: `${path}.text` });
  };
  try {
    for await (const { document, tokens: added } of inOrder(inputs, cut, SIDE_BY_SIDE)) {
      documents.push(document);
      tokens += added;
      if (tokens > services.model.config.maxPositions) throw overContext(tokens, services, documents.length - 1);
      signal.throwIfAborted();
    }
    return documents;
  } finally {
    // Whatever is still being cut is no longer wanted.
    ended.abort();
    place.leave();
  }
}

/** Results in the order of the items, of which `atOnce` are worked on at the same time. */
async function* inOrder<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
  atOnce: number,
): AsyncGenerator<Result> {
  const begun: Promise<Result>[] = [];
  for (let at = 0; at < items.length; at += 1) {
    for (let next = begun.length; next < Math.min(items.length, at + atOnce); next += 1) {
      const result = work(items[next] as Item, next);
      // Its turn comes later, or never.
      result.catch(() => undefined);
      begun.push(result);
    }
    yield await (begun[at] as Promise<Result>);
  }
}

/**
 * @param param the field that holds them
 * @throws BlockstitchError `payload_too_large`
 */
export function checkDocumentCount(count: number, param: 'documents' | 'blocks', config: Config): void {
  if (count <= config.maxDocuments) return;
  throw new BlockstitchError(
    'payload_too_large',
    {
      what: 'The request',
      actual: `${count} ${param}`,
      limit: config.maxDocuments,
      setting: settingLabel('maxDocuments'),
    },
    { param },
  );
}

/** @throws BlockstitchError `empty_input`, `payload_too_large` */
export function checkDocumentText(text: string, what: string, config: Config): void {
  if (!/\S/.test(text)) throw new BlockstitchError('empty_input', { what }, { param: what });
  const bytes = Buffer.byteLength(text);
  if (bytes > config.maxDocumentBytes) {
    throw new BlockstitchError(
      'payload_too_large',
      {
        what,
        actual: formatBytes(bytes),
        limit: formatBytes(config.maxDocumentBytes),
        setting: settingLabel('maxDocumentBytes'),
      },
      { param: what },
    );
  }
}

function checkForm(input: DocumentInput, path: string, config: Config): void {
  if ((input.id === undefined) === (input.text === undefined)) {
    throw new BlockstitchError(
      'invalid_request',
      { reason: `\`${path}\` must have either \`id\` or \`text\`.` },
      { param: path },
    );
  }
  if (input.text !== undefined) checkDocumentText(input.text, `${path}.text`, config);
}

interface CutDocument {
  document: PromptDocument;
  /** Of its segments; what the template adds is not counted. */
  tokens: number;
}

async function sentDocument(
  services: Services,
  { title }: DocumentInput,
  text: string,
  segmentation: SegmentationBody | undefined,
  context: SegmentContext,
): Promise<CutDocument> {
  const segments = await services.segment(text, segmentOptions(segmentation), context);
  return { document: { ...(title === undefined ? {} : { title }), text, segments }, tokens: tokensOf(segments) };
}

async function registeredDocument(
  services: Services,
  { id = '' }: DocumentInput,
  segmentation: SegmentationBody | undefined,
  cacheSalt: string | undefined,
  context: SegmentContext & { param: string },
): Promise<CutDocument> {
  const record = await services.documents.get(id, cacheSalt);
  if (!record) throw new BlockstitchError('document_not_found', { id }, { param: context.param });
  const segments =
    segmentation === undefined
      ? record.segments
      : await services.segment(record.text, segmentOptions(segmentation), context);
  const title = record.title === undefined ? {} : { title: record.title };
  return { document: { id, ...title, text: record.text, segments }, tokens: tokensOf(segments) };
}

function tokensOf(segments: readonly { tokens: number }[]): number {
  return segments.reduce((sum, { tokens }) => sum + tokens, 0);
}

function overContext(promptTokens: number, { model }: Services, index: number): BlockstitchError {
  const details = { promptTokens, maxTokens: 1, contextTokens: model.config.maxPositions };
  return new BlockstitchError('context_exceeded', details, { param: `documents[${index}]` });
}
