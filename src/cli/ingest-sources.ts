/**
 * What `blockstitch ingest` reads: files and NDJSON as documents with ids of their own. An id is the path as it was given, so
 * a file that has changed replaces its document; a row of NDJSON without an id gets one from its content.
 * Knows formats. `ingest-files.ts` finds the files, `ingest-run.ts` sends the documents.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename, extname } from 'node:path';
import type { Readable } from 'node:stream';
import { ndjsonLines } from '../server/ndjson-lines.js';
import { formatBytes } from '../units.js';
import { PAGES, ROWS, type SourceFile, STANDARD_INPUT } from './ingest-files.js';

export interface SourceDocument {
  id: string;
  title?: string;
  text: string;
  metadata?: Record<string, string>;
}

/** One document, or why there is none. `name` is what a person calls it. */
export type Source = { name: string; document: SourceDocument } | { name: string; failure: string };

const NOT_TEXT = 'it is not UTF-8 text';
/** Characters of a title that the server takes. */
const MOST_TITLE = 1024;
/** A row that is too long is passed over until it ends; one that does not end in so many bytes ends the reading. */
const MOST_ROW_PASSED = 2 ** 30;
/** Standard input may be silent for as long as a timer can wait. */
const PATIENT_MS = 2 ** 31 - 1;

export interface SourceLimits {
  /** Bytes of a file that becomes one document, and of a row: more is not kept in memory. */
  maxFileBytes: number;
}

/** Reads one file: one document, or a document for each row. */
export async function* readSources(
  { path, failure }: SourceFile,
  standardInput: Readable,
  limits: SourceLimits,
): AsyncGenerator<Source> {
  if (failure !== undefined) yield { name: path, failure };
  else if (path === STANDARD_INPUT) yield* readRows('standard input', standardInput, limits);
  else if (ROWS.includes(extname(path).toLowerCase())) yield* readRows(path, createReadStream(path), limits);
  else yield await readDocument(path, limits);
}

async function readDocument(path: string, { maxFileBytes }: SourceLimits): Promise<Source> {
  try {
    const bytes = await readAtMost(path, maxFileBytes);
    if (bytes === undefined)
      return { name: path, failure: `it has more than ${formatBytes(maxFileBytes)} (--max-file)` };
    const content = decoded(bytes);
    if (content.includes('\0')) return { name: path, failure: 'it is not text' };
    const isPage = PAGES.includes(extname(path).toLowerCase());
    const page = isPage ? await readPage(content) : { title: undefined, text: content };
    // By characters: half of a pair would be no text.
    const title = Array.from(page.title ?? basename(path, extname(path)))
      .slice(0, MOST_TITLE)
      .join('');
    return { name: path, document: { id: idOf(path), title, text: page.text } };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { name: path, failure: /not valid for encoding/.test(failure) ? NOT_TEXT : failure };
  }
}

/** Without the byte order mark that some editors write. @throws TypeError if it is not UTF-8 */
function decoded(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

/** @returns undefined if there is more */
async function readAtMost(path: string, most: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of createReadStream(path)) {
    parts.push(part);
    bytes += part.length;
    if (bytes > most) return undefined;
  }
  return Buffer.concat(parts);
}

/** The text that a reader of the page sees, without links' addresses and pictures. */
async function readPage(html: string): Promise<{ title: string | undefined; text: string }> {
  const { convert } = await import('html-to-text');
  const selectors = [
    { selector: 'a', options: { ignoreHref: true } },
    { selector: 'img', format: 'skip' },
    { selector: 'nav', format: 'skip' },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
    { selector: 'table', format: 'dataTable', options: { uppercaseHeaderCells: false } },
  ];
  const text = convert(html, { wordwrap: false, selectors });
  const title = convert(html, {
    wordwrap: false,
    baseElements: { selectors: ['title'], returnDomByDefault: false },
  }).trim();
  return { title: title === '' ? undefined : title, text };
}

async function* readRows(name: string, input: Readable, { maxFileBytes }: SourceLimits): AsyncGenerator<Source> {
  try {
    const lines = ndjsonLines(thatEnd(input), { maxLineBytes: maxFileBytes, idleMs: PATIENT_MS });
    for await (const { line, bytes } of lines) {
      const row = `${name}:${line}`;
      if (bytes === undefined)
        yield { name: row, failure: `it has more than ${formatBytes(maxFileBytes)} (--max-file)` };
      else yield readRow(row, bytes);
    }
  } catch (error) {
    yield { name, failure: error instanceof Error ? error.message : String(error) };
  }
}

/** The same chunks, as long as rows end. */
async function* thatEnd(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let open = 0;
  for await (const chunk of input) {
    const end = chunk.lastIndexOf(10);
    open = end < 0 ? open + chunk.length : chunk.length - end - 1;
    if (open > MOST_ROW_PASSED)
      throw new Error(`it holds a row that does not end within ${formatBytes(MOST_ROW_PASSED)}`);
    yield chunk;
  }
}

function readRow(name: string, bytes: Uint8Array): Source {
  let row: string;
  try {
    row = decoded(bytes);
  } catch {
    return { name, failure: NOT_TEXT };
  }
  let value: unknown;
  try {
    value = JSON.parse(row);
  } catch {
    return { name, failure: 'it is not JSON' };
  }
  const { id, title, text, metadata } = (value ?? {}) as Partial<SourceDocument>;
  if (typeof text !== 'string') return { name, failure: 'it has no `text`' };
  const given: unknown = id ?? undefined;
  // The server takes no such ids, and no address can hold them.
  if (given !== undefined && !(typeof given === 'string' && !/^\.{0,2}$/.test(given) && given.isWellFormed())) {
    return { name, failure: 'its `id` is no text that may name a document' };
  }
  const document = {
    id: given ?? `row-${digest(JSON.stringify([title ?? '', text])).slice(0, 32)}`,
    ...(title === undefined || title === null ? {} : { title }),
    text,
    ...(metadata === undefined || metadata === null ? {} : { metadata }),
  };
  return { name, document };
}

/** A path as an id: ids have no slashes. Two paths never share one. */
export function idOf(path: string): string {
  return path.replace(/[%/?#\\:]|\p{Cc}/gu, (character) =>
    character === '/' ? ':' : `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
