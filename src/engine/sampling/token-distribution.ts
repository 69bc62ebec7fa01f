/**
 * What a draw is: temperature, top_k, top_p and min_p over a row of logits, and the way down a list of weights.
 * Knows numbers; where the weights come from is `best-tokens.ts` and `whole-row.ts`, penalties are applied before
 * (`logit-adjustments.ts`).
 *
 * The draw goes down the tokens in descending order of logit (lower id first among equals) and takes the first whose
 * cumulative weight exceeds u * total; a token's weight is exp((logit - best) / temperature). Filters in order:
 * temperature, min_p, top_k, top_p (on what min_p and top_k leave). Sums are float64: where u * total lies within their
 * rounding of a token's edge, about 1e-12 of the total, the neighbour may be drawn, for the same logits always the same.
 */

/** Tokens in descending order of logit, lower id first among equals. */
export interface Candidates {
  values: Float32Array;
  ids: Int32Array;
}

export interface DrawOptions {
  /** > 0. */
  temperature: number;
  /** (0, 1]; 1 = off. */
  topP: number;
  /** 0 = off. */
  topK: number;
  /** [0, 1]; 0 = off. At 1 only tokens as good as the best stay. */
  minP: number;
}

/**
 * Where u falls among descending weights, top_p applied first: the nucleus is the shortest prefix that reaches
 * topP * total, and the draw is from it alone. Never goes back as `total` grows.
 *
 * @param count tokens that may be drawn, <= weights.length
 * @param total what u and topP are shares of; more than the sum of the weights where others follow them
 * @returns an index; `count` when the prefix does not reach that far
 */
export function walk(weights: Float64Array, count: number, topP: number, u: number, total: number): number {
  let goal = u * total;
  if (topP < 1) {
    let nucleus = 0;
    let index = 0;
    while (index < count && nucleus < topP * total) nucleus += weights[index++] as number;
    if (nucleus < topP * total) return count;
    goal = u * nucleus;
  }
  let reached = 0;
  for (let index = 0; index < count; index++) {
    reached += weights[index] as number;
    if (goal < reached) return index;
  }
  return count;
}

/** Weights relative to the best token's. @returns float64, as long as `values` */
export function weightsOf(values: Float32Array, best: number, temperature: number): Float64Array {
  const weights = new Float64Array(values.length);
  for (let index = 0; index < values.length; index++) {
    weights[index] = Math.exp(((values[index] as number) - best) / temperature);
  }
  return weights;
}

/** How many of the leading tokens min_p and top_k keep: at least one. */
export function keptByMinPAndTopK(weights: Float64Array, { minP, topK }: DrawOptions): number {
  let kept = topK > 0 ? Math.min(topK, weights.length) : weights.length;
  while (kept > 1 && (weights[kept - 1] as number) < minP) kept--;
  return kept;
}

/** Sum of the first `count` weights, from the first on. */
export function sum(weights: Float64Array, count: number): number {
  let total = 0;
  for (let index = 0; index < count; index++) total += weights[index] as number;
  return total;
}
