/**
 * From spans to segments: makes the ids of each span, cuts those that came out above the maximum, and gives the
 * boundaries inside them no strength. Every segmenter ends with this.
 */
import type { Segment } from './segmenter.js';
import type { SpanTokens, TextSpan } from './span-tokens.js';
import { splitOversize } from './split-oversize.js';

/** @param spans in order, covering the text @returns segments in order, each within the maximum */
export function exactSegments(
  tokens: SpanTokens,
  spans: readonly (TextSpan & { boundaryScore: number })[],
  maxTokens: number,
): Segment[] {
  const segments: Segment[] = [];
  const add = ({ start, end }: TextSpan, tokenIds: Int32Array, boundaryScore: number) =>
    segments.push({ start, end, tokens: tokenIds.length, tokenIds, boundaryScore });
  for (const span of spans) {
    const ids = tokens.encode(span);
    if (ids.length <= maxTokens) {
      add(span, ids, span.boundaryScore);
      continue;
    }
    const pieces = splitOversize(tokens, [{ start: span.start, end: span.end, tokens: ids.length }], maxTokens);
    for (const [at, piece] of pieces.entries()) {
      add(piece, tokens.encode(piece), at === pieces.length - 1 ? span.boundaryScore : 0);
    }
  }
  const last = segments.at(-1);
  if (last) last.boundaryScore = 1;
  return segments;
}
