/**
 * Draws a token from logits under temperature, top_k, top_p and min_p. Exact: candidates are a shortcut, never a limit.
 * Knows numbers; penalties are applied before (`logit-adjustments.ts`), requests and seeds are `sampler.ts`'s.
 *
 * The draw goes down the tokens in descending order of logit (lower id first among equals) and takes the first whose
 * cumulative weight exceeds u * total. Filters in order: temperature, min_p, top_k, top_p (on what min_p and top_k leave).
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
  /** [0, 1); 0 = off. */
  minP: number;
}

/** The candidates did not settle the draw; the whole row is needed. */
const UNSETTLED = -1;

/**
 * Draws from the best tokens alone where that settles it: always when top_k or min_p cut inside them, else when the
 * token is the same for the least and the greatest weight that the rest of the row can have.
 *
 * @param best      the row's best tokens, at least one
 * @param vocabSize tokens in the row
 * @param u         uniform in [0, 1)
 * @param logSumExp of the raw row, which gives the total at temperature 1; undefined when the row was adjusted
 * @returns token id, or -1 when the whole row is needed
 */
export function drawFromBest(
  best: Candidates,
  vocabSize: number,
  options: DrawOptions,
  u: number,
  logSumExp: number | undefined,
): number {
  const { ids } = best;
  const weights = weightsOf(best.values, options.temperature);
  const kept = keptByMinPAndTopK(weights, options);
  const last = weights[weights.length - 1] as number;
  const complete = kept < weights.length || ids.length === vocabSize || (options.topK > 0 && kept === options.topK);
  if (complete) return ids[Math.min(walk(weights, kept, options.topP, u, sum(weights, kept)), kept - 1)] as number;
  if (options.topK > 0 || options.minP > 0) return UNSETTLED;
  const known = sum(weights, kept);
  let least = known;
  let most = known + (vocabSize - kept) * last;
  if (options.temperature === 1 && logSumExp !== undefined) {
    // The log-sum-exp is a float32: leave room for its rounding.
    const total = Math.exp(logSumExp - (best.values[0] as number));
    least = Math.max(least, total * (1 - 1e-5));
    most = Math.max(least, Math.min(most, total * (1 + 1e-5)));
  }
  const low = walk(weights, kept, options.topP, u, least);
  const high = walk(weights, kept, options.topP, u, most);
  return low === high && low < kept ? (ids[low] as number) : UNSETTLED;
}

/**
 * Draws from a whole row.
 *
 * @param row float32 [vocab]
 * @param u   uniform in [0, 1)
 */
export function drawFromRow(row: Float32Array, options: DrawOptions, u: number): number {
  const sorted = sortedTokens(row, options);
  const weights = weightsOf(sorted.values, options.temperature);
  const kept = keptByMinPAndTopK(weights, options);
  const cut = kept < weights.length || options.topK > 0 || options.minP > 0;
  const total = cut ? sum(weights, kept) : totalWeight(row, sorted.values[0] as number, options.temperature);
  return sorted.ids[Math.min(walk(weights, kept, options.topP, u, total), kept - 1)] as number;
}

/** Index of the greatest value, the lowest one among equals. */
export function argmax(row: Float32Array): number {
  let best = 0;
  for (let index = 1; index < row.length; index++) {
    if ((row[index] as number) > (row[best] as number)) best = index;
  }
  return best;
}

/**
 * Where u falls among descending weights, top_p applied first: the nucleus is the shortest prefix that reaches
 * topP * total, and the draw is from it alone.
 * @returns an index; `count` when the prefix does not reach that far
 */
function walk(weights: Float64Array, count: number, topP: number, u: number, total: number): number {
  let goal = u * total;
  if (topP < 1) {
    let nucleus = 0;
    let index = 0;
    while (index < count && nucleus < topP * total) nucleus += weights[index++] as number;
    if (nucleus < topP * total && index === count) return count;
    goal = u * nucleus;
  }
  let reached = 0;
  for (let index = 0; index < count; index++) {
    reached += weights[index] as number;
    if (goal < reached) return index;
  }
  return count;
}

/** Weights relative to the best token's, descending from 1. */
function weightsOf(values: Float32Array, temperature: number): Float64Array {
  const weights = new Float64Array(values.length);
  const best = values[0] as number;
  for (let index = 0; index < values.length; index++) {
    weights[index] = Math.exp(((values[index] as number) - best) / temperature);
  }
  return weights;
}

function keptByMinPAndTopK(weights: Float64Array, { minP, topK }: DrawOptions): number {
  let kept = topK > 0 ? Math.min(topK, weights.length) : weights.length;
  while (kept > 1 && (weights[kept - 1] as number) < minP) kept--;
  return kept;
}

function sum(weights: Float64Array, count: number): number {
  let total = 0;
  for (let index = 0; index < count; index++) total += weights[index] as number;
  return total;
}

function totalWeight(row: Float32Array, best: number, temperature: number): number {
  let total = 0;
  for (let index = 0; index < row.length; index++) total += Math.exp(((row[index] as number) - best) / temperature);
  return total;
}

/** All tokens that can be drawn, sorted; those that min_p rules out are left out before sorting. */
function sortedTokens(row: Float32Array, { temperature, minP }: DrawOptions): Candidates {
  const best = row[argmax(row)] as number;
  const floor = minP > 0 ? best + temperature * Math.log(minP) - 1e-3 * temperature : Number.NEGATIVE_INFINITY;
  const kept: number[] = [];
  for (let index = 0; index < row.length; index++) if ((row[index] as number) >= floor) kept.push(index);
  const ids = Int32Array.from(kept);
  ids.sort((a, b) => (row[b] as number) - (row[a] as number) || a - b);
  return { ids, values: Float32Array.from(ids, (id) => row[id] as number) };
}
