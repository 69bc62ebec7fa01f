/**
 * The best tokens of a row after penalties and bias, and draws from them alone if they are enough. The graph gives the
 * best k of the raw row. Every other token lies at or below the k-th, and the row's log-sum-exp bounds the weight of
 * all others together.
 * Knows bounds. If they do not decide the draw, `whole-row.ts` reads the whole row.
 */
import type { LogitAdjustments } from './logit-adjustments.js';
import { type Candidates, type DrawOptions, keptByMinPAndTopK, sum, walk, weightsOf } from './token-distribution.js';

/** What the graph returned for one row. */
export interface LogitRow {
  /** At least as many as asked for, unless the vocabulary is smaller. */
  best: Candidates;
  logSumExp: number;
  /** float32 [vocab], if the whole row was asked for. */
  full: Float32Array | undefined;
  /** The token that the graph drew, if it was asked to, with its logit before adjustments. */
  drawn?: { id: number; logit: number };
  vocabSize: number;
}

export interface BestTokens {
  /** The greatest tokens of the adjusted row, in order, without a gap. May be empty. */
  front: Candidates;
  /** Adjusted logits below the raw k-th. Their places among the unlisted tokens are not known. */
  below: readonly number[];
  /** Whether tokens that are not listed may have been lowered. */
  lowered: boolean;
}

/** Relative rounding error of sums; bounds leave room for it. */
const SLACK = 1e-12;
/** Largest |log-sum-exp - best| that goes into an exponential. */
const MOST_LOG = 50;

/**
 * Ranks the best tokens after adjustments.
 * @throws TypeError when a token's logit may be raised and the whole row is absent
 */
export function bestTokens(row: LogitRow, adjustments: LogitAdjustments | undefined): BestTokens {
  const { best, full, vocabSize } = row;
  if (adjustments === undefined) return { front: best, below: [], lowered: false };
  const last = best.ids.length - 1;
  const all = best.ids.length === vocabSize;
  const edge = best.values[last] as number;
  const edgeId = best.ids[last] as number;
  const kept: Ranked[] = [];
  const moved: Ranked[] = [];
  const below: number[] = [];
  const listed = new Set<number>();
  const place = (id: number, raw: number) => {
    const value = adjustments.adjust(id, raw);
    if (!all && (value < edge || (value === edge && id > edgeId))) below.push(value);
    else if (value === raw) kept.push({ id, value });
    else moved.push({ id, value });
  };
  for (let index = 0; index <= last; index++) {
    const id = best.ids[index] as number;
    listed.add(id);
    place(id, best.values[index] as number);
  }
  for (const id of adjustments.raised()) {
    if (listed.has(id) || id >= vocabSize) continue;
    listed.add(id);
    if (full === undefined) throw new TypeError('tokens whose logits are raised need the whole row');
    place(id, full[id] as number);
  }
  return { front: merged(kept, moved.sort(descending)), below, lowered: true };
}

/**
 * Draws from the best tokens alone: always when top_k or min_p cut inside them, else when the token is the same for the
 * least and the greatest weight that the rest of the row can have.
 *
 * @param u uniform in [0, 1)
 * @returns token id, or undefined when the whole row is needed
 */
export function drawFromBest(tokens: BestTokens, row: LogitRow, options: DrawOptions, u: number): number | undefined {
  const { values, ids } = tokens.front;
  if (ids.length === 0) return undefined;
  const best = values[0] as number;
  const weights = weightsOf(values, best, options.temperature);
  const kept = keptByMinPAndTopK(weights, options);
  const known = sum(weights, kept);
  if (kept < ids.length || kept === options.topK || ids.length === row.vocabSize) {
    return ids[Math.min(walk(weights, kept, options.topP, u, known), kept - 1)];
  }
  const rest = unlistedWeight(tokens, row, best, options.temperature);
  let below = 0;
  for (const value of tokens.below) below += Math.exp((value - best) / options.temperature);
  // It is not known what min_p and top_k drop further down. Perhaps only the front is left.
  const least = known + (options.topK > 0 || options.minP > 0 ? 0 : below + rest.least);
  const most = known + below + rest.most;
  const low = walk(weights, kept, options.topP, u, least * (1 - SLACK));
  const high = walk(weights, kept, options.topP, u, most * (1 + SLACK));
  return low === high && low < kept ? ids[low] : undefined;
}

/**
 * Bounds of the weight of all unlisted tokens, relative to `best`. With q = 1 / temperature, a = exp(logit - best) at
 * temperature 1, and their sum A over n tokens known from the log-sum-exp, each a <= e: the sum of a^q is at most
 * A e^(q-1) and at least n (A/n)^q for q >= 1 (power means); for q < 1 the two change places.
 */
function unlistedWeight(tokens: BestTokens, row: LogitRow, best: number, temperature: number) {
  const count = row.vocabSize - row.best.ids.length;
  const edge = row.best.values[row.best.ids.length - 1] as number;
  if (count <= 0 || edge === Number.NEGATIVE_INFINITY) return { least: 0, most: 0 };
  const power = 1 / temperature;
  let least = 0;
  let most = count * Math.exp((edge - best) * power);
  const log = row.logSumExp - best;
  if (Math.abs(log) < MOST_LOG) {
    const total = Math.exp(log);
    const listed = sum(weightsOf(row.best.values, best, 1), row.best.values.length);
    const error = total * logSumExpError(row);
    const massMost = Math.max(0, total + error - listed);
    const massLeast = Math.max(0, total - error - listed);
    const slope = Math.exp((edge - best) * (power - 1));
    if (power >= 1) {
      most = Math.min(most, massMost * slope);
      least = count * (massLeast / count) ** power;
    } else {
      most = Math.min(most, count * (massMost / count) ** power);
      least = massLeast * slope;
    }
  }
  return { least: tokens.lowered ? 0 : least, most };
}

/**
 * Relative error of the exponential of a float32 log-sum-exp. A sum of n terms in float32, in any order, is
 * off by up to n 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2); the rest is the rounding
 * of differences, exponentials and the logarithm.
 */
function logSumExpError({ logSumExp, vocabSize }: LogitRow): number {
  return vocabSize * 2 ** -24 + (Math.abs(logSumExp) + 16) * 2 ** -22;
}

interface Ranked {
  id: number;
  value: number;
}

function descending(a: Ranked, b: Ranked): number {
  return b.value - a.value || a.id - b.id;
}

/** Merges two lists that are in order. */
function merged(one: readonly Ranked[], other: readonly Ranked[]): Candidates {
  const length = one.length + other.length;
  const values = new Float32Array(length);
  const ids = new Int32Array(length);
  for (let at = 0, left = 0, right = 0; at < length; at++) {
    const a = one[left];
    const b = other[right];
    const next = a !== undefined && (b === undefined || descending(a, b) < 0) ? a : (b as Ranked);
    if (next === a) left++;
    else right++;
    values[at] = next.value;
    ids[at] = next.id;
  }
  return { values, ids };
}
