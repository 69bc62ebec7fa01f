/**
 * Reads the head of a binary file value by value, little-endian. Holds each length against the file's size before it
 * takes a byte, so a length of 2^60 costs nothing.
 * Knows numbers and strings; `gguf-header.ts` knows their order.
 */
import { BlockstitchError } from '../errors.js';

/** The value lies behind the bytes that were read of the file. */
export class NeedsMore extends Error {
  override readonly name = 'NeedsMore';
}

export class ByteReader {
  readonly fileBytes: number;
  readonly #file: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limit: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #offset = 0;

  /**
   * @param bytes the file's first bytes
   * @param limit longest head in bytes
   */
  constructor(file: string, bytes: Uint8Array, fileBytes: number, limit: number) {
    this.#file = file;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fileBytes = fileBytes;
    this.#limit = limit;
  }

  get offset(): number {
    return this.#offset;
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance('a number', 4), true);
  }

  /** A whole number of 64 bits that is exact in a float64. */
  size(what: string): number {
    const value = this.#view.getBigUint64(this.#advance(what, 8), true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.fail(`${what} is ${value}`);
    return Number(value);
  }

  /** A number of things, of which each takes at least `leastBytes`. */
  count(what: string, most: number, leastBytes: number): number {
    const value = this.#view.getBigUint64(this.#advance(`the number of ${what}`, 8), true);
    const fits = BigInt(Math.floor((this.fileBytes - this.#offset) / leastBytes));
    if (value > BigInt(most)) this.fail(`it claims ${value} ${cut(what)}, more than the limit of ${most}`);
    if (value > fits) this.fail(`it claims ${value} ${cut(what)}, more than fit into the file: it is truncated`);
    return Number(value);
  }

  /** UTF-8, behind its length in bytes. */
  string(what: string, mostBytes = this.#limit): string {
    const length = this.#view.getBigUint64(this.#advance(`the length of ${what}`, 8), true);
    if (length > BigInt(mostBytes)) this.fail(`${cut(what)} has ${length} bytes, more than the limit of ${mostBytes}`);
    const bytes = this.take(what, Number(length));
    try {
      return this.#decoder.decode(bytes);
    } catch {
      return this.fail(`${cut(what)} is not UTF-8`);
    }
  }

  /** The next bytes, as they lie. */
  take(what: string, length: number): Uint8Array {
    const start = this.#advance(what, length);
    return this.#bytes.subarray(start, start + length);
  }

  fail(reason: string): never {
    throw new BlockstitchError('checkpoint_invalid', { path: this.#file, reason });
  }

  #advance(what: string, length: number): number {
    const start = this.#offset;
    const end = start + length;
    if (end > this.fileBytes) this.fail(`it is truncated: it ends within ${cut(what)}`);
    if (end > this.#limit) this.fail(`its head is longer than the limit of ${this.#limit} bytes`);
    if (end > this.#bytes.byteLength) throw new NeedsMore();
    this.#offset = end;
    return start;
  }
}

/** Names come from the file, so messages cut them to a length. */
function cut(what: string): string {
  return what.length > 120 ? `${what.slice(0, 120)}...` : what;
}
