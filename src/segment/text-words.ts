/**
 * Words of a span as 32-bit hashes, for any script: runs of letters and digits in lower case, names in camelCase and
 * snake_case apart, single characters where a script writes no spaces, punctuation marks one by one.
 * Numbers hash by their length in `shape` and by their digits in `identity`.
 */

export interface Word {
  /** What the vocabulary knows the word by. */
  shape: number;
  /** What distinguishes it from other words; equal to `shape` except for numbers. */
  identity: number;
  /** Hashes of the first four and last three characters: all that is known of words outside the vocabulary. */
  prefix: number;
  suffix: number;
  /** UTF-16 offsets in the text. */
  start: number;
  end: number;
  isPunctuation: boolean;
}

const SPACE = 0;
const LETTER = 1;
const IDEOGRAPH = 2;
const PUNCTUATION = 3;
const SURROGATE = 4;
const UNKNOWN = 255;

const classes = new Uint8Array(65_536).fill(UNKNOWN);
/** Longer runs of letters are cut here. */
const LONGEST_WORD = 48;

/**
 * Calls `visit` for each word of text[start, end), at most `limit` times. The object is reused: copy what is kept.
 * @returns how many words were visited
 */
export function visitWords(
  text: string,
  start: number,
  end: number,
  limit: number,
  visit: (word: Word) => void,
): number {
  const word: Word = { shape: 0, identity: 0, prefix: 0, suffix: 0, start: 0, end: 0, isPunctuation: false };
  let at = start;
  let count = 0;
  while (at < end && count < limit) {
    const unit = text.charCodeAt(at);
    const kind = classOf(unit);
    if (kind === SPACE) {
      at += 1;
      continue;
    }
    const from = at;
    at += 1;
    if (kind === LETTER) at = wordEnd(text, at, Math.min(end, from + LONGEST_WORD));
    else if (kind === SURROGATE && at < end && classOf(text.charCodeAt(at)) === SURROGATE) at += 1;
    hashWord(text, from, at, word);
    word.start = from;
    word.end = at;
    word.isPunctuation = kind === PUNCTUATION;
    visit(word);
    count += 1;
  }
  return count;
}

/** FNV-1a over UTF-16 units in lower case, then mixed; never 0, which marks an empty slot in tables. */
export function hashOf(word: string): number {
  return mix(fnv(word, 0, word.length));
}

function wordEnd(text: string, from: number, end: number): number {
  let at = from;
  let wasLower = isLower(text.charCodeAt(from - 1));
  while (at < end) {
    const unit = text.charCodeAt(at);
    // An apostrophe inside a word belongs to it.
    const joins = (unit === 0x27 || unit === 0x2019) && at + 1 < end && classOf(text.charCodeAt(at + 1)) === LETTER;
    if (!joins && classOf(unit) !== LETTER) break;
    if (wasLower && isUpper(unit)) break;
    wasLower = isLower(unit);
    at += 1;
  }
  return at;
}

function hashWord(text: string, from: number, to: number, word: Word): void {
  let digits = true;
  for (let at = from; at < to && digits; at += 1) {
    const unit = text.charCodeAt(at);
    digits = unit >= 0x30 && unit <= 0x39;
  }
  word.identity = mix(fnv(text, from, to));
  if (digits) {
    let hash = FNV_BASIS;
    for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ 0x30, FNV_PRIME);
    word.shape = mix(hash);
  } else word.shape = word.identity;
  word.prefix = mix(Math.imul(fnv(text, from, Math.min(to, from + 4)) ^ 0x5e, FNV_PRIME));
  word.suffix = mix(Math.imul(fnv(text, Math.max(from, to - 3), to) ^ 0x24, FNV_PRIME));
}

const FNV_BASIS = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

function fnv(text: string, from: number, to: number): number {
  let hash = FNV_BASIS;
  for (let at = from; at < to; at += 1) {
    let unit = text.charCodeAt(at);
    if (unit >= 0x41 && unit <= 0x5a) unit += 0x20;
    else if (unit > 0x7f) unit = lowerUnit(unit);
    hash = Math.imul(hash ^ (unit & 0xff), FNV_PRIME);
    if (unit > 0xff) hash = Math.imul(hash ^ (unit >> 8), FNV_PRIME);
  }
  return hash;
}

function mix(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b);
  value ^= value >>> 16;
  return value >>> 0 || 1;
}

const lowered = new Uint16Array(65_536);

function lowerUnit(unit: number): number {
  let low = lowered[unit] as number;
  if (low === 0) {
    const lower = String.fromCharCode(unit).toLowerCase();
    // Typographic apostrophes are apostrophes.
    low = unit === 0x2019 ? 0x27 : lower.length === 1 ? lower.charCodeAt(0) : unit;
    lowered[unit] = low;
  }
  return low;
}

function isLower(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit > 0x7f && lowerUnit(unit) === unit && upperOf(unit) !== unit);
}

function isUpper(unit: number): boolean {
  return (unit >= 0x41 && unit <= 0x5a) || (unit > 0x7f && lowerUnit(unit) !== unit);
}

const uppered = new Uint16Array(65_536);

function upperOf(unit: number): number {
  let up = uppered[unit] as number;
  if (up === 0) {
    const upper = String.fromCharCode(unit).toUpperCase();
    up = upper.length === 1 ? upper.charCodeAt(0) : unit;
    uppered[unit] = up;
  }
  return up;
}

function classOf(unit: number): number {
  let kind = classes[unit] as number;
  if (kind === UNKNOWN) {
    kind = computeClass(unit);
    classes[unit] = kind;
  }
  return kind;
}

function computeClass(unit: number): number {
  if (unit >= 0xd800 && unit <= 0xdfff) return SURROGATE;
  const character = String.fromCharCode(unit);
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}]/u.test(character)) {
    return IDEOGRAPH;
  }
  if (/[\p{Script=Khmer}\p{Script=Myanmar}]/u.test(character)) return IDEOGRAPH;
  if (/[\p{L}\p{N}\p{M}]/u.test(character)) return LETTER;
  if (/[\p{P}\p{S}]/u.test(character)) return PUNCTUATION;
  return SPACE;
}
