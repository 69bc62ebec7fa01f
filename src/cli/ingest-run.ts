/**
 * Sends sources to a server, some at a time, and counts what became of them. What the server has already, with the same
 * content, is skipped: so a run that was broken off goes on when it is started again.
 * Knows the API and the order of work. `ingest-sources.ts` knows files, the command prints.
 */
import type { Readable } from 'node:stream';
import { BlockstitchError, type ErrorCode } from '../errors.js';
import { documentMetadata, ingest } from './api-client.js';
import type { SourceFile } from './ingest-files.js';
import { digest, readSources, type Source, type SourceDocument } from './ingest-sources.js';
import { type PatienceOptions, patiently } from './patience.js';
import { shellWords } from './shell-words.js';

export interface IngestRunOptions {
  /** The server, without /v1. */
  url: string;
  apiKey?: string | undefined;
  cacheSalt?: string | undefined;
  /** Documents on their way at the same time. */
  parallel: number;
  /** Sends what is there already, too. */
  force: boolean;
  standardInput: Readable;
  /** Of a file or a row: larger ones fail. */
  maxFileBytes: number;
  /** Called before a document waits because a limit of requests is reached. */
  onLimit?: PatienceOptions['onLimit'];
  /** Called when a source has ended. */
  onResult: (result: SourceResult) => void;
  /** Called when all documents of a file have ended. */
  onFile: (file: SourceFile) => void;
}

export type SourceResult =
  | { name: string; status: 'ingested'; id: string; tokens: number; blocks: number; computed: number }
  | { name: string; status: 'skipped'; id: string }
  | { name: string; status: 'failed'; reason: string };

/** Where the hash of a document's content is kept: the server returns it, and does not read it. */
const HASH = 'content_sha256';

/** The server takes no document at all, or is another one. */
const HOPELESS: readonly ErrorCode[] = ['authentication_failed', 'not_ready', 'route_not_found'];

/** @throws BlockstitchError `authentication_failed`, `not_ready`, `route_not_found`: the server takes no document at all */
export async function runIngest(files: readonly SourceFile[], options: IngestRunOptions): Promise<void> {
  const running = new Set<Promise<void>>();
  let refused: BlockstitchError | undefined;
  for (const file of files) {
    // A file of rows has any number of them: nothing is kept of those that have ended.
    let open = 1;
    const end = () => {
      open -= 1;
      if (open === 0) options.onFile(file);
    };
    for await (const source of readSources(file, options.standardInput, options)) {
      open += 1;
      const work = resultOf(source, options).then(
        (result) => options.onResult(result),
        (error: BlockstitchError) => {
          refused ??= error;
        },
      );
      const done: Promise<void> = work.finally(() => {
        running.delete(done);
        end();
      });
      running.add(done);
      if (running.size >= options.parallel) await Promise.race(running);
      if (refused) break;
    }
    // The next file begins while the last ones of this are on their way.
    end();
    if (refused) break;
  }
  await Promise.all(running);
  if (refused) throw refused;
}

async function resultOf(source: Source, options: IngestRunOptions): Promise<SourceResult> {
  const { name } = source;
  if ('failure' in source) return { name, status: 'failed', reason: source.failure };
  const { document } = source;
  const hash = hashOf(document);
  try {
    const there = options.force
      ? undefined
      : await patiently(() => documentMetadata(options.url, document.id, options), options);
    if (there?.[HASH] === hash) return { name, status: 'skipped', id: document.id };
    const { id, tokens, blocks } = await patiently(() => ingest(options.url, marked(document, hash), options), options);
    const computed = blocks.reduce((sum, block) => sum + (block.origin === 'computed' ? block.tokens : 0), 0);
    return { name, status: 'ingested', id, tokens, blocks: blocks.length, computed };
  } catch (error) {
    if (!(error instanceof BlockstitchError)) throw error;
    // The others would fare no better.
    if (HOPELESS.includes(error.code)) throw error;
    return { name, status: 'failed', reason: shellWords(error).message };
  }
}

/** What is not there (titles, metadata) leaves the hash as it is. */
function hashOf({ title = '', text, metadata }: SourceDocument): string {
  return digest(JSON.stringify([title, text, ...(metadata === undefined ? [] : [metadata])]));
}

function marked(document: SourceDocument, hash: string): SourceDocument {
  return { ...document, metadata: { ...document.metadata, [HASH]: hash } };
}
