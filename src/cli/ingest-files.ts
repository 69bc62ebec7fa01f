/**
 * Which files `blockstitch ingest` reads: those that are named, whatever they are called, and text, code, pages and rows in folders.
 * Knows names and folders. `ingest-sources.ts` reads the files.
 */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { BlockstitchError } from '../errors.js';

/** What may become documents: sizes are known before anything is read. */
export interface SourceFile {
  path: string;
  bytes: number;
  /** Why nothing of it can be read: of a folder inside another one. */
  failure?: string;
}

export interface FoundFiles {
  files: SourceFile[];
  /** What folders hold beside them, in words, a line each. Hidden files are not named. */
  passedOver: string[];
}

export const STANDARD_INPUT = '-';
export const ROWS: readonly string[] = ['.ndjson', '.jsonl'];
export const PAGES: readonly string[] = ['.html', '.htm', '.xhtml'];
/** A folder gives these; a file that is named is read whatever it is called. */
const TEXT = '.txt .md .markdown .mdx .rst .adoc .org .tex .log .csv .tsv .srt .vtt';
const CODE =
  '.c .h .cc .cpp .hpp .cs .css .go .java .js .jsx .mjs .cjs .kt .lua .php .pl .py .r .rb .rs .scala .sh .sql .swift .ts .tsx ' +
  '.json .toml .xml .yaml .yml';
const IN_FOLDERS = new Set([...ROWS, ...PAGES, ...`${TEXT} ${CODE}`.split(' ')]);
/** Never walked: what a build or a version control made. */
const LEFT_OUT = new Set(['node_modules', '__pycache__']);
/** Kinds that are named in one line. */
const MOST_KINDS = 5;

/** Finds files, folders' files in the order of their names. @throws BlockstitchError `config_invalid` if a path is not there */
export async function findFiles(paths: readonly string[]): Promise<FoundFiles> {
  const found = new Map<string, SourceFile>();
  const passedOver: string[] = [];
  for (const given of paths) {
    const path = given === STANDARD_INPUT ? given : normalize(given);
    const facts = path === STANDARD_INPUT ? undefined : await asked(given, stat(path));
    if (facts === undefined || facts.isFile()) found.set(path, { path, bytes: facts?.size ?? 0 });
    else if (facts.isDirectory()) {
      const others = new Others();
      const files = await filesIn(path, await asked(given, readdir(path, { withFileTypes: true })), others);
      for (const file of files) found.set(file.path, file);
      passedOver.push(...others.lines(path, files.length));
    } else {
      const reason =
        'it is a device, a pipe or a socket, not a file or a folder; pipe NDJSON into `blockstitch ingest -`';
      throw new BlockstitchError('config_invalid', { setting: given, reason });
    }
  }
  return { files: [...found.values()], passedOver };
}

async function filesIn(folder: string, entries: Dirent[], others: Others): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || LEFT_OUT.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      // One that cannot be looked at (its name is no UTF-8, nobody may read it) fails alone.
      const inside = await readdir(path, { withFileTypes: true }).catch((cause: Error) => cause.message);
      if (typeof inside === 'string') files.push({ path, bytes: 0, failure: inside });
      else files.push(...(await filesIn(path, inside, others)));
      continue;
    }
    // A volume of Kubernetes, for one, is all links. What is gone fails alone, when it is read.
    const facts = await stat(path).catch(() => undefined);
    const isLink = entry.isSymbolicLink();
    if (isLink && facts?.isDirectory()) others.links.push(path);
    else if (!IN_FOLDERS.has(extname(entry.name).toLowerCase())) others.countKind(entry.name);
    else if (facts?.isFile() || (facts === undefined && (isLink || entry.isFile()))) {
      files.push({ path, bytes: facts?.size ?? 0 });
    }
  }
  return files;
}

/** What a folder holds that is not read. */
class Others {
  /** Links to folders: they may lead in a circle, or out of the tree. */
  readonly links: string[] = [];
  readonly #kinds = new Map<string, number>();

  countKind(name: string): void {
    const kind = extname(name).toLowerCase() || 'without an ending';
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
  }

  lines(folder: string, files: number): string[] {
    const kinds = [...this.#kinds].sort(([, one], [, other]) => other - one);
    const named = kinds.slice(0, MOST_KINDS).map(([kind, count]) => `${count} ${kind}`);
    const more = kinds.length > MOST_KINDS ? ', and others' : '';
    return [
      ...(kinds.length === 0
        ? []
        : [`${folder}: passed over ${named.join(', ')}${more}; a file that is named is read`]),
      ...this.links.map((path) => `${path}: a link to a folder is passed over; one that is named is read`),
      ...(files === 0 ? [`${folder}: it holds no text, page, code or NDJSON`] : []),
    ];
  }
}

/** @throws BlockstitchError `config_invalid` if the system refuses */
async function asked<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new BlockstitchError('config_invalid', { setting: path, reason: (cause as Error).message }, { cause });
  }
}
