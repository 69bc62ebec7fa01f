/**
 * The stored form of a block: an 80-byte header, then the payload as the engine laid it out.
 * Knows bytes, shape and checksum. What is wrong with a value is a return value here, never an exception: a store may
 * hold anything.
 *
 * Header, little endian: 0 magic `BSKV` | 4 version u32 | 8 fingerprint 32 bytes | 40 layers u32 | 44 kvHeads u32 |
 * 48 headDim u32 | 52 dtype u32 | 56 tokens u32 | 60 zero u32 | 64 payload bytes u64 | 72 zero u32 |
 * 76 CRC-32 (zlib) of bytes 0..76 and of the payload.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { KvDtype } from '../kernels/native-addon.js';
import type { BlockShape, BlockValue } from './block-store.js';

export const CODEC_VERSION = 1;
export const HEADER_BYTES = 80;

const MAGIC = Buffer.from('BSKV');
const CHECKSUM_AT = 76;
const DTYPES: readonly KvDtype[] = ['float32', 'float16', 'bfloat16', 'int8'];
const ELEMENT_BYTES: Record<KvDtype, number> = { float32: 4, float16: 2, bfloat16: 2, int8: 1 };
/** Bytes between two looks at the event loop: a few milliseconds of CRC. */
const TURN_BYTES = 16 * 1024 * 1024;

export type CorruptReason =
  | 'too short'
  | 'no block'
  | 'unknown version'
  | 'wrong length'
  | 'wrong checksum'
  | 'other model'
  | 'other shape';

export type DecodedBlock = { ok: true; value: BlockValue } | { ok: false; reason: CorruptReason };

/** Bytes of the payload of `tokens` tokens: `[layer][k|v][kv head][token][dim]`, for int8 one float32 scale per row more. */
export function payloadBytes(shape: BlockShape, tokens: number): number {
  const rows = shape.layers * 2 * shape.kvHeads * tokens;
  return rows * (shape.headDim * ELEMENT_BYTES[shape.dtype] + (shape.dtype === 'int8' ? 4 : 0));
}

/**
 * @returns header and payload in one buffer (the payload is copied once)
 * @throws TypeError when the payload has not the size that shape and tokens give
 */
export async function encodeBlock(shape: BlockShape, value: BlockValue): Promise<Uint8Array> {
  const { tokens, payload } = value;
  if (!/^[0-9a-f]{64}$/.test(shape.fingerprint)) throw new TypeError('fingerprint is not a hex SHA-256');
  if (tokens < 1 || payload.byteLength !== payloadBytes(shape, tokens)) {
    throw new TypeError(`${payload.byteLength} bytes are no payload of ${tokens} tokens`);
  }
  const encoded = Buffer.allocUnsafeSlow(HEADER_BYTES + payload.byteLength);
  encoded.set(MAGIC, 0);
  encoded.writeUInt32LE(CODEC_VERSION, 4);
  encoded.write(shape.fingerprint, 8, 'hex');
  encoded.writeUInt32LE(shape.layers, 40);
  encoded.writeUInt32LE(shape.kvHeads, 44);
  encoded.writeUInt32LE(shape.headDim, 48);
  encoded.writeUInt32LE(DTYPES.indexOf(shape.dtype), 52);
  encoded.writeUInt32LE(tokens, 56);
  encoded.writeUInt32LE(0, 60);
  encoded.writeBigUInt64LE(BigInt(payload.byteLength), 64);
  encoded.writeUInt32LE(0, 72);
  let sum = crc32(encoded.subarray(0, CHECKSUM_AT));
  for (let at = 0; at < payload.byteLength; at += TURN_BYTES) {
    if (at > 0) await nextTurn();
    const piece = payload.subarray(at, at + TURN_BYTES);
    encoded.set(piece, HEADER_BYTES + at);
    sum = crc32(piece, sum);
  }
  encoded.writeUInt32LE(sum, CHECKSUM_AT);
  return encoded;
}

/** Checks a stored value. The payload returned is a view of `bytes`: nothing is copied. */
export async function decodeBlock(shape: BlockShape, bytes: Uint8Array): Promise<DecodedBlock> {
  const refuse = (reason: CorruptReason): DecodedBlock => ({ ok: false, reason });
  if (bytes.byteLength < HEADER_BYTES) return refuse('too short');
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  if (!header.subarray(0, 4).equals(MAGIC)) return refuse('no block');
  if (header.readUInt32LE(4) !== CODEC_VERSION) return refuse('unknown version');
  if (header.readBigUInt64LE(64) !== BigInt(bytes.byteLength - HEADER_BYTES)) return refuse('wrong length');
  let sum = crc32(header.subarray(0, CHECKSUM_AT));
  for (let at = HEADER_BYTES; at < bytes.byteLength; at += TURN_BYTES) {
    if (at > HEADER_BYTES) await nextTurn();
    sum = crc32(bytes.subarray(at, at + TURN_BYTES), sum);
  }
  if (sum !== header.readUInt32LE(CHECKSUM_AT)) return refuse('wrong checksum');
  if (header.toString('hex', 8, 40) !== shape.fingerprint) return refuse('other model');
  const tokens = header.readUInt32LE(56);
  const sameShape =
    header.readUInt32LE(40) === shape.layers &&
    header.readUInt32LE(44) === shape.kvHeads &&
    header.readUInt32LE(48) === shape.headDim &&
    DTYPES[header.readUInt32LE(52)] === shape.dtype;
  if (!sameShape || tokens < 1) return refuse('other shape');
  if (bytes.byteLength - HEADER_BYTES !== payloadBytes(shape, tokens)) return refuse('wrong length');
  return { ok: true, value: { tokens, payload: bytes.subarray(HEADER_BYTES) } };
}
