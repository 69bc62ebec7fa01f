/**
 * Sampling by its definition, the slow way: change every logit, sort the whole row, add up in float64. Tests compare
 * the sampler with it. Also makes rows as the graph returns them.
 */
import type { SamplingParams } from '../../src/engine/engine.js';
import type { LogitRow } from '../../src/engine/sampling/best-tokens.js';
import type { DrawOptions } from '../../src/engine/sampling/token-distribution.js';

/** Relative distance to an edge between two tokens at which rounding may choose the neighbour. */
const ROUNDING = 1e-11;

/** Token ids in descending order of logit, lower id first among equals. */
export function sortedIds(row: Float32Array): number[] {
  return Array.from(row.keys()).sort((a, b) => {
    const [left, right] = [row[a] as number, row[b] as number];
    return left === right ? a - b : right - left;
  });
}

/** An adjusted copy of a row; `generated` in the order in which they came. */
export function adjustedRow(
  row: Float32Array,
  sampling: SamplingParams,
  prompt: readonly number[],
  generated: readonly number[],
): Float32Array {
  const adjusted = row.slice();
  const seen = new Set(sampling.repetitionPenalty === 1 ? [] : [...prompt, ...generated]);
  for (const id of seen) {
    const value = adjusted[id] as number;
    adjusted[id] = value > 0 ? value / sampling.repetitionPenalty : value * sampling.repetitionPenalty;
  }
  for (const id of new Set(generated)) {
    const count = generated.filter((each) => each === id).length;
    adjusted[id] = (adjusted[id] as number) - sampling.frequencyPenalty * count - sampling.presencePenalty;
  }
  for (const [id, bias] of sampling.logitBias ?? []) adjusted[id] = (adjusted[id] as number) + Math.fround(bias);
  return adjusted;
}

/** Tokens that may be drawn, in order, with their weights. */
export function distribution(row: Float32Array, { temperature, topP, topK, minP }: DrawOptions) {
  const sorted = sortedIds(row);
  const best = row[sorted[0] as number] as number;
  let tokens = sorted.map((id) => ({ id, weight: Math.exp(((row[id] as number) - best) / temperature) }));
  tokens = tokens.filter(({ weight }, index) => index === 0 || weight >= minP);
  if (topK > 0) tokens = tokens.slice(0, topK);
  if (topP < 1) {
    const total = tokens.reduce((sum, { weight }) => sum + weight, 0);
    let nucleus = 0;
    let count = 0;
    while (count < tokens.length && nucleus < topP * total) nucleus += tokens[count++]?.weight ?? 0;
    tokens = tokens.slice(0, Math.max(1, count));
  }
  return tokens;
}

/** The tokens at which u falls: one, or those that meet there, within rounding. */
function drawn(row: Float32Array, options: DrawOptions, u: number): number[] {
  const tokens = distribution(row, options);
  const total = tokens.reduce((sum, { weight }) => sum + weight, 0);
  const found: number[] = [];
  let reached = 0;
  for (const { id, weight } of tokens) {
    const before = reached;
    reached += weight;
    if (before <= u * total + ROUNDING * total && reached > u * total - ROUNDING * total) found.push(id);
  }
  return found;
}

/** The token that the definition draws; several only where u or top_p lies at an edge, within rounding. */
export function drawnTokens(row: Float32Array, options: DrawOptions, u: number): Set<number> {
  const shares = options.topP < 1 ? [1 - ROUNDING, 1, 1 + ROUNDING] : [1];
  return new Set(shares.flatMap((share) => drawn(row, { ...options, topP: Math.min(1, options.topP * share) }, u)));
}

/** What the graph returns for a row: the best k, and the log-sum-exp added up in float32 as ONNX Runtime does. */
export function rowOf(full: Float32Array, topK: number): LogitRow {
  const ids = Int32Array.from(sortedIds(full).slice(0, topK));
  const values = Float32Array.from(ids, (id) => full[id] as number);
  const best = values[0] as number;
  let total = 0;
  for (const value of full) total = Math.fround(total + Math.fround(Math.exp(Math.fround(value - best))));
  return {
    best: { values, ids },
    logSumExp: Math.fround(Math.fround(Math.log(total)) + best),
    full,
    vocabSize: full.length,
  };
}
