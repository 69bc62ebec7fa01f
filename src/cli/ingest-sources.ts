/**
 * What `blockstitch ingest` reads: files, folders and NDJSON as documents with ids of their own. An id is the path as it was given, so
 * a file that has changed replaces its document; a row of NDJSON without an id gets one from its content.
 * Knows files and their formats. `ingest-run.ts` sends the documents.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, normalize } from 'node:path';
import type { Readable } from 'node:stream';
import { BlockstitchError } from '../errors.js';
import { ndjsonLines } from '../server/ndjson-lines.js';
import { formatBytes } from '../units.js';

export interface SourceDocument {
  id: string;
  title?: string;
  text: string;
  metadata?: Record<string, string>;
}

/** One document, or why there is none. `name` is what a person calls it. */
export type Source = { name: string; document: SourceDocument } | { name: string; failure: string };

/** What may become documents: sizes are known before anything is read. */
export interface SourceFile {
  path: string;
  bytes: number;
}

const ROWS = ['.ndjson', '.jsonl'];
const PAGES = ['.html', '.htm', '.xhtml'];
/** Text and code. A folder gives these; a file that is named is read whatever it is called. */
const TEXTS = [
  ...['.txt', '.md', '.markdown', '.mdx', '.rst', '.adoc', '.org', '.tex', '.log', '.csv', '.tsv', '.srt', '.vtt'],
  ...[
    '.c',
    '.h',
    '.cc',
    '.cpp',
    '.hpp',
    '.cs',
    '.css',
    '.go',
    '.java',
    '.js',
    '.jsx',
    '.mjs',
    '.cjs',
    '.kt',
    '.lua',
    '.php',
  ],
  ...[
    '.pl',
    '.py',
    '.r',
    '.rb',
    '.rs',
    '.scala',
    '.sh',
    '.sql',
    '.swift',
    '.ts',
    '.tsx',
    '.json',
    '.toml',
    '.xml',
    '.yaml',
    '.yml',
  ],
];
const IN_FOLDERS = new Set([...ROWS, ...PAGES, ...TEXTS]);
/** Never walked: what a build or a version control made. */
const LEFT_OUT = new Set(['node_modules', '__pycache__']);
const STANDARD_INPUT = '-';
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

/** Finds files, folders' files in the order of their names. @throws BlockstitchError `config_invalid` if a path is not there */
export async function findFiles(paths: readonly string[]): Promise<SourceFile[]> {
  const found = new Map<string, SourceFile>();
  for (const path of paths) {
    if (path === STANDARD_INPUT) found.set(path, { path, bytes: 0 });
    else for (const file of await filesOf(path)) found.set(file.path, file);
  }
  return [...found.values()];
}

async function filesOf(given: string): Promise<SourceFile[]> {
  const path = normalize(given);
  const facts = await asked(given, stat(path));
  if (facts.isFile()) return [{ path, bytes: facts.size }];
  if (!facts.isDirectory()) {
    const reason =
      'it is a device, a pipe or a socket, not a file or a folder; pipe NDJSON into `blockstitch ingest -`';
    throw new BlockstitchError('config_invalid', { setting: given, reason });
  }
  const files: SourceFile[] = [];
  const entries = await asked(given, readdir(path, { withFileTypes: true }));
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || LEFT_OUT.has(entry.name)) continue;
    const inside = join(path, entry.name);
    if (entry.isDirectory()) files.push(...(await filesOf(inside)));
    else if (entry.isFile() && IN_FOLDERS.has(extname(entry.name).toLowerCase())) {
      // One that cannot be looked at (its name is no UTF-8, it has just gone) fails alone, when it is read.
      const bytes = await stat(inside).then(
        ({ size }) => size,
        () => 0,
      );
      files.push({ path: inside, bytes });
    }
  }
  return files;
}

/** @throws BlockstitchError `config_invalid` if the system refuses */
async function asked<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new BlockstitchError('config_invalid', { setting: path, reason: (cause as Error).message }, { cause });
  }
}

/** Reads one file: one document, or a document for each row. */
export async function* readSources(
  { path }: SourceFile,
  standardInput: Readable,
  limits: SourceLimits,
): AsyncGenerator<Source> {
  if (path === STANDARD_INPUT) yield* readRows('standard input', standardInput, limits);
  else if (ROWS.includes(extname(path).toLowerCase())) yield* readRows(path, createReadStream(path), limits);
  else yield await readDocument(path, limits);
}

async function readDocument(path: string, { maxFileBytes }: SourceLimits): Promise<Source> {
  try {
    const bytes = await readAtMost(path, maxFileBytes);
    if (bytes === undefined)
      return { name: path, failure: `it has more than ${formatBytes(maxFileBytes)} (--max-file)` };
    const content = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (content.includes('\0')) return { name: path, failure: 'it is not text' };
    const isPage = PAGES.includes(extname(path).toLowerCase());
    const page = isPage ? await readPage(content) : { title: undefined, text: content };
    const title = (page.title ?? basename(path, extname(path))).slice(0, MOST_TITLE);
    return { name: path, document: { id: idOf(path), title, text: page.text } };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { name: path, failure: /not valid for encoding/.test(failure) ? 'it is not UTF-8 text' : failure };
  }
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
      // Some editors write a byte order mark; the decoder drops it.
      else yield readRow(row, new TextDecoder().decode(bytes));
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

function readRow(name: string, row: string): Source {
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
