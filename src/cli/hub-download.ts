/**
 * Downloads a checkpoint from a Hugging Face hub into a directory: the files that the server reads and no others. An
 * interrupted download goes on. Each file is checked by size and hash (SHA-256 of large files, git's own hash of the
 * others), also a file that is there already. Knows the hub; src/model knows what the files mean.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { downloadFile, HubApiError, type ListFileEntry, listFiles } from '@huggingface/hub';
import { BlockstitchError } from '../errors.js';
import { makeDirectory } from '../make-directory.js';

export interface HubSource {
  /** `owner/name`. */
  repository: string;
  revision: string;
  endpoint: string;
  /** Starts with `hf_`; empty for none. */
  token: string;
}

export interface DownloadProgress {
  file: string;
  doneBytes: number;
  totalBytes: number;
}

export interface DownloadResult {
  files: string[];
  /** Bytes that this download fetched. Bytes of an earlier, interrupted download do not count. */
  fetchedBytes: number;
}

/** Root files that a checkpoint is made of. */
const WANTED =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json$|^chat_template\.jinja$|^model[^/\\]*\.safetensors(\.index\.json)?$/;
const ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;

/**
 * Downloads into `directory`. Keeps complete files; goes on with partial ones (`.part`).
 *
 * @throws BlockstitchError `download_failed` with what the hub or the disk said
 */
export async function downloadCheckpoint(
  source: HubSource,
  directory: string,
  onProgress: (progress: DownloadProgress) => void = () => {},
): Promise<DownloadResult> {
  try {
    const files = await wantedFiles(source);
    await makeDirectory(directory);
    const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    let fetchedBytes = 0;
    for (const file of files) {
      fetchedBytes += await fetchFile(source, file, join(directory, file.path), (bytes) => {
        onProgress({ file: file.path, doneBytes: before + bytes, totalBytes });
      });
      before += file.size;
    }
    return { files: files.map(({ path }) => path), fetchedBytes };
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    throw failed(source, describe(cause, source), cause);
  }
}

async function wantedFiles(source: HubSource): Promise<ListFileEntry[]> {
  const files: ListFileEntry[] = [];
  for await (const entry of listFiles(hubParameters(source))) {
    if (entry.type === 'file' && WANTED.test(entry.path)) files.push(entry);
  }
  for (const needed of [/^config\.json$/, /^tokenizer\.json$/, /\.safetensors$/]) {
    if (!files.some(({ path }) => needed.test(path))) {
      throw failed(source, `the repository has no file like ${needed.source.replace(/[\\^$]/g, '')}`);
    }
  }
  // Small files first: a wrong repository fails before gigabytes have been fetched.
  return files.sort((a, b) => a.size - b.size);
}

/** @returns bytes fetched */
async function fetchFile(
  source: HubSource,
  file: ListFileEntry,
  target: string,
  onBytes: (bytes: number) => void,
): Promise<number> {
  // Another revision's file may have the same size: the hash decides.
  if ((await damage(file, target)) === undefined) {
    onBytes(file.size);
    return 0;
  }
  const part = `${target}.part`;
  const had = await sizeOf(part);
  if (had > file.size) await rm(part, { force: true });
  for (let attempt = 1; (await sizeOf(part)) < file.size; attempt += 1) {
    try {
      await fetchRest(source, file, part, onBytes);
      break;
    } catch (error) {
      const gone = error instanceof HubApiError && error.statusCode < 500 && error.statusCode !== 429;
      if (attempt >= ATTEMPTS || gone) throw error;
      await setTimeout(FIRST_WAIT_MS * 2 ** (attempt - 1));
    }
  }
  await verify(source, file, part);
  await rename(part, target);
  return file.size - Math.min(had, file.size);
}

async function fetchRest(
  source: HubSource,
  file: ListFileEntry,
  part: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const blob = await downloadFile({ ...hubParameters(source), path: file.path });
  if (!blob) throw new Error(`the hub has no ${file.path}`);
  let bytes = await sizeOf(part);
  const rest = bytes === 0 ? blob : blob.slice(bytes, file.size);
  const target = await open(part, 'a');
  try {
    // Each piece is written before the next is read, so a break keeps all earlier pieces.
    for await (const piece of rest.stream()) {
      await target.write(piece);
      bytes += piece.byteLength;
      onBytes(bytes);
    }
  } finally {
    await target.close();
  }
  if ((await sizeOf(part)) < file.size) throw new Error(`the connection broke off at ${bytes} of ${file.size} bytes`);
}

/** Removes a file that is not what the hub announced, so that the next try starts over. */
async function verify(source: HubSource, file: ListFileEntry, part: string): Promise<void> {
  const reason = await damage(file, part);
  if (reason === undefined) return;
  await rm(part, { force: true });
  throw failed(source, `${file.path} arrived damaged: ${reason}`);
}

/** @returns undefined if the file is what the hub announced */
async function damage(file: ListFileEntry, path: string): Promise<string | undefined> {
  const size = await sizeOf(path);
  if (size !== file.size) return `it has ${size} bytes, not ${file.size}`;
  if (file.lfs) {
    const expected = file.lfs.oid.replace(/^sha256:/, '');
    const actual = await digest('sha256', '', path);
    return actual === expected ? undefined : `its SHA-256 is ${actual}, not ${expected}`;
  }
  if (file.oid === undefined || !/^[0-9a-f]{40}$/.test(file.oid)) return undefined;
  // Git hashes a header with the size, then the content.
  const actual = await digest('sha1', `blob ${size}\0`, path);
  return actual === file.oid ? undefined : `its git hash is ${actual}, not ${file.oid}`;
}

async function digest(algorithm: 'sha1' | 'sha256', header: string, file: string): Promise<string> {
  const hash = createHash(algorithm).update(header);
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

function hubParameters({ repository, revision, endpoint, token }: HubSource) {
  return {
    repo: { type: 'model' as const, name: repository },
    revision,
    hubUrl: endpoint.replace(/\/+$/, ''),
    ...(token === '' ? {} : { accessToken: token }),
  };
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => ({ size: 0 }))).size;
}

function describe(cause: unknown, { repository }: HubSource): string {
  if (cause instanceof HubApiError) {
    if (cause.statusCode === 401 || cause.statusCode === 403) {
      return `${repository} is private, gated or does not exist (HTTP ${cause.statusCode}); set HF_TOKEN`;
    }
    if (cause.statusCode === 404) return `${repository} does not exist on this hub, or not at this revision`;
  }
  const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : '';
  return cause instanceof Error ? `${cause.message}${inner}` : String(cause);
}

function failed({ repository }: HubSource, reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('download_failed', { repository, reason }, { cause });
}
