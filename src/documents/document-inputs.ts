/**
 * From the documents of a request, given by id or as text, to documents cut into segments.
 * Knows limits, the registry and the segmenter. src/prompt decides what a prompt makes of a document.
 */
import { scopeDigest } from '../cache/block-key.js';
import type { CacheScope } from '../cache/tiers.js';
import { BlockstitchError } from '../errors.js';
import type { DocumentSegment } from '../prompt/document-blocks.js';
import type { SegmentContext, SegmentOptions } from '../segment/segmenter.js';
import { QueuePlace } from '../text/text-threads.js';
import type { CutsInUse } from './cuts-in-use.js';
import { checkDocumentCount, checkDocumentText } from './document-limits.js';
import type { SharedParts } from './document-parts.js';
import type { DocumentRegistry, FoundRecord } from './document-registry.js';

/** Documents of one request that are cut at the same time; all of them have one place in the queue. */
const SIDE_BY_SIDE = 4;

/** Either the id of a registered document, or a text. */
export interface DocumentInput {
  id?: string;
  title?: string;
  text?: string;
}

/** A document on its way into a prompt. */
export interface CutDocument {
  /** Its place in the request, which counts the blank documents that were left out. */
  place: number;
  id?: string;
  title?: string;
  text: string;
  segments: readonly DocumentSegment[];
}

export interface InputsRequest {
  scope: CacheScope;
  documents: readonly DocumentInput[];
  /** Cuts registered documents, too, otherwise than they were ingested. */
  segmentation?: SegmentOptions;
  /** The client's; its reason is thrown when it aborts. */
  signal: AbortSignal;
  /** Resolves when the request has ended, however. */
  ended?: Promise<void>;
}

type CutContext = SegmentContext & { index: number; param: string };

interface CutInput {
  document: CutDocument;
  /** Of its segments; what the template adds is not counted. */
  tokens: number;
}

type InputsParts = Pick<SharedParts, 'limits' | 'registry' | 'segment'> & { cuts: Pick<CutsInUse, 'begin' | 'note'> };

/**
 * Resolves and segments a request's documents, some side by side. Stops at the one with which they no longer fit the
 * context.
 *
 * @throws BlockstitchError `payload_too_large`, `empty_input`, `document_not_found`, `document_damaged`, `invalid_request`,
 *   `segmentation_invalid`, `context_length_exceeded`, `queue_full`, `store_failed`
 */
export async function cutInputs(parts: InputsParts, request: InputsRequest): Promise<CutDocument[]> {
  const { limits } = parts;
  const { documents: inputs, signal } = request;
  checkDocumentCount(inputs.length, 'documents', limits);
  const sent = withoutBlanks(inputs);
  for (const { input, index } of sent) checkForm(input, `documents[${index}]`, limits);
  const documents: CutDocument[] = [];
  const place = new QueuePlace();
  const ended = new AbortController();
  const tenant = scopeDigest(request.scope);
  const context = { tenant, signal: AbortSignal.any([signal, ended.signal]), place };
  let tokens = 0;
  const cut = ({ input, index }: Placed) => {
    const path = `documents[${index}]`;
    return input.text === undefined
      ? registeredDocument(parts, request, input, { ...context, index, param: `${path}.id` })
      : sentDocument(parts, request, input, input.text, { ...context, index, param: `${path}.text` });
  };
  try {
    for await (const { document, tokens: added } of inOrder(sent, cut, SIDE_BY_SIDE)) {
      documents.push(document);
      tokens += added;
      if (tokens > limits.contextTokens) throw overContext(tokens, limits.contextTokens, document.place);
      signal.throwIfAborted();
    }
    return documents;
  } finally {
    // Whatever is still being cut is no longer wanted.
    ended.abort();
    place.leave();
  }
}

/** @throws BlockstitchError `document_not_found`, `document_damaged`, `store_failed` */
export async function registered(
  registry: DocumentRegistry,
  scope: CacheScope,
  id: string,
  param: string,
): Promise<FoundRecord> {
  const found = await registry.find(scope, id);
  if (found.state === 'found') return found;
  if (found.state === 'damaged') {
    throw new BlockstitchError('document_damaged', { id, reason: found.reason }, { param });
  }
  throw new BlockstitchError('document_not_found', { id }, { param });
}

/** Works on `atOnce` items at the same time. @returns results in the order of the items */
async function* inOrder<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  atOnce: number,
): AsyncGenerator<Result> {
  const begun: Promise<Result>[] = [];
  for (let at = 0; at < items.length; at += 1) {
    for (let next = begun.length; next < Math.min(items.length, at + atOnce); next += 1) {
      const result = work(items[next] as Item);
      // Its turn comes later, or never.
      result.catch(() => undefined);
      begun.push(result);
    }
    yield await (begun[at] as Promise<Result>);
  }
}

interface Placed {
  input: DocumentInput;
  index: number;
}

/** Retrieval now and then returns a blank text. It is left out, unless there is nothing else. */
function withoutBlanks(inputs: readonly DocumentInput[]): Placed[] {
  const placed = inputs.map((input, index) => ({ input, index }));
  const filled = placed.filter(({ input }) => input.id !== undefined || /\S/.test(input.text ?? '.'));
  return filled.length > 0 ? filled : placed;
}

function checkForm(input: DocumentInput, path: string, limits: SharedParts['limits']): void {
  if ((input.id === undefined) === (input.text === undefined)) {
    const reason =
      input.id === undefined
        ? `\`${path}\` has neither \`id\` nor \`text\`.`
        : `\`${path}\` has both \`id\` and \`text\`: send \`id\` alone for a document of /v1/documents, or \`text\` alone.`;
    throw new BlockstitchError('invalid_request', { reason }, { param: path });
  }
  if (input.text !== undefined) checkDocumentText(input.text, `${path}.text`, limits);
}

async function sentDocument(
  { segment }: InputsParts,
  { segmentation = {} }: InputsRequest,
  { title }: DocumentInput,
  text: string,
  { index, ...context }: CutContext,
): Promise<CutInput> {
  const segments = await segment(text, segmentation, context);
  return {
    document: { place: index, ...(title === undefined ? {} : { title }), text, segments },
    tokens: tokensOf(segments),
  };
}

async function registeredDocument(
  { registry, segment, cuts }: InputsParts,
  { scope, segmentation, ended }: InputsRequest,
  { id = '' }: DocumentInput,
  { index, ...context }: CutContext,
): Promise<CutInput> {
  const use = cuts.begin(scope, id, ended);
  const found = await registered(registry, scope, id, context.param);
  const { text, title, segments: own } = found.record;
  const segments = segmentation === undefined ? own : await segment(text, segmentation, context);
  const document = { place: index, id, ...(title === undefined ? {} : { title }), text, segments };
  cuts.note(use, found, document, segmentation === undefined ? '' : JSON.stringify(segmentation));
  return { document, tokens: tokensOf(segments) };
}

function tokensOf(segments: readonly { tokens: number }[]): number {
  return segments.reduce((sum, { tokens }) => sum + tokens, 0);
}

function overContext(promptTokens: number, contextTokens: number, index: number): BlockstitchError {
  return new BlockstitchError(
    'context_length_exceeded',
    { promptTokens: `at least ${promptTokens}`, asked: '', contextTokens },
    { param: `documents[${index}]` },
  );
}
