/**
 * Reads the header of one safetensors file and proves that every tensor it names lies inside the file.
 * Layout of the format: uint64 little-endian header length, that many bytes of JSON, then the tensors' bytes.
 * Knows the header only; `checkpoint-tensors.ts` opens files. Everything here treats its input as hostile.
 */
import { BlockstitchError } from '../errors.js';
import { repeatedKey } from './repeated-key.js';
import type { FloatDtype, TensorEntry } from './stored-dtype.js';

/** Element types that the importer converts, and their bytes. It refuses others by name. */
export const STORED_BYTES: Readonly<Record<FloatDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Longer headers are refused without reading them: the largest real ones (thousands of tensors) have about 1 MB. */
export const MAX_HEADER_BYTES = 64 * 1024 * 1024;

/** Bytes that hold the header's length. */
export const LENGTH_BYTES = 8;

const MAX_RANK = 8;

/**
 * Length of the JSON header.
 *
 * @param prefix the file's first bytes (8, or fewer if the file is shorter)
 * @throws BlockstitchError `checkpoint_invalid`
 */
export function headerBytes(file: string, prefix: Uint8Array, fileBytes: number): number {
  if (prefix.byteLength < LENGTH_BYTES || fileBytes < LENGTH_BYTES) {
    throw invalid(file, `it has ${fileBytes} bytes, too few for a safetensors header`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw invalid(file, `its header claims ${length} bytes, more than the limit of ${MAX_HEADER_BYTES}`);
  }
  if (length < 2n) throw invalid(file, `its header claims ${length} bytes, too few for a JSON object`);
  if (BigInt(LENGTH_BYTES) + length > BigInt(fileBytes)) {
    throw invalid(file, `it is truncated: the header claims ${length} bytes, the file has ${fileBytes}`);
  }
  return Number(length);
}

/**
 * Parses the header and checks it against the file's size.
 *
 * @param header the JSON bytes
 * @param fileBytes size of the whole file
 * @returns the tensors in the order of their offsets
 * @throws BlockstitchError `checkpoint_invalid` with the file and the fault
 */
export function parseHeader(file: string, header: Uint8Array, fileBytes: number): TensorEntry[] {
  const json = decodeJson(file, header);
  const dataStart = LENGTH_BYTES + header.byteLength;
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') checkMetadata(file, value);
    else entries.push(parseEntry(file, name, value, dataStart, fileBytes));
  }
  entries.sort((a, b) => a.offset - b.offset);
  checkCoverage(file, entries, dataStart, fileBytes);
  return entries;
}

function decodeJson(file: string, header: Uint8Array): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(header);
  } catch (cause) {
    throw invalid(file, 'its header is not UTF-8', cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, `its header is not JSON (${(cause as Error).message})`, cause);
  }
  if (!isObject(json)) throw invalid(file, 'its header is not a JSON object');
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw invalid(file, `its header names ${quote(repeated)} twice`);
  return json;
}

function parseEntry(file: string, name: string, value: unknown, dataStart: number, fileBytes: number): TensorEntry {
  const where = `tensor ${quote(name)}`;
  if (!isObject(value)) throw invalid(file, `${where} is not described by an object`);
  const { dtype, shape, data_offsets: range } = value;
  if (typeof dtype !== 'string') throw invalid(file, `${where} has no dtype`);
  if (!Object.hasOwn(STORED_BYTES, dtype)) {
    throw invalid(file, `${where} has dtype ${quote(dtype)}; only F32, F16 and BF16 are supported`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) throw invalid(file, `${where} has no shape of positive integers`);
  if (shape.length > MAX_RANK) throw invalid(file, `${where} has ${shape.length} dimensions`);
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isOffset)) {
    throw invalid(file, `${where} has no data_offsets of two non-negative integers`);
  }
  const [begin, end] = range as [number, number];
  if (begin > end) throw invalid(file, `${where} ends (${end}) before it begins (${begin})`);
  if (end > fileBytes - dataStart) {
    throw invalid(
      file,
      `${where} ends at ${end}, past the ${fileBytes - dataStart} bytes of data: truncated or out of range`,
    );
  }
  const stored = dtype as FloatDtype;
  const elements = shape.reduce((product: number, size: number) => product * size, 1);
  if (!Number.isSafeInteger(elements) || elements * STORED_BYTES[stored] !== end - begin) {
    throw invalid(
      file,
      `${where} of ${stored} [${shape.join(', ')}] does not take the ${end - begin} bytes given to it`,
    );
  }
  return { name, dtype: stored, shape: shape as number[], file, offset: dataStart + begin, bytes: end - begin };
}

/** Every byte must belong to exactly one tensor: the format says so. */
function checkCoverage(file: string, entries: readonly TensorEntry[], dataStart: number, fileBytes: number): void {
  let end = dataStart;
  let previous = '';
  for (const entry of entries) {
    if (entry.offset < end) throw invalid(file, `tensors ${quote(previous)} and ${quote(entry.name)} overlap`);
    if (entry.offset > end)
      throw invalid(file, `${entry.offset - end} bytes before tensor ${quote(entry.name)} are unused`);
    end = entry.offset + entry.bytes;
    previous = entry.name;
  }
  if (end !== fileBytes) throw invalid(file, `${fileBytes - end} bytes follow the last tensor`);
}

function checkMetadata(file: string, value: unknown): void {
  if (!isObject(value) || Object.values(value).some((entry) => typeof entry !== 'string')) {
    throw invalid(file, '__metadata__ is not an object of strings');
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Names come from the file, so messages cut them to a length. */
function quote(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
}

function invalid(file: string, reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('checkpoint_invalid', { path: file, reason }, cause === undefined ? {} : { cause });
}
