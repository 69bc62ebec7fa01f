/**
 * Cuts a span that is longer than the maximum and has no boundary of its own left: behind lines, else behind white
 * space, else between characters. Never cuts inside a surrogate pair, and before a combining mark only if there is no
 * other place. Linear in the span's length, for a fixed maximum.
 */
import { isSpace } from '../text/split-sentences.js';
import type { CountedSpan, SpanTokens, TextSpan } from './span-tokens.js';

/** Pieces aim at this share of the maximum, so that most fit at once. */
const AIM = 0.75;

/**
 * @param spans to be cut where they are above the maximum; `tokens` is their exact count
 * @returns spans covering the same characters in order, each within the maximum
 */
export function splitOversize(
  tokens: SpanTokens,
  spans: readonly CountedSpan[],
  maxTokens: number,
): readonly CountedSpan[] {
  if (spans.every((span) => span.tokens <= maxTokens)) return spans;
  const result: CountedSpan[] = [];
  let current = spans;
  // Every round at least halves what does not fit, so there are few rounds.
  for (;;) {
    const cut: TextSpan[] = [];
    for (const span of current) {
      if (span.tokens > maxTokens && span.end - span.start > 1) cut.push(...cutEvenly(tokens.text, span, maxTokens));
      else result.push(span);
    }
    if (cut.length === 0) break;
    current = tokens.counted(cut);
  }
  return result.sort((a, b) => a.start - b.start);
}

function cutEvenly(text: string, span: CountedSpan, maxTokens: number): TextSpan[] {
  const characters = span.end - span.start;
  const aim = Math.floor((characters * maxTokens * AIM) / span.tokens);
  const size = Math.max(1, Math.min(aim, Math.ceil(characters / 2)));
  const pieces: TextSpan[] = [];
  let start = span.start;
  while (span.end - start > size) {
    const end = findCut(text, start, start + size, span.end);
    if (end >= span.end) break;
    pieces.push({ start, end });
    start = end;
  }
  pieces.push({ start, end: span.end });
  return pieces;
}

/** The best place to cut at or a little before `wanted`; always above `start`. */
function findCut(text: string, start: number, wanted: number, end: number): number {
  const earliest = start + ((wanted - start) >> 1);
  let space = -1;
  for (let at = wanted; at > earliest; at -= 1) {
    const unit = text.charCodeAt(at - 1);
    if (unit === 0x0a) return at;
    if (space < 0 && isSpace(unit)) space = at;
  }
  if (space > 0) return space;
  for (let at = wanted; at > earliest; at -= 1) if (isCharacterBorder(text, at)) return at;
  // In a long run of combining marks, only surrogate pairs are kept whole.
  return splitsPair(text, wanted) ? Math.min(wanted + 1, end) : wanted;
}

function isCharacterBorder(text: string, at: number): boolean {
  if (splitsPair(text, at)) return false;
  const next = text.codePointAt(at) ?? 0;
  if (next < 0x300) return true;
  const isJoiner = (code: number) => code === 0x200d || (code >= 0xfe00 && code <= 0xfe0f);
  if (isJoiner(next) || text.charCodeAt(at - 1) === 0x200d) return false;
  return !/^\p{M}/u.test(String.fromCodePoint(next));
}

function splitsPair(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  const after = text.charCodeAt(at);
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff;
}
