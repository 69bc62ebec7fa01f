/**
 * The blocks of one document: its segments, the first one behind the template's prefix (with the title), the last one
 * before its suffix. A document with the same segments and frame gives the same blocks wherever it stands, so ingestion
 * and chat make the same ones. Segments that bring their token ids are not tokenized again.
 * Remembers what it has made lately, so that a document that comes again costs one hash.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { BlockstitchError } from '../errors.js';
import { SharedWork, toldOf } from '../text/shared-work.js';
import type { TextService } from '../text/text-service.js';
import { type BlockEdges, NO_EDGES, withEdges } from './block-edges.js';
import { type DocumentFrame, framePrefix, TITLE_MARK } from './document-frame.js';
import type { BlockSource, PlanBlock } from './prompt-plan.js';
import { cutControl } from './template-markers.js';

/** A run of a document's characters, half open, that becomes one block. */
export interface DocumentSegment {
  start: number;
  end: number;
  /** Ids of exactly this text, if they are known already. */
  tokenIds?: Int32Array;
}

export interface PromptDocument {
  id?: string;
  /** Its place among the request's documents, for reports and errors, if that is not its place in the list. */
  place?: number;
  /** Present if the text is a passage of a message, at this offset in it. */
  message?: { index: number; offset: number };
  title?: string;
  text: string;
  /** Spans that cover the text in order. Without them the text is one block. */
  segments?: readonly DocumentSegment[];
}

/** For whom a plan is made, and until when it is wanted. */
export interface PromptContext {
  /** What is remembered for one tenant is never used for another, so times tell nothing. Default ''. */
  tenant?: string;
  /** The client's. Its reason is thrown as soon as it aborts. */
  signal?: AbortSignal;
}

/** Token ids remembered over all documents, 4 bytes each. */
const MEMORY_TOKENS = 4 * 2 ** 20;

/** What tokenizes documents. */
export type DocumentText = Pick<TextService, 'encodeAll' | 'runHere'>;

export class DocumentBlocks {
  readonly #text: DocumentText;
  readonly #control: RegExp | undefined;
  readonly #edges: BlockEdges;
  readonly #memory = new LRUCache<string, Int32Array[]>({
    maxSize: MEMORY_TOKENS,
    maxEntrySize: MEMORY_TOKENS / 4,
    sizeCalculation: (ids) => Math.max(1, countTokens(ids)),
  });
  readonly #running = new SharedWork<Int32Array[]>();

  /** @param control matches control tokens' spellings (see `controlPattern`) */
  constructor(text: DocumentText, control: RegExp | undefined, edges = NO_EDGES) {
    this.#text = text;
    this.#control = control;
    this.#edges = edges;
  }

  /**
   * @param index position in the request's documents, for error messages and block sources
   * @returns at least one block
   * @throws BlockstitchError `empty_input`, `text_not_encodable`, `invalid_request` for spans that do not cover the
   *   text and for tokens that the model does not have
   */
  async blocks(
    document: PromptDocument,
    frame: DocumentFrame,
    index: number,
    context: PromptContext,
  ): Promise<PlanBlock[]> {
    const place = document.place ?? index;
    const param = document.message ? `messages[${document.message.index}].content` : `documents[${place}].text`;
    if (document.text.trim() === '') throw new BlockstitchError('empty_input', { what: param }, { param });
    const segments = document.segments ?? [{ start: 0, end: document.text.length }];
    assertCover(segments, document.text.length, `documents[${place}].segments`);
    const ids = await this.#tokenize(document, segments, frame, param, context);
    const blocks: PlanBlock[] = [];
    for (const [at, segment] of segments.entries()) {
      const tokenIds = ids[at];
      // White space alone may have no tokens: nothing to cache then.
      if (tokenIds === undefined || tokenIds.length === 0) continue;
      const source = sourceOf(document, place, segment);
      blocks.push({ tokenIds: withEdges(this.#edges, tokenIds), kind: 'document', source });
    }
    if (blocks.length === 0) {
      throw new BlockstitchError('text_not_encodable', { what: param, reason: 'it has no tokens' }, { param });
    }
    return blocks;
  }

  async #tokenize(
    document: PromptDocument,
    segments: readonly DocumentSegment[],
    frame: DocumentFrame,
    param: string,
    { tenant = '', signal }: PromptContext,
  ): Promise<Int32Array[]> {
    const prefix = framePrefix(frame, document.title ?? '');
    const key = await this.#text.runHere(() => memoryKey(tenant, document.text, segments, prefix, frame.suffix));
    const known = this.#memory.get(key);
    if (known) return known;
    const encode = async (stillWanted: AbortSignal) => {
      const ids = await this.#encode(document, segments, frame, param, stillWanted);
      this.#memory.set(key, ids);
      return ids;
    };
    return toldOf(param, this.#running.run(key, encode, signal));
  }

  async #encode(
    document: PromptDocument,
    segments: readonly DocumentSegment[],
    frame: DocumentFrame,
    param: string,
    signal: AbortSignal,
  ): Promise<Int32Array[]> {
    const last = segments.length - 1;
    const ids: Int32Array[] = new Array(segments.length);
    const plain: number[] = [];
    const framed: { at: number; pieces: string[] }[] = [];
    for (const [at, segment] of segments.entries()) {
      const before = at === 0 ? frame.prefix : '';
      const after = at === last ? frame.suffix : '';
      if (before !== '' || after !== '') {
        const body = document.text.slice(segment.start, segment.end);
        framed.push({ at, pieces: this.#framedPieces(before, document.title ?? '', body, after) });
      } else if (segment.tokenIds) ids[at] = segment.tokenIds;
      else plain.push(at);
    }
    const texts = plain.map((at) => document.text.slice(segments[at]?.start, segments[at]?.end));
    const encoded = await this.#text.encodeAll(texts, { param, signal });
    for (const [order, at] of plain.entries()) ids[at] = encoded[order] ?? new Int32Array();
    const pieces = await this.#text.encodeAll(
      framed.flatMap((entry) => entry.pieces),
      { param, parseControl: true, signal },
    );
    let taken = 0;
    for (const entry of framed) {
      ids[entry.at] = concatenate(pieces.slice(taken, taken + entry.pieces.length));
      taken += entry.pieces.length;
    }
    return ids;
  }

  /** Template text around a document's own, cut wherever the latter spells a control token. */
  #framedPieces(before: string, title: string, body: string, after: string): string[] {
    const pieces = [''];
    const append = (parts: readonly string[]) => {
      for (const [index, part] of parts.entries()) {
        if (index === 0) pieces[pieces.length - 1] += part;
        else pieces.push(part);
      }
    };
    for (const [index, part] of before.split(TITLE_MARK).entries()) {
      if (index > 0) append(cutControl(title, this.#control));
      append([part]);
    }
    append(cutControl(body, this.#control));
    append([after]);
    return pieces;
  }
}

function sourceOf({ id, message }: PromptDocument, place: number, { start, end }: DocumentSegment): BlockSource {
  if (message) return { messageIndex: message.index, start: message.offset + start, end: message.offset + end };
  return { documentIndex: place, start, end, ...(id === undefined ? {} : { documentId: id }) };
}

/** Joins ids of neighbouring pieces. */
export function concatenate(parts: readonly Int32Array[]): Int32Array {
  const [only] = parts;
  if (parts.length === 1 && only) return only;
  const joined = new Int32Array(countTokens(parts));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

function countTokens(parts: readonly Int32Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function assertCover(segments: readonly DocumentSegment[], length: number, param: string): void {
  let reached = 0;
  for (const { start, end } of segments) {
    if (start !== reached || end <= start) break;
    reached = end;
  }
  if (reached !== length) {
    throw new BlockstitchError(
      'invalid_request',
      { reason: `${param} must cover the document's ${length} characters in order; they leave off at ${reached}.` },
      { param },
    );
  }
}

function memoryKey(
  tenant: string,
  text: string,
  segments: readonly DocumentSegment[],
  prefix: string,
  suffix: string,
): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([tenant, prefix, suffix, segments.map((segment) => segment.end)]));
  hash.update('\0');
  // UTF-16, because UTF-8 would make lone surrogates equal to U+FFFD.
  hash.update(Buffer.from(text, 'utf16le'));
  return hash.digest('base64');
}
