/**
 * The tensors of a checkpoint directory: in one safetensors file, or in shards with an index.
 * Knows files and byte ranges. `decoder-weights.ts` knows what a tensor means to a model.
 */
import { existsSync, type Stats } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BlockstitchError } from '../errors.js';
import { STAND_IN_BYTES, standInReason } from '../stand-in-file.js';
import { missingWeightsReason } from './checkpoint-hints.js';
import { shownValue } from './field-reader.js';
import { repeatedKey } from './repeated-key.js';
import { headerBytes, LENGTH_BYTES, parseHeader } from './safetensors-header.js';
import type { TensorEntry } from './stored-dtype.js';

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/** All tensors of one checkpoint by the name that `transformers` gives them, and their files (absolute paths, sorted). */
export interface CheckpointTensors {
  entries: ReadonlyMap<string, TensorEntry>;
  files: readonly string[];
  /** The name that the file gives a tensor, for messages. Absent: the same. */
  storedName?: (name: string) => string;
}

/**
 * Reads the headers of all of a checkpoint's weight files.
 *
 * @param directory Hugging Face directory with `model.safetensors` or `model.safetensors.index.json` and its shards
 * @throws BlockstitchError `checkpoint_invalid`, naming the file and the reason
 */
export async function readCheckpointTensors(directory: string): Promise<CheckpointTensors> {
  const single = join(directory, SINGLE_FILE);
  if (existsSync(single)) {
    const entries = await readTensorEntries(single);
    return { entries: new Map(entries.map((entry) => [entry.name, entry])), files: [single] };
  }
  const index = join(directory, INDEX_FILE);
  if (existsSync(index)) return readShards(directory, index);
  throw invalid(directory, missingWeightsReason(directory));
}

/** Reads and checks the header of one safetensors file. */
export async function readTensorEntries(file: string): Promise<TensorEntry[]> {
  const handle = await openFile(file);
  try {
    const { size } = await handle.stat();
    const head = await readExactly(handle, file, 0, Math.min(STAND_IN_BYTES, size));
    const standIn = standInReason(head);
    if (standIn !== undefined) throw invalid(file, standIn);
    const length = headerBytes(file, head.subarray(0, LENGTH_BYTES), size);
    return parseHeader(file, await readExactly(handle, file, LENGTH_BYTES, length), size);
  } finally {
    await handle.close();
  }
}

/**
 * Reads `length` bytes at `offset`.
 *
 * @throws BlockstitchError `checkpoint_invalid` if the file ends before that (it was cut during the read)
 */
export async function readExactly(
  handle: FileHandle,
  file: string,
  offset: number,
  length: number,
  target: Uint8Array = new Uint8Array(length),
): Promise<Uint8Array> {
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(target, done, length - done, offset + done);
    if (bytesRead === 0) throw invalid(file, `it ends at ${offset + done}, ${length - done} bytes too early`);
    done += bytesRead;
  }
  return target.subarray(0, length);
}

async function readShards(directory: string, index: string): Promise<CheckpointTensors> {
  const weightMap = await readWeightMap(index);
  const names = [...new Set(weightMap.values())].sort();
  const entries = new Map<string, TensorEntry>();
  for (const name of names) {
    const shard = join(directory, name);
    for (const entry of await readTensorEntries(shard)) {
      const home = weightMap.get(entry.name);
      if (home === undefined) throw invalid(shard, `tensor ${shownValue(entry.name)} is missing in ${INDEX_FILE}`);
      if (home !== name) throw invalid(shard, `tensor ${shownValue(entry.name)} belongs in ${home} by ${INDEX_FILE}`);
      entries.set(entry.name, entry);
    }
  }
  for (const [tensor, shard] of weightMap) {
    if (!entries.has(tensor)) throw invalid(join(directory, shard), `it lacks the tensor ${shownValue(tensor)}`);
  }
  return { entries, files: names.map((name) => join(directory, name)) };
}

async function readWeightMap(index: string): Promise<Map<string, string>> {
  const { size } = await plainFile(index);
  if (size > MAX_INDEX_BYTES) throw invalid(index, `it has ${size} bytes, more than the limit of ${MAX_INDEX_BYTES}`);
  const text = await readFile(index, 'utf8');
  const standIn = standInReason(Buffer.from(text.slice(0, STAND_IN_BYTES)));
  if (standIn !== undefined) throw invalid(index, standIn);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(index, `it is not JSON (${(cause as Error).message})`, cause);
  }
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw invalid(index, `it names ${shownValue(repeated)} twice`);
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw invalid(index, 'it has no weight_map');
  const entries = Object.entries(map);
  if (entries.length === 0) throw invalid(index, 'its weight_map is empty');
  for (const [tensor, shard] of entries) {
    // A shard is a plain file name beside the index: no name may lead out of the directory.
    if (typeof shard !== 'string' || shard === '' || basename(shard) !== shard || shard === '.' || shard === '..') {
      throw invalid(index, `tensor ${shownValue(tensor)} is not mapped to a file name`);
    }
  }
  return new Map(entries as [string, string][]);
}

async function openFile(file: string): Promise<FileHandle> {
  await plainFile(file);
  try {
    return await open(file, 'r');
  } catch (cause) {
    throw unopened(file, cause);
  }
}

/** Opening a pipe would wait for its writer. */
async function plainFile(file: string): Promise<Stats> {
  let stats: Stats;
  try {
    stats = await stat(file);
  } catch (cause) {
    throw unopened(file, cause);
  }
  if (!stats.isFile()) throw invalid(file, 'it is not a file');
  return stats;
}

function unopened(file: string, cause: unknown): BlockstitchError {
  const { code } = cause as NodeJS.ErrnoException;
  const again = code === 'ENOENT' ? '; run blockstitch pull OWNER/NAME again, into this directory' : '';
  return invalid(file, `it cannot be opened (${code})${again}`, cause);
}

function invalid(path: string, reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('checkpoint_invalid', { path, reason }, cause === undefined ? {} : { cause });
}
