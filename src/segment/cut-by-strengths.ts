/**
 * From the strengths of the boundaries between units to blocks. All segmenters that score boundaries share this.
 * Only this file knows how granularities are spread over target lengths.
 */
import { exactSegments, type ScoredSpan } from './exact-segments.js';
import { fittingUnits } from './fitting-units.js';
import { coarsestTarget, finestTarget, type SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';
import { selectBoundaries, selectNested } from './select-boundaries.js';
import type { SpanTokens, TextSpan } from './span-tokens.js';

/** Strength of a boundary inside a unit: only the maximum forces one there. */
const INSIDE_UNIT = -12;

/** A stretch of a text that is cut by itself: nothing outside it moves its boundaries. */
export interface CutPart {
  /** In order, one behind another. */
  units: readonly TextSpan[];
  /** Of the boundary behind each unit, as log-odds, for blocks of about so many tokens. [units] */
  strengthsOf(targetTokens: number): ArrayLike<number>;
  /** How much lengths matter for blocks of about so many tokens, 0 to 1; 1 if it is not given. */
  lengthCareOf?: (targetTokens: number) => number;
  /** What a unit counts for where lengths are weighed, in tokens; undefined: its tokens. */
  lengthOf?: (unit: number) => number | undefined;
  /** Strength of the boundary at its end, as log-odds, if another part follows. */
  endStrength?: number;
}

/**
 * @param parts in order, covering the text; a boundary stands between two parts, whatever the lengths
 * @param believed strength from which a boundary is believed in, if strengths mean the same in every text (ScoredUnits)
 */
export function cutByStrengths(
  spanTokens: SpanTokens,
  parts: readonly CutPart[],
  limits: SegmentLimits,
  believed?: number,
): Segment[] {
  const spans = parts.flatMap((part) => spansOf(spanTokens, part, limits, believed));
  return exactSegments(spanTokens, spans, limits.maxTokens);
}

function spansOf(
  spanTokens: SpanTokens,
  { units, strengthsOf, lengthCareOf, lengthOf, endStrength }: CutPart,
  limits: SegmentLimits,
  believed: number | undefined,
): ScoredSpan[] {
  const { granularity, maxTokens } = limits;
  const { ends, tokens, lengths, units: owners } = fittingUnits(spanTokens, units, maxTokens, lengthOf);
  const strengthsAt = (targetTokens: number) => {
    const strengths = strengthsOf(targetTokens);
    return Float64Array.from(owners, (unit) => (unit < 0 ? INSIDE_UNIT : (strengths[unit] as number)));
  };
  const scored = {
    tokens,
    strengthsAt,
    pace: spanTokens.pace,
    ...(lengthOf ? { lengths } : {}),
    ...(lengthCareOf ? { lengthCareAt: lengthCareOf } : {}),
    ...(believed === undefined ? {} : { believed }),
  };
  const chosen =
    granularity === undefined
      ? selectBoundaries(scored, limits)
      : selectNested(scored, limits, granularity, finestTarget(maxTokens), coarsestTarget(maxTokens));
  const scores = strengthsAt(limits.targetTokens);
  let start = units[0]?.start ?? 0;
  return chosen.map((piece, at) => {
    const seamStrength = at === chosen.length - 1 ? endStrength : undefined;
    const strength = seamStrength ?? (scores[piece] as number);
    const span = { start, end: ends[piece] as number, boundaryScore: 1 / (1 + Math.exp(-strength)) };
    start = span.end;
    return seamStrength === undefined ? span : { ...span, seam: true };
  });
}

/** Scores of any range as log-odds of unit spread, so that lengths weigh equally against them. */
export function standardized(scores: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(scores);
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length));
  return values.map((value) => (spread > 0 ? (value - mean) / spread : 0));
}
