/**
 * Widens stored weights to float32. bfloat16 is the upper half of a float32; float16 goes through a table of all
 * 65,536 values. Knows element types only.
 */
import type { FloatDtype } from './stored-dtype.js';

let float16Table: Float32Array | undefined;

/**
 * @param bytes little-endian elements, at any alignment
 * @param target float32 [elements], filled from its start
 */
export function widen(dtype: FloatDtype, bytes: Uint8Array, target: Float32Array): void {
  if (dtype === 'F32') {
    new Uint8Array(target.buffer, target.byteOffset, bytes.byteLength).set(bytes);
    return;
  }
  const source = halfWords(bytes);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(target.buffer, target.byteOffset, source.length);
    for (let i = 0; i < source.length; i++) bits[i] = (source[i] as number) << 16;
    return;
  }
  const table = float16Values();
  for (let i = 0; i < source.length; i++) target[i] = table[source[i] as number] as number;
}

/** float32 [65536]: the value of each float16 by its bits. */
export function float16Values(): Float32Array {
  float16Table ??= buildFloat16Table();
  return float16Table;
}

/** Rounds float32 to bfloat16, to nearest even. For writers of checkpoints; there must be no NaN. */
export function narrowToBfloat16(source: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    target[i] = (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
}

/** The bytes as 16-bit words. They are copied only if they are not aligned. */
function halfWords(bytes: Uint8Array): Uint16Array {
  if (bytes.byteOffset % 2 === 0) return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
  return new Uint16Array(new Uint8Array(bytes).buffer);
}

function buildFloat16Table(): Float32Array {
  const table = new Float32Array(65_536);
  for (let bits = 0; bits < table.length; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 0x1f) table[bits] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}
