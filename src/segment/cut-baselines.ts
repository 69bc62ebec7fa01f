/**
 * Segmenters to compare with: `fixed` length, whole `paragraphs`, and `recursive` separators (the largest that makes
 * pieces fit, merged up to the target). None of them looks at more than separators and lengths.
 */
import type { Cut } from './cut-structural.js';
import { exactSegments } from './exact-segments.js';
import type { CountedSpan, SpanTokens, TextSpan } from './span-tokens.js';
import { splitOversize } from './split-oversize.js';

/** Of any system: a file with CRLF is cut as with LF. */
const EMPTY_LINES = /(?:\r?\n){2,}/g;

/** Pieces of the target length, as near to it as whole words allow. */
export const cutFixed: Cut = (tokens, { targetTokens, maxTokens }) => {
  const words = countedWithin(tokens, splitBehind(tokens.text, 0, tokens.text.length, / +/g));
  const pieces = splitOversize(tokens, words, targetTokens);
  return exactSegments(tokens, withScore(merge(pieces, targetTokens, targetTokens)), maxTokens);
};

/** Pieces between empty lines; paragraphs below the minimum join the next one. */
export const cutParagraphs: Cut = (tokens, { minTokens, maxTokens }) => {
  const paragraphs = countedWithin(tokens, splitBehind(tokens.text, 0, tokens.text.length, EMPTY_LINES));
  return exactSegments(tokens, withScore(merge(paragraphs, minTokens, maxTokens)), maxTokens);
};

const SEPARATORS = [EMPTY_LINES, /(?:\r?\n)+/g, /\. +/g, / +/g];

/** Splits at the first separator that helps, splits long pieces at the next one, and merges up to the target. */
export const cutRecursive: Cut = (tokens, { targetTokens, maxTokens }) => {
  const { text } = tokens;
  let pieces = tokens.counted(text === '' ? [] : [{ start: 0, end: text.length }]);
  for (const separator of SEPARATORS) {
    if (pieces.every((piece) => piece.tokens <= targetTokens)) break;
    pieces = pieces.flatMap((piece) =>
      piece.tokens <= targetTokens
        ? [piece]
        : countedWithin(tokens, splitBehind(text, piece.start, piece.end, separator)),
    );
  }
  const fitting = splitOversize(tokens, pieces, targetTokens);
  return exactSegments(tokens, withScore(merge(fitting, targetTokens, targetTokens)), maxTokens);
};

/**
 * Spans with the tokens that each has within its text. A space belongs to the word behind it: at a span's end it would be
 * a token of its own. Tokenizers that put a space before every text count it there already. Line ends count alike.
 */
function countedWithin(tokens: SpanTokens, spans: readonly TextSpan[]): CountedSpan[] {
  const isSpace = (at: number) => tokens.text[at] === ' ';
  const countsSpaceBefore = tokens.countText(' a') === tokens.countText('a');
  return spans.map(({ start, end }) => {
    const from = countsSpaceBefore && start > 0 && isSpace(start - 1) ? start - 1 : start;
    const to = end - 1 > from && isSpace(end - 1) ? end - 1 : end;
    return { start, end, tokens: tokens.countText(tokens.text.slice(from, to).replaceAll('\r\n', '\n')) };
  });
}

/** Joins neighbours from the left while the sum stays below `enough` and within `most`. */
function merge(pieces: readonly CountedSpan[], enough: number, most: number): CountedSpan[] {
  const merged: CountedSpan[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last && last.tokens < enough && last.tokens + piece.tokens <= most) {
      last.end = piece.end;
      last.tokens += piece.tokens;
    } else merged.push({ ...piece });
  }
  return merged;
}

/** Spans that end behind each match of `separator`. */
function splitBehind(text: string, start: number, end: number, separator: RegExp): TextSpan[] {
  const spans: TextSpan[] = [];
  let from = start;
  for (const match of text.slice(start, end).matchAll(separator)) {
    const at = start + match.index + match[0].length;
    spans.push({ start: from, end: at });
    from = at;
  }
  if (from < end) spans.push({ start: from, end });
  return spans;
}

/** Baselines do not weigh boundaries: all have the same strength. */
function withScore(pieces: readonly TextSpan[]): (TextSpan & { boundaryScore: number })[] {
  return pieces.map(({ start, end }) => ({ start, end, boundaryScore: 0.5 }));
}
