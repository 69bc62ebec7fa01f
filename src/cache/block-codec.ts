/**
 * A block's KV as bytes in a store: a header of 128 bytes, then the payload.
 * Knows the format and checks all of it. A value that fails a check is refused with a reason; nothing is thrown.
 *
 * Header (little-endian): magic "BSKV" · u32 version · 32 bytes fingerprint · u32 layers, kv heads, head dim, dtype,
 * tokens · u32 zero · u64 payload bytes · u32 CRC-32 of the payload · 32 bytes SHA-256 of the key · 16 bytes MAC ·
 * u32 CRC-32 of the header before it.
 *
 * The checksums prove that the bytes are whole. The key's hash proves that they belong to this block: a store may give
 * back a sound value of another key (a restore, a shifted reply, another writer). The MAC, if keys are given, proves that
 * a server with a key wrote all of this; it is zero otherwise, and then nobody asks for it.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BLOCK_FORMAT_VERSION } from './block-key.js';
import { MAC_BYTES, type StoreMacs } from './store-macs.js';
import { converted } from './stored-form.js';
import type { BlockKey, BlockShape, BlockValue } from './tiers.js';

export const HEADER_BYTES = 128;
const PAYLOAD_CRC_AT = 72;
const KEY_HASH_AT = 76;
const MAC_AT = KEY_HASH_AT + 32;
const HEADER_CRC_AT = HEADER_BYTES - 4;
const SLICE_BYTES = 8 * 1024 * 1024;
const MAGIC = 0x564b5342;
const DTYPES = ['float32', 'float16', 'bfloat16', 'int8'] as const;
const ELEMENT_BYTES = { float32: 4, float16: 2, bfloat16: 2, int8: 1 } as const;

/**
 * Copies a payload to where it is wanted, in the form of the pool.
 * @returns CRC-32 of what was copied; undefined if nothing was
 */
export type PlacePayload = (tokens: number, payload: Uint8Array) => Promise<number | undefined>;

export type Decoded = { ok: true; value: BlockValue; placed: boolean } | { ok: false; reason: string };

/** Bytes of the payload of `tokens` tokens: int8 carries a float32 scale per token and head. */
export function payloadBytes(shape: BlockShape, tokens: number): number {
  return rowsOf(shape, tokens) * (shape.headDim * ELEMENT_BYTES[shape.dtype] + (shape.dtype === 'int8' ? 4 : 0));
}

/** Rows of `headDim` elements. */
function rowsOf({ layers, kvHeads }: BlockShape, tokens: number): number {
  return layers * 2 * kvHeads * tokens;
}

/**
 * @param key   the key under which the value will be stored
 * @param macs  signs it; without keys nobody does
 * @param dtype element type in the store; the pool's by default
 * @throws TypeError when the payload does not have the length that shape and tokens ask for
 */
export async function encodeBlock(
  shape: BlockShape,
  key: BlockKey,
  value: BlockValue,
  macs?: StoreMacs,
  dtype = shape.dtype,
): Promise<Uint8Array> {
  const wanted = payloadBytes(shape, value.tokens);
  if (value.payload.byteLength !== wanted) {
    throw new TypeError(`payload of ${value.payload.byteLength} bytes, ${wanted} expected`);
  }
  const stored = { ...shape, dtype };
  const expected = payloadBytes(stored, value.tokens);
  const payload =
    dtype === shape.dtype
      ? value.payload
      : await converted(value.payload, rowsOf(shape, value.tokens), shape.headDim, shape.dtype, dtype);
  const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + expected).fill(0, 0, HEADER_BYTES);
  writeHeader(bytes, stored, value.tokens, expected);
  bytes.set(payload, HEADER_BYTES);
  const known = payload === value.payload ? value.crc32 : undefined;
  bytes.writeUInt32LE(known ?? (await checksum(payload)), PAYLOAD_CRC_AT);
  bytes.set(hashOf(key), KEY_HASH_AT);
  if (macs) bytes.set(await macs.sign([bytes.subarray(0, MAC_AT), payload]), MAC_AT);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  return bytes;
}

/**
 * The payload of the result shares memory with `bytes`, unless the value was stored in another element type: then it is
 * converted to that of `shape`.
 *
 * @param key   the key that was asked for
 * @param macs  believes the value only if one of its keys signed it
 * @param place called at most once, as soon as the header is sound, where the value has the form of the pool: it takes the
 *   checksum with the copy. What it copied counts only if the answer is `ok` and says `placed`
 */
export async function decodeBlock(
  shape: BlockShape,
  key: BlockKey,
  bytes: Uint8Array,
  macs?: StoreMacs,
  place?: PlacePayload,
): Promise<Decoded> {
  if (bytes.byteLength < HEADER_BYTES) return { ok: false, reason: 'shorter than its header' };
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.readUInt32LE(0) !== MAGIC) return { ok: false, reason: 'wrong magic' };
  if (view.readUInt32LE(HEADER_CRC_AT) !== crc32(view.subarray(0, HEADER_CRC_AT))) {
    return { ok: false, reason: 'header checksum' };
  }
  const tokens = view.readUInt32LE(56);
  const stored = { ...shape, dtype: DTYPES[view.readUInt32LE(52)] ?? shape.dtype };
  const header = Buffer.alloc(HEADER_BYTES);
  const expected = payloadBytes(stored, tokens);
  writeHeader(header, stored, tokens, expected);
  if (!header.subarray(0, PAYLOAD_CRC_AT).equals(view.subarray(0, PAYLOAD_CRC_AT))) {
    return { ok: false, reason: 'made by another model, dtype or version' };
  }
  if (!hashOf(key).equals(view.subarray(KEY_HASH_AT, KEY_HASH_AT + 32))) {
    return { ok: false, reason: 'the value of another key' };
  }
  if (bytes.byteLength !== HEADER_BYTES + expected) return { ok: false, reason: 'wrong length' };
  const payload = bytes.subarray(HEADER_BYTES);
  const own = stored.dtype === shape.dtype;
  const copied = own ? await place?.(tokens, payload) : undefined;
  const sum = copied ?? (await checksum(payload));
  if (view.readUInt32LE(PAYLOAD_CRC_AT) !== sum) return { ok: false, reason: 'payload checksum' };
  const mac = view.subarray(MAC_AT, MAC_AT + MAC_BYTES);
  if (macs && !(await macs.holds(mac, [view.subarray(0, MAC_AT), payload]))) {
    return { ok: false, reason: mac.every((byte) => byte === 0) ? 'not signed' : 'signed with another key' };
  }
  if (own) return { ok: true, value: { tokens, payload, crc32: sum }, placed: copied !== undefined };
  const ownForm = await converted(payload, rowsOf(shape, tokens), shape.headDim, stored.dtype, shape.dtype);
  return { ok: true, value: { tokens, payload: ownForm }, placed: false };
}

export type Inspected = { ok: true; shape: BlockShape; tokens: number } | { ok: false; reason: string };

/**
 * Checks a stored value of whatever model: its checksums, its key, its length, and its signature if keys are given.
 * @returns what its header says of it
 */
export async function inspectBlock(key: BlockKey, bytes: Uint8Array, macs?: StoreMacs): Promise<Inspected> {
  if (bytes.byteLength < HEADER_BYTES) return { ok: false, reason: 'shorter than its header' };
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dtype = DTYPES[view.readUInt32LE(52)];
  if (view.readUInt32LE(0) !== MAGIC) return { ok: false, reason: 'wrong magic' };
  if (view.readUInt32LE(4) !== BLOCK_FORMAT_VERSION || dtype === undefined) {
    return { ok: false, reason: 'made by another version' };
  }
  const shape: BlockShape = {
    fingerprint: view.toString('hex', 8, 40),
    layers: view.readUInt32LE(40),
    kvHeads: view.readUInt32LE(44),
    headDim: view.readUInt32LE(48),
    dtype,
  };
  const decoded = await decodeBlock(shape, key, bytes, macs);
  return decoded.ok ? { ok: true, shape, tokens: decoded.value.tokens } : decoded;
}

/** A copy of a sound value, signed anew. */
export async function signedAnew(bytes: Uint8Array, macs: StoreMacs): Promise<Uint8Array> {
  const copy = Buffer.from(bytes);
  copy.set(await macs.sign([copy.subarray(0, MAC_AT), copy.subarray(HEADER_BYTES)]), MAC_AT);
  copy.writeUInt32LE(crc32(copy.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  return copy;
}

function hashOf(key: BlockKey): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

/** CRC-32 in slices: the event loop gets a turn between two slices. Blocks of large models have tens of megabytes. */
async function checksum(bytes: Uint8Array): Promise<number> {
  let sum = 0;
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    if (at > 0) await new Promise(setImmediate);
    sum = crc32(bytes.subarray(at, at + SLICE_BYTES), sum);
  }
  return sum;
}

function writeHeader(bytes: Buffer, shape: BlockShape, tokens: number, length: number): void {
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(BLOCK_FORMAT_VERSION, 4);
  bytes.write(shape.fingerprint, 8, 32, 'hex');
  bytes.writeUInt32LE(shape.layers, 40);
  bytes.writeUInt32LE(shape.kvHeads, 44);
  bytes.writeUInt32LE(shape.headDim, 48);
  bytes.writeUInt32LE(DTYPES.indexOf(shape.dtype), 52);
  bytes.writeUInt32LE(tokens, 56);
  bytes.writeBigUInt64LE(BigInt(length), 64);
}
