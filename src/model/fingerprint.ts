/**
 * The identity of a checkpoint under one weight format: SHA-256 over config, weights and format.
 * To hash gigabytes at each start would be slow, so digests are kept by path, size, inode and modification time.
 * Knows files and digests only.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeDirectory } from '../make-directory.js';
import type { WeightFormat } from './imported-model.js';
import type { ActivationType } from './narrow-graph.js';
import { multipliesBytes } from './weight-plan.js';

/** Raise it when an import of the same checkpoint gives a graph with other KV. */
export const IMPORT_VERSION = 1;

/** A digest is kept only if the file has not changed for this long: file systems have coarse clocks. */
const REST_MS = 100;

interface FileDigest {
  size: number;
  inode: number;
  modifiedNs: string;
  sha256: string;
}

export interface FingerprintOptions {
  configBytes: Uint8Array;
  /** Weight files, in a fixed order. */
  files: readonly string[];
  weights: WeightFormat;
  activations: ActivationType;
  /** Directory that remembers digests. */
  memory: string;
  onProgress?: (doneBytes: number, totalBytes: number) => void;
  signal?: AbortSignal | undefined;
}

/** @returns lower-case hex SHA-256 */
export async function fingerprintCheckpoint(options: FingerprintOptions): Promise<string> {
  const sizes = await Promise.all(options.files.map(async (file) => (await stat(file)).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const hash = createHash('sha256');
  const { weights, activations } = options;
  // float32 was there first: its fingerprints stay as they were.
  const narrow = activations === 'float32' ? {} : { activations };
  // int8 on a CPU was in blocks of 32 first; its KV differs.
  const form = multipliesBytes(weights, activations !== 'float32') ? { form: 'turned rows' } : {};
  hash.update(JSON.stringify({ version: IMPORT_VERSION, weights, ...narrow, ...form }));
  hash.update(createHash('sha256').update(options.configBytes).digest());
  let before = 0;
  for (const [index, file] of options.files.entries()) {
    const progress = (done: number) => options.onProgress?.(before + done, total);
    const digest = await fileDigest(file, options.memory, progress, options.signal);
    hash.update(`${basename(file)}:${digest}\n`);
    before += sizes[index] as number;
    progress(0);
  }
  return hash.digest('hex');
}

async function fileDigest(
  file: string,
  memory: string,
  onProgress: (doneBytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<string> {
  const path = await realpath(file);
  const remembered = join(memory, `${createHash('sha256').update(path).digest('hex').slice(0, 32)}.json`);
  const identity = await fileIdentity(path);
  const known = await readRemembered(remembered);
  if (
    known !== undefined &&
    known.size === identity.size &&
    known.inode === identity.inode &&
    known.modifiedNs === identity.modifiedNs
  ) {
    return known.sha256;
  }
  const begunMs = Date.now();
  const hash = createHash('sha256');
  let done = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1024 * 1024, signal })) {
    hash.update(chunk as Buffer);
    done += (chunk as Buffer).byteLength;
    onProgress(done);
  }
  const sha256 = hash.digest('hex');
  if (Number(BigInt(identity.modifiedNs) / 1_000_000n) < begunMs - REST_MS) {
    await makeDirectory(memory);
    const draft = `${remembered}.${randomUUID()}`;
    await writeFile(draft, JSON.stringify({ ...identity, sha256 }));
    await rename(draft, remembered);
  }
  return sha256;
}

/** Size, inode and modification time. Not the change time: a new hard link changes it. */
export async function fileIdentity(path: string): Promise<{ size: number; inode: number; modifiedNs: string }> {
  const { size, ino, mtimeNs } = await stat(path, { bigint: true });
  return { size: Number(size), inode: Number(ino), modifiedNs: String(mtimeNs) };
}

async function readRemembered(path: string): Promise<FileDigest | undefined> {
  try {
    const json = JSON.parse(await readFile(path, 'utf8')) as Partial<FileDigest>;
    return typeof json.sha256 === 'string' && /^[0-9a-f]{64}$/.test(json.sha256) ? (json as FileDigest) : undefined;
  } catch {
    return undefined;
  }
}
