/**
 * Patterns of tokenizer.json (`{"Regex": ...}` in Oniguruma's syntax, `{"String": ...}` literal) as JavaScript regular
 * expressions, and the pieces of a text between and at their matches. The translation is @huggingface/tokenizers' own.
 * Pins the character classes to the Unicode version of the Python library's engine (see unicode-pin.ts).
 */
import * as huggingface from '@huggingface/tokenizers';
import { isObject, type Json, quote, TokenizerFormatError } from './tokenizer-file.js';
import { pinUnicode } from './unicode-pin.js';

/** What happens to a delimiter. The names are those of the Python library. */
export type SplitBehavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

export interface Piece {
  text: string;
  isMatch: boolean;
}

/** The library's declarations do not resolve under NodeNext, so the one class that is used is declared here. */
const { SplitPreTokenizer } = huggingface as unknown as {
  SplitPreTokenizer: new (config: object) => { pattern: RegExp | null };
};

const MAX_PATTERN_CHARACTERS = 4096;
/** V8 gives up on a greedy run of about four million characters. Runs are cut before that. */
const MAX_RUN = 2 ** 20;

/** @throws TokenizerFormatError when the pattern cannot be compiled */
export function compilePattern(pattern: Json | undefined, where: string): RegExp {
  if (!isObject(pattern)) throw new TokenizerFormatError(`${where}.pattern is missing`);
  const { Regex: regex, String: literal } = pattern;
  if (typeof literal === 'string' && literal !== '') {
    return new RegExp(literal.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&').replaceAll('\\-', '\\x2d'), 'gu');
  }
  if (typeof regex !== 'string' || regex === '') {
    throw new TokenizerFormatError(`${where}.pattern ${quote(pattern)} is not supported`);
  }
  if (regex.length > MAX_PATTERN_CHARACTERS) {
    throw new TokenizerFormatError(`${where}.pattern has more than ${MAX_PATTERN_CHARACTERS} characters`);
  }
  try {
    const compiled = new SplitPreTokenizer({ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated' }).pattern;
    if (compiled === null) throw new SyntaxError('empty');
    return compiled;
  } catch (error) {
    throw new TokenizerFormatError(`${where}.pattern cannot be compiled: ${(error as Error).message}`);
  }
}

/**
 * Splits `text` at the matches of `pattern`; pieces concatenated are the text.
 * An empty match splits without a piece of its own, as in the Python library.
 *
 * @param isPinned whether character classes are those of the library's regex engine (see unicode-pin.ts)
 */
export function matchPieces(text: string, pattern: RegExp, isPinned = true): Piece[] {
  if (text.length <= MAX_RUN) return matchWhole(text, pattern, isPinned);
  try {
    return matchWhole(text, pattern, isPinned);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // The text has one run of millions of characters of one class. It is cut into runs that V8 can match.
    const pieces: Piece[] = [];
    for (let start = 0; start < text.length; ) {
      let end = Math.min(start + MAX_RUN, text.length);
      if (end < text.length && isLowSurrogate(text.charCodeAt(end))) end -= 1;
      pieces.push(...matchWhole(text.slice(start, end), pattern, isPinned));
      start = end;
    }
    return pieces;
  }
}

/**
 * As `matchPieces`, but gives only the texts. A tokenizer's pattern matches everything, piece behind piece. So each
 * match is looked for where the last one ended, which needs no object per piece.
 */
export function splitIsolated(text: string, pattern: RegExp): string[] {
  return matchedThroughout(text, pattern) ?? matchPieces(text, pattern).map((piece) => piece.text);
}

/** @returns undefined if the matches leave something out, or if one is too long for V8 */
function matchedThroughout(text: string, pattern: RegExp): string[] | undefined {
  const subject = pinUnicode(text);
  const sticky = stickyOf(pattern);
  const pieces: string[] = [];
  try {
    for (let start = 0; start < text.length; ) {
      sticky.lastIndex = start;
      if (!sticky.test(subject) || sticky.lastIndex === start) return undefined;
      pieces.push(text.slice(start, sticky.lastIndex));
      start = sticky.lastIndex;
    }
    return pieces;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const stickies = new WeakMap<RegExp, RegExp>();

function stickyOf(pattern: RegExp): RegExp {
  let sticky = stickies.get(pattern);
  if (!sticky) {
    sticky = new RegExp(pattern.source, pattern.flags.replace('g', '').concat('y'));
    stickies.set(pattern, sticky);
  }
  return sticky;
}

function matchWhole(text: string, pattern: RegExp, isPinned: boolean): Piece[] {
  const subject = isPinned ? pinUnicode(text) : text;
  const pieces: Piece[] = [];
  let previous = 0;
  for (const match of subject.matchAll(pattern)) {
    if (match.index > previous) pieces.push({ text: text.slice(previous, match.index), isMatch: false });
    const end = match.index + match[0].length;
    if (end > match.index) pieces.push({ text: text.slice(match.index, end), isMatch: true });
    previous = end;
  }
  if (previous < text.length) pieces.push({ text: text.slice(previous), isMatch: false });
  return pieces;
}

/** Applies a behaviour to pieces. With `invert`, what does not match is the delimiter. */
export function applyBehavior(pieces: readonly Piece[], behavior: SplitBehavior, invert = false): string[] {
  const isDelimiter = (piece: Piece) => piece.isMatch !== invert;
  const result: string[] = [];
  let previousDelimiter = false;
  switch (behavior) {
    case 'Isolated':
      return pieces.map((piece) => piece.text);
    case 'Removed':
      return pieces.filter((piece) => !isDelimiter(piece)).map((piece) => piece.text);
    case 'Contiguous':
      for (const piece of pieces) {
        const delimiter = isDelimiter(piece);
        if (result.length > 0 && delimiter === previousDelimiter) result[result.length - 1] += piece.text;
        else result.push(piece.text);
        previousDelimiter = delimiter;
      }
      return result;
    case 'MergedWithPrevious':
      for (const piece of pieces) {
        const delimiter = isDelimiter(piece);
        if (delimiter && !previousDelimiter && result.length > 0) result[result.length - 1] += piece.text;
        else result.push(piece.text);
        previousDelimiter = delimiter;
      }
      return result;
    case 'MergedWithNext':
      for (const piece of pieces) {
        const delimiter = isDelimiter(piece);
        if (!delimiter && previousDelimiter) result[result.length - 1] += piece.text;
        else result.push(piece.text);
        previousDelimiter = delimiter;
      }
      return result;
  }
}

export function readBehavior(value: Json | undefined, where: string): SplitBehavior {
  const known: SplitBehavior[] = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];
  const found = known.find((name) => name === value);
  if (!found) throw new TokenizerFormatError(`${where}.behavior ${quote(value)} is not supported`);
  return found;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
