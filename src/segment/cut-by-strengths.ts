/**
 * From the strengths of the boundaries between units to blocks. All segmenters that score boundaries share this.
 * Only this file knows how granularities are spread over target lengths.
 */
import { exactSegments } from './exact-segments.js';
import { fittingUnits } from './fitting-units.js';
import { coarsestTarget, finestTarget, type SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';
import { selectBoundaries, selectNested } from './select-boundaries.js';
import type { SpanTokens, TextSpan } from './span-tokens.js';

/** Strength of a boundary inside a unit: only the maximum forces one there. */
const INSIDE_UNIT = -12;

/**
 * @param units in order, covering the text
 * @param strengthsOf of the boundary behind each unit, as log-odds, for blocks of about so many tokens [units]
 * @param believed strength from which a boundary is believed in, if strengths mean the same in every text (ScoredUnits)
 */
export function cutByStrengths(
  spanTokens: SpanTokens,
  units: readonly TextSpan[],
  strengthsOf: (targetTokens: number) => ArrayLike<number>,
  limits: SegmentLimits,
  believed?: number,
): Segment[] {
  const { ends, tokens, units: owners } = fittingUnits(spanTokens, units, limits.maxTokens);
  const strengthsAt = (targetTokens: number) => {
    const strengths = strengthsOf(targetTokens);
    return Float64Array.from(owners, (unit) => (unit < 0 ? INSIDE_UNIT : (strengths[unit] as number)));
  };
  const scored = { tokens, strengthsAt, pace: spanTokens.pace, ...(believed === undefined ? {} : { believed }) };
  const { granularity, maxTokens } = limits;
  const chosen =
    granularity === undefined
      ? selectBoundaries(scored, limits)
      : selectNested(scored, limits, granularity, finestTarget(maxTokens), coarsestTarget(maxTokens));
  const scores = strengthsAt(limits.targetTokens);
  let start = 0;
  const spans = chosen.map((piece) => {
    const span = { start, end: ends[piece] as number, boundaryScore: 1 / (1 + Math.exp(-(scores[piece] as number))) };
    start = span.end;
    return span;
  });
  return exactSegments(spanTokens, spans, maxTokens);
}

/** Scores of any range as log-odds of unit spread, so that lengths weigh equally against them. */
export function standardized(scores: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(scores);
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length));
  return values.map((value) => (spread > 0 ? (value - mean) / spread : 0));
}
