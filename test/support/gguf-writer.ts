/** Writes GGUF files byte by byte, sound ones and damaged ones, for the tests. */
import { GGUF_BLOCKS, GGUF_TYPE_NAMES, type GgufTensorType } from '../../src/gguf/gguf-types.js';

export type Typed =
  | string
  | boolean
  | { u32: number }
  | { u64: bigint }
  | { f32: number }
  | { strings: readonly string[] }
  | { i32: readonly number[] }
  | { f32s: readonly number[] };

export interface WrittenTensor {
  name: string;
  type: GgufTensorType | number;
  /** Outermost first. */
  shape: readonly number[];
  data?: Uint8Array;
  /** Offset in the data; behind the tensor before if absent. */
  offset?: number;
}

export interface WrittenFile {
  metadata: Record<string, Typed>;
  tensors?: readonly WrittenTensor[];
}

const ALIGNMENT = 32;

export const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
export const u64 = (value: bigint | number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
export const text = (value: string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
};
const f32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};

/** A metadata value behind its type. */
export function typed(value: Typed): Buffer {
  if (typeof value === 'string') return Buffer.concat([u32(8), text(value)]);
  if (typeof value === 'boolean') return Buffer.concat([u32(7), Buffer.from([value ? 1 : 0])]);
  if ('u32' in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ('u64' in value) return Buffer.concat([u32(10), u64(value.u64)]);
  if ('f32' in value) return Buffer.concat([u32(6), f32(value.f32)]);
  const list = (type: number, items: readonly Buffer[]) =>
    Buffer.concat([u32(9), u32(type), u64(items.length), ...items]);
  if ('strings' in value) return list(8, value.strings.map(text));
  if ('i32' in value) return list(5, [Buffer.from(Int32Array.from(value.i32).buffer)].flatMap(split4));
  return list(6, value.f32s.map(f32));
}

function split4(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.subarray(index * 4, index * 4 + 4));
}

/** Magic, version and counts. */
export function head(tensors: bigint | number, entries: bigint | number, version = 3): Buffer {
  return Buffer.concat([Buffer.from('GGUF'), u32(version), u64(tensors), u64(entries)]);
}

export function ggufFile({ metadata, tensors = [] }: WrittenFile): Buffer {
  const parts = [head(tensors.length, Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) parts.push(text(key), typed(value));
  const data: Buffer[] = [];
  let end = 0;
  for (const tensor of tensors) {
    const { name, type, shape } = tensor;
    const offset = tensor.offset ?? end;
    const number = typeof type === 'number' ? type : typeNumber(type);
    parts.push(text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(number), u64(offset));
    const bytes = padded(Buffer.from(tensor.data ?? new Uint8Array(tensorBytes(tensor))));
    data.push(bytes);
    end += bytes.length;
  }
  return Buffer.concat([padded(Buffer.concat(parts)), ...data]);
}

export function tensorBytes({ type, shape }: Pick<WrittenTensor, 'type' | 'shape'>): number {
  const block = typeof type === 'number' ? { weights: 1, bytes: 1 } : GGUF_BLOCKS[type];
  return (shape.reduce((product, size) => product * size, 1) / block.weights) * block.bytes;
}

function typeNumber(type: GgufTensorType): number {
  return Number(Object.keys(GGUF_TYPE_NAMES).find((number) => GGUF_TYPE_NAMES[Number(number)] === type));
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)]);
}
