/**
 * What `blockstitch ingest` reads: files, folders and NDJSON as documents with ids of their own. An id is the path as it was given, so
 * a file that has changed replaces its document; a row of NDJSON without an id gets one from its content.
 * Knows files and their formats. `ingest-run.ts` sends the documents.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { BlockstitchError } from '../errors.js';

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
  if (!facts.isDirectory()) return [{ path, bytes: facts.size }];
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
export async function* readSources({ path }: SourceFile, standardInput: Readable): AsyncGenerator<Source> {
  if (path === STANDARD_INPUT) yield* readRows('standard input', standardInput);
  else if (ROWS.includes(extname(path).toLowerCase())) yield* readRows(path, createReadStream(path));
  else yield await readDocument(path);
}

async function readDocument(path: string): Promise<Source> {
  try {
    const content = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
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

async function* readRows(name: string, input: Readable): AsyncGenerator<Source> {
  let line = 0;
  try {
    for await (const row of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line += 1;
      // Some editors write a byte order mark.
      const json = line === 1 ? row.replace(/^\ufeff/, '') : row;
      if (json.trim() !== '') yield readRow(`${name}:${line}`, json);
    }
  } catch (error) {
    yield { name, failure: error instanceof Error ? error.message : String(error) };
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
