/**
 * KV from one element type to another: what a pool has in float32 or float16 may be stored in less.
 * Knows elements and rows; `block-codec.ts` knows the header.
 *
 * A payload is `[layer][k|v][kv head][token][dim]`; int8 has a float32 scale per row of `dim` behind all rows, amax / 127,
 * as the pool's own int8 (kernels/src/append_token.cc).
 */
import type { KvDtype } from '../kernels/native-addon.js';

/** What `--store-values` may say. */
export type StoreValues = 'pool' | 'float16' | 'int8';

const ELEMENT_BYTES = { float32: 4, float16: 2, bfloat16: 2, int8: 1 } as const;
/** Elements converted in one turn of the event loop: some milliseconds. */
const ELEMENTS_PER_TURN = 256 * 1024;

/** The type in which blocks of a pool are stored. Nothing is stored in more bytes than the pool has. */
export function storedDtype(pool: KvDtype, values: StoreValues): KvDtype {
  if (values === 'int8') return 'int8';
  return values === 'float16' && pool === 'float32' ? 'float16' : pool;
}

/** @param rows of `dim` elements each @returns a new payload */
export async function converted(payload: Uint8Array, rows: number, dim: number, from: KvDtype, to: KvDtype) {
  const source = new Rows(aligned(payload), rows, dim, from);
  const target = new Rows(new Uint8Array(bytesOf(rows, dim, to)), rows, dim, to);
  const rowsPerTurn = Math.max(1, Math.floor(ELEMENTS_PER_TURN / dim));
  const values = new Float32Array(dim);
  const bits = new Uint32Array(values.buffer);
  for (let row = 0; row < rows; row++) {
    if (row % rowsPerTurn === rowsPerTurn - 1) await new Promise(setImmediate);
    source.read(row, values, bits);
    target.write(row, values, bits);
  }
  return target.written;
}

function bytesOf(rows: number, dim: number, dtype: KvDtype): number {
  return rows * (dim * ELEMENT_BYTES[dtype] + (dtype === 'int8' ? 4 : 0));
}

/** Views of four bytes need their alignment. */
function aligned(payload: Uint8Array): Uint8Array {
  return payload.byteOffset % 4 === 0 ? payload : new Uint8Array(payload);
}

class Rows {
  readonly bytes: Uint8Array;
  readonly #dim: number;
  readonly #dtype: KvDtype;
  readonly #words: Float32Array | Uint16Array | Int8Array;
  /** float32 [rows], of int8. */
  readonly #scales: Float32Array;

  constructor(bytes: Uint8Array, rows: number, dim: number, dtype: KvDtype) {
    const { buffer, byteOffset } = bytes;
    const count = rows * dim;
    this.bytes = bytes;
    this.#dim = dim;
    this.#dtype = dtype;
    if (dtype === 'float32') this.#words = new Float32Array(buffer, byteOffset, count);
    else if (dtype === 'int8') this.#words = new Int8Array(buffer, byteOffset, count);
    else this.#words = new Uint16Array(buffer, byteOffset, count);
    // Rows of `dim` bytes may end where no float32 may begin.
    const behind = new Uint8Array(dtype === 'int8' ? bytes.subarray(count, count + rows * 4) : []);
    this.#scales = new Float32Array(behind.buffer);
  }

  /** @param bits the same memory as `values` */
  read(row: number, values: Float32Array, bits: Uint32Array): void {
    const dim = this.#dim;
    const at = row * dim;
    const words = this.#words;
    if (this.#dtype === 'float32') values.set(words.subarray(at, at + dim));
    else if (this.#dtype === 'float16') {
      const table = float16Values();
      for (let d = 0; d < dim; d++) values[d] = table[words[at + d] as number] as number;
    } else if (this.#dtype === 'bfloat16') {
      for (let d = 0; d < dim; d++) bits[d] = (words[at + d] as number) << 16;
    } else {
      const scale = this.#scales[row] as number;
      for (let d = 0; d < dim; d++) values[d] = (words[at + d] as number) * scale;
    }
  }

  /** @param bits the same memory as `values` */
  write(row: number, values: Float32Array, bits: Uint32Array): void {
    const dim = this.#dim;
    const at = row * dim;
    const words = this.#words;
    if (this.#dtype === 'float32') words.set(values, at);
    else if (this.#dtype === 'float16') {
      for (let d = 0; d < dim; d++) words[at + d] = toFloat16(bits[d] as number);
    } else if (this.#dtype === 'bfloat16') {
      for (let d = 0; d < dim; d++) words[at + d] = toBfloat16(bits[d] as number);
    } else {
      let most = 0;
      for (let d = 0; d < dim; d++) {
        const size = Math.abs(values[d] as number);
        if (size > most) most = size;
      }
      const inverse = most > 0 ? 127 / most : 0;
      for (let d = 0; d < dim; d++) words[at + d] = Math.round((values[d] as number) * inverse);
      this.#scales[row] = most / 127;
    }
  }

  /** The payload, once every row is written. */
  get written(): Uint8Array {
    const { buffer, byteOffset, byteLength } = this.#scales;
    if (byteLength > 0) this.bytes.set(new Uint8Array(buffer, byteOffset, byteLength), this.#words.length);
    return this.bytes;
  }
}

let table: Float32Array | undefined;

/** float32 [65536]: the value of each float16 by its bits. */
function float16Values(): Float32Array {
  table ??= Float32Array.from({ length: 65_536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  return table;
}

/** Rounds to nearest even. What is too large becomes the largest finite value. @param bits of a float32 */
function toFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const fraction = bits & 0x7fffff;
  if (exponent > 0 && exponent < 30) {
    return (sign | (exponent << 10)) + ((fraction + 0xfff + ((fraction >>> 13) & 1)) >>> 13);
  }
  if (exponent === 143) return sign | (fraction === 0 ? 0x7c00 : 0x7e00);
  if (exponent >= 31) return sign | 0x7bff;
  if (exponent < -10) return sign;
  // Subnormals shift the leading one in.
  const [significand, shift, base] =
    exponent > 0 ? [fraction, 13, exponent << 10] : [fraction | 0x800000, 14 - exponent, 0];
  const half = base + (significand >>> shift);
  const rest = significand & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  const rounded = half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0);
  return sign | Math.min(rounded, 0x7bff);
}

/** Rounds to nearest even. @param bits of a float32 */
function toBfloat16(bits: number): number {
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
