/**
 * The byte-level alphabet of GPT-2's vocabulary: each of the 256 bytes has a printable character of its own.
 * Printable bytes stand for themselves, the others take the code points from U+0100 on, in order.
 */

/** Character of each byte. */
export const BYTE_CHARACTERS: readonly string[] = makeAlphabet();

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** Bytes of a token, or undefined if a character is outside the alphabet (as in some added tokens). */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index += 1) {
    const byte = BYTES.get(token[index] ?? '');
    if (byte === undefined) return undefined;
    bytes[index] = byte;
  }
  return bytes;
}

function makeAlphabet(): string[] {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}
