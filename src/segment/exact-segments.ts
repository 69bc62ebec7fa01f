/**
 * From spans to segments: counts each span's tokens exactly, cuts those that came out above the maximum, and gives the
 * boundaries inside them no strength. What every segmenter that works with estimates ends with.
 */
import type { Segment } from './segmenter.js';
import { type CountTokens, splitOversize } from './split-oversize.js';

/** @param spans in order, covering the text @returns segments in order, each within the maximum */
export function exactSegments(
  text: string,
  spans: readonly { start: number; end: number; boundaryScore: number }[],
  maxTokens: number,
  count: CountTokens,
): Segment[] {
  const counts = count(spans.map((span) => text.slice(span.start, span.end)));
  const segments: Segment[] = [];
  for (const [index, span] of spans.entries()) {
    const counted = { start: span.start, end: span.end, tokens: counts[index] ?? 0 };
    const pieces = counted.tokens > maxTokens ? splitOversize(text, [counted], maxTokens, count) : [counted];
    for (const [at, piece] of pieces.entries()) {
      segments.push({ ...piece, boundaryScore: at === pieces.length - 1 ? span.boundaryScore : 0 });
    }
  }
  const last = segments.at(-1);
  if (last) last.boundaryScore = 1;
  return segments;
}
