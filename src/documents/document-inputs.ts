/**
 * From the documents of a request, given by id or as text, to documents cut into segments.
 * Knows limits, the registry and the segmenter; what a prompt makes of a document is src/prompt's business.
 */
import { type Config, settingLabel } from '../config.js';
import { BlockstitchError } from '../errors.js';
import type { SegmentOptions } from '../segment/segmenter.js';
import type { DocumentInput } from '../server/schemas/chat-schema.js';
import type { SegmentationBody } from '../server/schemas/sampling-schema.js';
import type { PromptDocument, Services } from '../server/services.js';
import { formatBytes } from '../units.js';

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
 * Resolves and segments a request's documents, in order. Stops at the one with which they no longer fit the context.
 *
 * @param signal the client's; its reason is thrown when it aborts
 * @throws BlockstitchError `payload_too_large`, `empty_input`, `document_not_found`, `invalid_request`, `segmentation_invalid`,
 *   `context_exceeded`
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
  let tokens = 0;
  for (const [index, input] of inputs.entries()) {
    const { document, tokens: added } =
      input.text === undefined
        ? await registeredDocument(services, input, segmentation, cacheSalt, `documents[${index}].id`)
        : await sentDocument(services, input, input.text, segmentation);
    documents.push(document);
    tokens += added;
    if (tokens > services.model.config.maxPositions) throw overContext(tokens, services, index);
    signal.throwIfAborted();
  }
  return documents;
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
): Promise<CutDocument> {
  const segments = await services.segment(text, segmentOptions(segmentation));
  return { document: { ...(title === undefined ? {} : { title }), text, segments }, tokens: tokensOf(segments) };
}

async function registeredDocument(
  services: Services,
  { id = '' }: DocumentInput,
  segmentation: SegmentationBody | undefined,
  cacheSalt: string | undefined,
  param: string,
): Promise<CutDocument> {
  const record = await services.documents.get(id, cacheSalt);
  if (!record) throw new BlockstitchError('document_not_found', { id }, { param });
  const segments =
    segmentation === undefined ? record.segments : await services.segment(record.text, segmentOptions(segmentation));
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
