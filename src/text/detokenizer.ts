/**
 * Turns a stream of token ids into text, piece by piece. Never gives out part of a character: bytes that may still
 * become one are held back until they do, or until it is certain that they cannot.
 * All pieces together (with `flush`) are the text that decoding all ids at once gives.
 */
import type { TokenPiece } from './token-pieces.js';

export interface DetokenizerSource {
  /** @returns undefined for ids that are skipped */
  pieceOf(id: number): TokenPiece | undefined;
  stripStart: number;
}

export class Detokenizer {
  readonly #source: DetokenizerSource;
  #held: number[] = [];
  #heldAreBytes = false;
  #toStrip: number;

  constructor(source: DetokenizerSource) {
    this.#source = source;
    this.#toStrip = source.stripStart;
  }

  /** @returns the text that has become certain with this token; may be empty */
  push(id: number): string {
    const piece = this.#source.pieceOf(id);
    if (!piece) return '';
    let text = '';
    if (piece.isByte !== this.#heldAreBytes) text = this.#release();
    this.#heldAreBytes = piece.isByte;
    if (this.#held.length === 0 && !piece.isByte && isAscii(piece.bytes)) {
      return this.#strip(text + String.fromCharCode(...piece.bytes));
    }
    for (const byte of piece.bytes) this.#held.push(byte);
    return this.#strip(text + this.#take(false));
  }

  /** @returns what was held back; broken characters as U+FFFD */
  flush(): string {
    return this.#strip(this.#release());
  }

  #release(): string {
    return this.#take(true);
  }

  /** Decodes complete characters; with `all` also the bytes that will never become one. */
  #take(all: boolean): string {
    const bytes = this.#held;
    let text = '';
    let at = 0;
    while (at < bytes.length) {
      const { length, complete, valid } = readCharacter(bytes, at);
      if (!complete && !all) break;
      if (valid && complete) text += decodeValid(bytes, at, length);
      else if (this.#heldAreBytes) text += '\uFFFD'.repeat(length);
      else text += '\uFFFD';
      at += length;
    }
    this.#held = bytes.slice(at);
    return text;
  }

  /** Takes away leading spaces of the whole output, as SentencePiece tokenizers ask. */
  #strip(text: string): string {
    if (this.#toStrip === 0 || text === '') return text;
    let spaces = 0;
    while (spaces < this.#toStrip && text[spaces] === ' ') spaces += 1;
    this.#toStrip = spaces === text.length ? this.#toStrip - spaces : 0;
    return text.slice(spaces);
  }
}

interface CharacterSpan {
  /** Bytes of the character, or of the maximal broken part that one U+FFFD stands for (Unicode, 3.9). */
  length: number;
  /** False where more bytes are needed to tell. */
  complete: boolean;
  valid: boolean;
}

function readCharacter(bytes: readonly number[], start: number): CharacterSpan {
  const lead = bytes[start] as number;
  if (lead < 0x80) return { length: 1, complete: true, valid: true };
  let needed: number;
  let low = 0x80;
  let high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) needed = 1;
  else if (lead >= 0xe0 && lead <= 0xef) {
    needed = 2;
    if (lead === 0xe0) low = 0xa0;
    if (lead === 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    needed = 3;
    if (lead === 0xf0) low = 0x90;
    if (lead === 0xf4) high = 0x8f;
  } else return { length: 1, complete: true, valid: false };
  for (let offset = 1; offset <= needed; offset += 1) {
    const byte = bytes[start + offset];
    if (byte === undefined) return { length: offset, complete: false, valid: true };
    if (byte < low || byte > high) return { length: offset, complete: true, valid: false };
    low = 0x80;
    high = 0xbf;
  }
  return { length: needed + 1, complete: true, valid: true };
}

function decodeValid(bytes: readonly number[], start: number, length: number): string {
  let code = bytes[start] as number;
  if (length === 1) return String.fromCharCode(code);
  code &= 0xff >> (length + 1);
  for (let offset = 1; offset < length; offset += 1) code = (code << 6) | ((bytes[start + offset] as number) & 0x3f);
  return String.fromCodePoint(code);
}

function isAscii(bytes: Uint8Array): boolean {
  if (bytes.length > 256) return false;
  for (const byte of bytes) if (byte >= 0x80) return false;
  return true;
}
