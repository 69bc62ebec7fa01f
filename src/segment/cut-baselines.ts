/**
 * Segmenters to compare with: `fixed` length, whole `paragraphs`, and `recursive` separators (the largest that makes
 * pieces fit, merged up to the target). None of them looks at more than separators and lengths.
 */
import type { Cut } from './cut-structural.js';
import { exactSegments } from './exact-segments.js';
import { splitOversize } from './split-oversize.js';

interface Piece {
  start: number;
  end: number;
  tokens: number;
}

/** Pieces of the target length at most, as near to it as whole words allow. */
export const cutFixed: Cut = (text, limits, count) => {
  const words = countPieces(text, splitBehind(text, 0, text.length, ' '), count);
  const pieces = splitOversize(text, words, limits.targetTokens, count);
  return exactSegments(
    text,
    withScore(merge(pieces, limits.targetTokens, limits.targetTokens)),
    limits.maxTokens,
    count,
  );
};

/** Pieces between empty lines; paragraphs below the minimum join the next one. */
export const cutParagraphs: Cut = (text, limits, count) => {
  const paragraphs = splitBehind(text, 0, text.length, '\n\n');
  const merged = merge(countPieces(text, paragraphs, count), limits.minTokens, limits.maxTokens);
  return exactSegments(text, withScore(merged), limits.maxTokens, count);
};

const SEPARATORS = ['\n\n', '\n', '. ', ' '];

/** Splits at the first separator that helps, what is still too long at the next, then merges up to the target. */
export const cutRecursive: Cut = (text, limits, count) => {
  let pieces = countPieces(text, text === '' ? [] : [{ start: 0, end: text.length }], count);
  for (const separator of SEPARATORS) {
    const large = pieces.filter((piece) => piece.tokens > limits.targetTokens);
    if (large.length === 0) break;
    const split = large.flatMap((piece) => splitBehind(text, piece.start, piece.end, separator));
    const counted = countPieces(text, split, count);
    const small = pieces.filter((piece) => piece.tokens <= limits.targetTokens);
    pieces = [...small, ...counted].sort((a, b) => a.start - b.start);
  }
  pieces = splitOversize(text, pieces, limits.targetTokens, count);
  const merged = merge(pieces, limits.targetTokens, limits.targetTokens);
  return exactSegments(text, withScore(merged), limits.maxTokens, count);
};

/** Joins neighbours from the left while the sum stays below `enough` and within `most`. */
function merge(pieces: readonly Piece[], enough: number, most: number): Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last && last.tokens < enough && last.tokens + piece.tokens <= most) {
      last.end = piece.end;
      last.tokens += piece.tokens;
    } else merged.push({ ...piece });
  }
  return merged;
}

/** Spans that end behind each run of `separator`. */
function splitBehind(text: string, start: number, end: number, separator: string): { start: number; end: number }[] {
  const spans: { start: number; end: number }[] = [];
  let from = start;
  while (from < end) {
    let at = text.indexOf(separator, from);
    if (at < 0 || at >= end) break;
    at += separator.length;
    while (at < end && text[at] === separator.at(-1)) at += 1;
    spans.push({ start: from, end: Math.min(at, end) });
    from = at;
  }
  if (from < end) spans.push({ start: from, end });
  return spans;
}

function countPieces(
  text: string,
  spans: readonly { start: number; end: number }[],
  count: (texts: readonly string[]) => ArrayLike<number>,
): Piece[] {
  const counts = count(spans.map((span) => text.slice(span.start, span.end)));
  return spans.map((span, index) => ({ ...span, tokens: counts[index] ?? 0 }));
}

/** Baselines do not weigh boundaries: all have the same strength. */
function withScore(pieces: readonly Piece[]): { start: number; end: number; boundaryScore: number }[] {
  return pieces.map(({ start, end }) => ({ start, end, boundaryScore: 0.5 }));
}
