/**
 * From spans to segments: makes the ids of each span, cuts those that came out above the maximum, and gives the
 * boundaries inside them no strength. Every segmenter ends with this.
 */
import type { Segment } from './segmenter.js';
import type { SpanTokens, TextSpan } from './span-tokens.js';
import { splitOversize } from './split-oversize.js';

/** A span with the strength of the boundary at its end, and whether that is a seam. */
export type ScoredSpan = TextSpan & Pick<Segment, 'boundaryScore' | 'seam'>;

/** @param spans in order, covering the text @returns segments in order, each within the maximum */
export function exactSegments(tokens: SpanTokens, spans: readonly ScoredSpan[], maxTokens: number): Segment[] {
  const segments: Segment[] = [];
  const add = ({ start, end, boundaryScore, seam }: ScoredSpan, tokenIds: Int32Array) =>
    segments.push({ start, end, tokens: tokenIds.length, tokenIds, boundaryScore, ...(seam ? { seam } : {}) });
  for (const span of spans) {
    const ids = tokens.encode(span);
    if (ids.length <= maxTokens) {
      add(span, ids);
      continue;
    }
    const pieces = splitOversize(tokens, [{ start: span.start, end: span.end, tokens: ids.length }], maxTokens);
    for (const [at, piece] of pieces.entries()) {
      add(
        at === pieces.length - 1 ? { ...span, ...spanOf(piece) } : { ...spanOf(piece), boundaryScore: 0 },
        tokens.encode(piece),
      );
    }
  }
  const last = segments.at(-1);
  if (last) last.boundaryScore = 1;
  return segments;
}

function spanOf({ start, end }: TextSpan): TextSpan {
  return { start, end };
}
