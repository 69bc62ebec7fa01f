/**
 * Reads the head of a GGUF file: its metadata, and where each tensor lies. Proves that all of it lies inside the file.
 * Layout: magic, version, two counts, metadata (key, type, value), tensor infos (name, sizes, type, offset), padding,
 * then the tensors' bytes. Little-endian. Source: docs/gguf.md of the ggml project.
 * Knows bytes only; `gguf-file.ts` opens files. Everything here treats its input as hostile.
 *
 * Words: metadata = the file's settings by name, for example `llama.block_count`; block = the weights that share a scale.
 */
import { BlockstitchError } from '../errors.js';
import { ByteReader, NeedsMore } from './byte-reader.js';
import { GGUF_BLOCKS, GGUF_TYPE_NAMES, type GgufTensorType } from './gguf-types.js';

export type GgufNumbers = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array;
/** Whole numbers beyond 2^53 are `bigint`. */
export type GgufValue = string | number | bigint | boolean | readonly string[] | GgufNumbers | Wide;
type Wide = BigUint64Array | BigInt64Array | Float64Array;

export interface GgufTensor {
  name: string;
  type: GgufTensorType;
  /** Sizes, outermost first (the file has them innermost first); each >= 1. */
  shape: readonly number[];
  /** Offset of the first byte from the start of the file. */
  offset: number;
  bytes: number;
}

export interface GgufHeader {
  metadata: ReadonlyMap<string, GgufValue>;
  /** In the order of their offsets. */
  tensors: readonly GgufTensor[];
}

/** Longer heads are refused: the largest real ones (a vocabulary of 262,144 tokens with merges) have about 15 MB. */
export const MAX_HEAD_BYTES = 128 * 2 ** 20;

const MAGIC = 0x46554747;
const VERSIONS = [2, 3];
const MAX_ENTRIES = 65_536;
const MAX_TENSORS = 65_536;
const MAX_KEY_BYTES = 65_535;
const MAX_NAME_BYTES = 1024;
/** Strings of one list: the ids of tokens are below 2^24, real vocabularies below 2^19. */
const MAX_STRINGS = 2 ** 21;
const MAX_DIMENSIONS = 4;
/** Bytes that the shortest entry takes: the length of a key, a type and a value of one byte. */
const LEAST_ENTRY_BYTES = 13;
/** Bytes that the shortest tensor info takes. */
const LEAST_INFO_BYTES = 24;
const DEFAULT_ALIGNMENT = 32;

/** Types of metadata values, by their numbers. */
const SCALARS = [
  { name: 'uint8', array: Uint8Array },
  { name: 'int8', array: Int8Array },
  { name: 'uint16', array: Uint16Array },
  { name: 'int16', array: Int16Array },
  { name: 'uint32', array: Uint32Array },
  { name: 'int32', array: Int32Array },
  { name: 'float32', array: Float32Array },
  { name: 'bool', array: Uint8Array },
  undefined,
  undefined,
  { name: 'uint64', array: BigUint64Array },
  { name: 'int64', array: BigInt64Array },
  { name: 'float64', array: Float64Array },
] as const;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/**
 * @param prefix the file's first bytes
 * @param fileBytes size of the whole file
 * @returns undefined if the head goes on behind the prefix
 * @throws BlockstitchError `checkpoint_invalid` with the file and the fault
 */
export function parseGgufHeader(file: string, prefix: Uint8Array, fileBytes: number): GgufHeader | undefined {
  const reader = new ByteReader(file, prefix, fileBytes, MAX_HEAD_BYTES);
  try {
    const { entries, tensors: count } = readCounts(reader);
    const metadata = readMetadata(reader, entries);
    refuseSplit(reader, metadata);
    const alignment = readAlignment(reader, metadata);
    const infos = readInfos(reader, count);
    const dataStart = Math.ceil(reader.offset / alignment) * alignment;
    const tensors = infos.map((info) => ({ ...info, offset: dataStart + info.offset }));
    checkPlaces(reader, tensors, alignment, dataStart);
    return { metadata, tensors };
  } catch (error) {
    if (error instanceof NeedsMore) return undefined;
    throw error;
  }
}

function readCounts(reader: ByteReader): { entries: number; tensors: number } {
  if (reader.fileBytes < 24) reader.fail(`it has ${reader.fileBytes} bytes, too few for a GGUF file`);
  if (reader.uint32() !== MAGIC) reader.fail('it does not begin with GGUF: it is of another format');
  const version = reader.uint32();
  if (version > 0xffff) reader.fail('it is big-endian, which is unsupported');
  if (!VERSIONS.includes(version)) reader.fail(`its GGUF version ${version} is unsupported (known: 2, 3)`);
  const tensors = reader.count('tensors', MAX_TENSORS, LEAST_INFO_BYTES);
  const entries = reader.count('metadata entries', MAX_ENTRIES, LEAST_ENTRY_BYTES);
  return { entries, tensors };
}

function readMetadata(reader: ByteReader, entries: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < entries; index++) {
    const key = reader.string(`the name of metadata entry ${index}`, MAX_KEY_BYTES);
    if (key === '') reader.fail(`its metadata entry ${index} has no name`);
    if (metadata.has(key)) reader.fail(`its metadata names ${shown(key)} twice`);
    metadata.set(key, readValue(reader, key));
  }
  return metadata;
}

function readValue(reader: ByteReader, key: string): GgufValue {
  const type = reader.uint32();
  if (type === STRING) return reader.string(key);
  if (type === ARRAY) return readArray(reader, key);
  const value = readNumbers(reader, key, type, 1)[0] as number | bigint;
  if (type === BOOL) {
    if (value !== 0 && value !== 1) reader.fail(`its ${shown(key)} is ${value}, not a bool`);
    return value === 1;
  }
  const small = Number(value);
  return typeof value === 'bigint' && Number.isSafeInteger(small) ? small : value;
}

function readArray(reader: ByteReader, key: string): GgufValue {
  const type = reader.uint32();
  if (type === ARRAY) reader.fail(`its ${shown(key)} is a list of lists, which is unsupported`);
  if (type !== STRING) {
    const bytes = SCALARS[type]?.array.BYTES_PER_ELEMENT ?? 1;
    return readNumbers(reader, key, type, reader.count(`values of ${key}`, MAX_HEAD_BYTES, bytes));
  }
  const length = reader.count(`strings of ${key}`, MAX_STRINGS, 8);
  const strings: string[] = [];
  for (let index = 0; index < length; index++) strings.push(reader.string(key));
  return strings;
}

function readNumbers(reader: ByteReader, key: string, type: number, length: number): GgufNumbers | Wide {
  const scalar = SCALARS[type];
  if (scalar === undefined) return reader.fail(`its ${shown(key)} is of the unknown type ${type}`);
  // A copy, because the place in the file may be at any alignment.
  const { buffer } = new Uint8Array(reader.take(key, length * scalar.array.BYTES_PER_ELEMENT));
  return new scalar.array(buffer);
}

function refuseSplit(reader: ByteReader, metadata: ReadonlyMap<string, GgufValue>): void {
  const count = Number(metadata.get('split.count') ?? 1);
  if (count === 1) return;
  const number = Number(metadata.get('split.no') ?? 0) + 1;
  reader.fail(
    `it is part ${number} of a model that is split into ${count} files, which is unsupported: join them with ` +
      'llama-gguf-split --merge',
  );
}

function readAlignment(reader: ByteReader, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const isPower = typeof alignment === 'number' && Number.isInteger(Math.log2(alignment));
  if (!isPower || alignment < 8 || alignment > 65_536) {
    return reader.fail(`its general.alignment is ${shown(String(alignment))}, not a power of two from 8 to 65536`);
  }
  return alignment;
}

/** Offsets count from the start of the tensors' bytes. */
function readInfos(reader: ByteReader, count: number): GgufTensor[] {
  const names = new Set<string>();
  const infos: GgufTensor[] = [];
  for (let index = 0; index < count; index++) {
    const name = reader.string(`the name of tensor ${index}`, MAX_NAME_BYTES);
    if (names.has(name)) reader.fail(`it names the tensor ${shown(name)} twice`);
    names.add(name);
    const where = `tensor ${shown(name)}`;
    const dimensions = reader.uint32();
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) reader.fail(`${where} has ${dimensions} dimensions, not 1 to 4`);
    const sizes = Array.from({ length: dimensions }, () => reader.size(`a size of ${where}`));
    const elements = sizes.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(elements) || elements < 1) {
      reader.fail(`${where} of [${sizes.join(', ')}] has no weights, or too many`);
    }
    const type = readType(reader, where);
    const block = GGUF_BLOCKS[type];
    const inner = sizes[0] as number;
    if (inner % block.weights !== 0) {
      reader.fail(`${where} of ${type} has rows of ${inner}, not a multiple of ${block.weights}`);
    }
    const offset = reader.size(`the offset of ${where}`);
    infos.push({ name, type, shape: sizes.reverse(), offset, bytes: (elements / block.weights) * block.bytes });
  }
  return infos;
}

function readType(reader: ByteReader, where: string): GgufTensorType {
  const number = reader.uint32();
  const name = GGUF_TYPE_NAMES[number] ?? `number ${number}`;
  if (Object.hasOwn(GGUF_BLOCKS, name)) return name as GgufTensorType;
  const known = Object.keys(GGUF_BLOCKS).join(', ');
  return reader.fail(`${where} has the type ${name}, which is unsupported (known: ${known})`);
}

/** Tensors follow one another, each at the next multiple of the alignment, as ggml itself asks. Sorts them by offset. */
function checkPlaces(reader: ByteReader, tensors: GgufTensor[], alignment: number, dataStart: number): void {
  tensors.sort((a, b) => a.offset - b.offset);
  let end = dataStart;
  let previous = '';
  for (const { name, offset, bytes } of tensors) {
    const expected = Math.ceil(end / alignment) * alignment;
    if (offset < expected) reader.fail(`the tensors ${shown(previous)} and ${shown(name)} overlap`);
    if (offset > expected) reader.fail(`${offset - expected} bytes before tensor ${shown(name)} are unused`);
    end = offset + bytes;
    previous = name;
    if (end > reader.fileBytes) {
      reader.fail(
        `tensor ${shown(name)} ends at ${end}, but the file has ${reader.fileBytes} bytes: it is truncated or damaged`,
      );
    }
  }
}

/** Names come from the file, so messages cut them to a length. */
function shown(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
}

/** @throws BlockstitchError `checkpoint_invalid` */
export function refuseGguf(path: string, reason: string, cause?: unknown): never {
  throw new BlockstitchError('checkpoint_invalid', { path, reason }, cause === undefined ? {} : { cause });
}
