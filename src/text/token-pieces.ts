/**
 * What each token gives as output: bytes of UTF-8, from the `decoder` of tokenizer.json.
 * Decoders known: ByteLevel, Metaspace, and the SentencePiece sequence (Replace, ByteFallback, Fuse, Strip); others are
 * refused by name. Bytes make streaming exact: a character may be spread over tokens.
 */
import { bytesOfToken } from './byte-alphabet.js';
import { isObject, type JsonObject, quote, TokenizerFormatError } from './tokenizer-file.js';

export interface TokenPiece {
  bytes: Uint8Array;
  /**
   * A single byte of a byte-fallback model. What is not valid UTF-8 becomes U+FFFD byte by byte. A character is made of
   * such tokens only, never of one such token and one of another kind.
   */
  isByte: boolean;
}

export interface PieceDecoder {
  piece(token: string): TokenPiece;
  /** At most so many spaces are taken away at the very start of the output. */
  stripStart: number;
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;
const UTF8 = new TextEncoder();

/** @throws TokenizerFormatError for a decoder that is not known */
export function createPieceDecoder(config: JsonObject | undefined): PieceDecoder {
  if (config === undefined) return { piece: (token) => plain(token), stripStart: 0 };
  const steps = flatten(config);
  let byteLevel = false;
  let byteFallback = false;
  let stripStart = 0;
  const replacements: [string, string][] = [];
  for (const step of steps) {
    switch (step.type) {
      case 'ByteLevel':
        byteLevel = true;
        break;
      case 'ByteFallback':
        byteFallback = true;
        break;
      case 'Fuse':
        break;
      case 'Replace':
        replacements.push(readReplacement(step));
        break;
      case 'Strip':
        stripStart += readStrip(step);
        break;
      case 'Metaspace':
        replacements.push([typeof step.replacement === 'string' ? step.replacement : '\u2581', ' ']);
        if ((step.prepend_scheme ?? 'always') !== 'never') stripStart += 1;
        break;
      default:
        throw new TokenizerFormatError(`decoder type ${quote(step.type)} is not supported`);
    }
  }
  return {
    stripStart,
    piece: (token) => {
      if (byteLevel) return { bytes: bytesOfToken(token) ?? UTF8.encode(token), isByte: false };
      const byte = byteFallback ? BYTE_TOKEN.exec(token)?.[1] : undefined;
      if (byte !== undefined) return { bytes: Uint8Array.of(Number.parseInt(byte, 16)), isByte: true };
      let text = token;
      for (const [from, to] of replacements) text = text.split(from).join(to);
      return plain(text);
    },
  };
}

function plain(text: string): TokenPiece {
  return { bytes: UTF8.encode(text), isByte: false };
}

function flatten(config: JsonObject): JsonObject[] {
  if (config.type !== 'Sequence') return [config];
  if (!Array.isArray(config.decoders)) throw new TokenizerFormatError('decoder.decoders is not a list');
  return config.decoders.flatMap((entry, index) => {
    if (!isObject(entry)) throw new TokenizerFormatError(`decoder.decoders[${index}] is not an object`);
    return flatten(entry);
  });
}

function readReplacement(step: JsonObject): [string, string] {
  const from = isObject(step.pattern) ? step.pattern.String : undefined;
  if (typeof from !== 'string' || from === '' || typeof step.content !== 'string') {
    throw new TokenizerFormatError(`decoder Replace ${quote(step.pattern)} is not supported`);
  }
  return [from, step.content];
}

function readStrip(step: JsonObject): number {
  const { content, start, stop } = step;
  if (content !== ' ' || typeof start !== 'number' || (stop ?? 0) !== 0) {
    throw new TokenizerFormatError(`decoder Strip ${quote(step)} is not supported`);
  }
  return start;
}
