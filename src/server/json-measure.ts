/**
 * Counts what is in a JSON text before it is parsed: depth, values, numbers in lists. Parsing, validating and describing
 * errors take time per value, so these bounds keep the event loop free. Knows JSON's punctuation; the parser decides
 * whether the text is JSON.
 */

export interface JsonMeasure {
  depth: number;
  /** Members of objects, and elements of lists that are not numbers. */
  values: number;
  /** Numbers that stand in lists: token ids. */
  numbers: number;
}

/** A conversation of a thousand messages is 4,000 values; a prompt of 128k token ids is as many numbers. */
export const JSON_LIMITS: Readonly<JsonMeasure> = { depth: 64, values: 10_000, numbers: 150_000 };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 1;
const LIST = 2;
const STEP = 64;

/** Stops counting soon after a limit is passed. */
export function measureJson(bytes: Buffer, limits: Readonly<JsonMeasure> = JSON_LIMITS): JsonMeasure {
  const measure: JsonMeasure = { depth: 0, values: 0, numbers: 0 };
  const kinds = new Uint8Array(limits.depth + 2);
  let level = 0;
  let awaitsElement = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte <= 0x20) continue;
    if (awaitsElement) {
      if ((byte >= 0x30 && byte <= 0x39) || byte === 0x2d) measure.numbers += 1;
      else if (byte !== 0x5d) measure.values += 1;
      awaitsElement = false;
    }
    if (byte === QUOTE) at = endOfString(bytes, at + 1);
    else if (byte === 0x3a) measure.values += 1;
    else if (byte === 0x2c) awaitsElement = kinds[level] === LIST;
    else if (byte === 0x7b || byte === 0x5b) {
      level += 1;
      if (level > measure.depth) measure.depth = level;
      if (level > limits.depth) return measure;
      kinds[level] = byte === 0x5b ? LIST : OBJECT;
      awaitsElement = byte === 0x5b;
    } else if ((byte === 0x7d || byte === 0x5d) && level > 0) level -= 1;
    if (measure.values > limits.values || measure.numbers > limits.numbers) return measure;
  }
  return measure;
}

/** @returns the index of the closing quote, or the text's length if there is none */
function endOfString(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length) {
    // Most strings are short. A native search pays for strings of some dozens of bytes and more.
    for (const stop = Math.min(at + STEP, bytes.length); at < stop; at += 1) {
      const byte = bytes[at];
      if (byte === QUOTE) return at;
      if (byte === BACKSLASH) at += 1;
    }
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    let slashes = 0;
    while (quote - slashes > at && bytes[quote - 1 - slashes] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
  return bytes.length;
}
