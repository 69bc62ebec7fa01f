/**
 * The definition of a draw: temperature, top_k, top_p and min_p over a row of logits, and the walk down a list of
 * weights. Knows numbers. `best-tokens.ts` and `whole-row.ts` make the weights; `logit-adjustments.ts` applies
 * penalties before.
 *
 * The draw goes down the tokens in descending order of logit (lower id first among equals). It takes the first token at
 * which the cumulative weight exceeds u * total. A token's weight is exp((logit - best) / temperature). Filters in
 * order: temperature, min_p, top_k, top_p (on the tokens that min_p and top_k leave). Sums are float64. If u * total
 * lies within their rounding (about 1e-12 of the total) of a token's edge, the neighbour may be drawn; equal logits
 * always give the same token. A draw that the graph makes itself (`graph-draws.ts`) goes down the tokens in order of id.
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
 * The place of u among descending weights, after top_p: the nucleus is the shortest prefix that reaches topP * total,
 * and the draw is from it alone. With a larger `total` the place never moves back.
 *
 * @param count tokens that may be drawn, <= weights.length
 * @param total u and topP are shares of it; more than the sum of the weights if other tokens follow
 * @returns an index; `count` if the prefix does not reach that far
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

/** How many of the first tokens min_p and top_k keep: at least one. */
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
