/**
 * Draws that the graph makes itself: its DrawToken operator takes temperature, penalties and bias, and returns a token.
 * So no row of logits leaves the graph, and nothing here reads one. It draws in order of id, not of logit: the
 * distribution is the same. Only draws without top_k, top_p and min_p are made this way, on the CPU.
 * Knows the operator's tensors (kernels/src/draw_token_op.h).
 */
import type { SamplingParams } from '../engine.js';

/** One draw. */
export interface GraphDraw {
  /** > 0. */
  temperature: number;
  /** Where the draw falls, in [0, 1). */
  point: number;
  repetition: number;
  presence: number;
  frequency: number;
  /** int32 [n, 3], see `LogitAdjustments.entries`. */
  adjusted: Int32Array;
}

/** The draws of a step. */
export interface GraphDraws {
  /** float64 [L, 5]: temperature (0: no draw), point, repetition, presence, frequency. */
  rules: Float64Array;
  /** int32 [L + 1]: where the adjustments of each row begin, and the end of the last. */
  adjustedFrom: Int32Array;
  /** int32 [n, 3]. */
  adjusted: Int32Array;
}

export const RULE_FIELDS = 5;
export const ADJUSTMENT_FIELDS = 3;

export function drawsInGraph({ temperature, topP, topK, minP }: SamplingParams): boolean {
  return temperature > 0 && topP >= 1 && topK === 0 && minP === 0;
}

/** @param draws one entry per row that has logits; undefined for rows without a draw */
export function encodeDraws(draws: readonly (GraphDraw | undefined)[]): GraphDraws {
  const rules = new Float64Array(draws.length * RULE_FIELDS);
  const adjustedFrom = new Int32Array(draws.length + 1);
  const length = draws.reduce((sum, draw) => sum + (draw?.adjusted.length ?? 0), 0);
  const adjusted = new Int32Array(length);
  let end = 0;
  for (const [row, draw] of draws.entries()) {
    if (draw !== undefined) {
      const { temperature, point, repetition, presence, frequency } = draw;
      rules.set([temperature, point, repetition, presence, frequency], row * RULE_FIELDS);
      adjusted.set(draw.adjusted, end);
      end += draw.adjusted.length;
    }
    adjustedFrom[row + 1] = end / ADJUSTMENT_FIELDS;
  }
  return { rules, adjustedFrom, adjusted };
}
