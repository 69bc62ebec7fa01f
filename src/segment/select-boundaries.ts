/**
 * Picks boundaries by dynamic programming: as many as the target length asks for, where the sum of strengths less the
 * cost of unusual lengths is highest. Works through the text in stretches and keeps the first half of each. So a
 * boundary depends on nothing further behind it than HORIZON targets, and text added at the end leaves the rest alone.
 * Knows token counts and strengths; the caller decides where they come from.
 *
 * Work grows with the text alone: no table is longer than the text has tokens, and no stretch has more than
 * MOST_CANDIDATES places to cut, however large the target or the maximum.
 */
import { type Pace, unhurried } from '../text/pace.js';
import { leastTokens, type SegmentLimits } from './segment-limits.js';

export interface ScoredUnits {
  /** Tokens of each unit, each within the maximum. [units] */
  tokens: ArrayLike<number>;
  /** What lengths are weighed by, whole numbers, if not by the tokens themselves. The maximum always means tokens. [units] */
  lengths?: ArrayLike<number>;
  /** Strength of the boundary behind each unit, as log-odds, for blocks of about this many tokens. [units] */
  strengthsAt(targetTokens: number): ArrayLike<number>;
  /** How much lengths matter for blocks of about this many tokens, 0 to 1; if it is not given, 1. */
  lengthCareAt?(targetTokens: number): number;
  /**
   * Strength from which a boundary is believed in. If it is given, a text with more such boundaries gets more blocks
   * than the target asks for, and one with fewer gets fewer, within FREEDOM.
   */
  believed?: number;
  /** Told of each pair of boundaries that is weighed. */
  pace?: Pace;
}

/** A boundary depends on at most this many target lengths behind it. */
export const HORIZON = 24;
/** What a length one factor of e away from the target costs, in log-odds. */
const LENGTH_WEIGHT = 0.35;
/** A length below the minimum costs this much. It is taken only if nothing else keeps the maximum. */
const CRUMB_COST = 25;
/** Blocks longer than this multiple of the target are ignored, unless nothing else fits. */
const REACH = 8;
const PRICE_STEPS = 14;
/** Places to cut that one stretch weighs: 128 in the length of a target. Ordinary texts have fewer. */
const MOST_CANDIDATES = 3072;
/** The count may differ from what the target asks for by this factor. */
const FREEDOM = 1.2;
const HIGHEST_STRENGTH = 12;
/** Targets of neighbouring granularities differ by about this factor. */
const LADDER_RATIO = 1.35;

/**
 * Blocks for one target length.
 *
 * @param limits target, minimum and hard maximum in tokens
 * @returns indexes of the units that end blocks, ascending; the last unit is the last of them
 */
export function selectBoundaries(units: ScoredUnits, limits: SegmentLimits): number[] {
  const every = Int32Array.from({ length: units.tokens.length }, (_, unit) => unit);
  return selectAmong(every, units, limits, limits.targetTokens);
}

/**
 * Blocks for a granularity. Coarser settings choose among the boundaries of the finer ones, so they nest.
 *
 * @param finest target in tokens at granularity 0; @param coarsest at 1
 * @returns as `selectBoundaries`
 */
export function selectNested(
  units: ScoredUnits,
  limits: SegmentLimits,
  granularity: number,
  finest: number,
  coarsest: number,
): number[] {
  const steps = Math.max(1, Math.ceil(Math.log(coarsest / finest) / Math.log(LADDER_RATIO)));
  const wanted = Math.round(granularity * steps);
  let ends: ArrayLike<number> = Int32Array.from({ length: units.tokens.length }, (_, unit) => unit);
  for (let step = 0; step <= wanted; step += 1) {
    const target = Math.max(1, Math.round(finest * (coarsest / finest) ** (step / steps)));
    // One block is left: coarser targets cannot have fewer.
    if (ends.length <= 1) break;
    // The minimum must not depend on the granularity asked for, or coarser ones would not nest.
    const minTokens = Math.min(limits.givenMinTokens ?? leastTokens(target), target);
    ends = selectAmong(ends, units, { ...limits, minTokens }, target);
  }
  return Array.from(ends);
}

/** @param candidates units that may end a block, ascending, the last unit among them */
function selectAmong(
  candidates: ArrayLike<number>,
  { tokens, lengths = tokens, strengthsAt, lengthCareAt, believed, pace = unhurried }: ScoredUnits,
  limits: SegmentLimits,
  target: number,
): number[] {
  const count = candidates.length;
  const strengths = strengthsAt(target);
  // Length and tokens up to each candidate's end, and its strength. [count + 1], [count + 1], [count]
  const sums = new Float64Array(count + 1);
  const tokenSums = lengths === tokens ? sums : new Float64Array(count + 1);
  const scores = new Float64Array(count);
  let unit = 0;
  for (let at = 0; at < count; at += 1) {
    const end = candidates[at] as number;
    let sum = sums[at] as number;
    let tokenSum = tokenSums[at] as number;
    while (unit <= end) {
      sum += lengths[unit] as number;
      tokenSum += tokens[unit] as number;
      unit += 1;
    }
    sums[at + 1] = sum;
    tokenSums[at + 1] = tokenSum;
    const strength = strengths[end] as number;
    scores[at] = Math.max(-HIGHEST_STRENGTH, Math.min(HIGHEST_STRENGTH, strength));
  }
  pace(unit);
  const care = lengthCareAt?.(target) ?? 1;
  const search = new StretchSearch(sums, tokenSums, scores, limits, target, care, believed, pace);
  const chosen: number[] = [];
  let first = 0;
  while (first < count) {
    const begin = sums[first] as number;
    let stop = first;
    while (stop < count && (sums[stop] as number) - begin < HORIZON * target) stop += 1;
    const ends = search.best(first, stop);
    const isLast = stop === count;
    const kept = isLast ? ends : ends.filter((end) => (sums[end + 1] as number) - begin <= (HORIZON / 2) * target);
    // The first block is longer than half the horizon.
    if (kept.length === 0) kept.push(ends[0] as number);
    for (const end of kept) chosen.push(candidates[end] as number);
    first = (kept.at(-1) as number) + 1;
  }
  return chosen;
}

/** Best cuts of one stretch at the price per boundary that gives the wanted number of blocks. */
class StretchSearch {
  readonly #sums: Float64Array;
  readonly #tokenSums: Float64Array;
  readonly #maxTokens: number;
  readonly #scores: Float64Array;
  readonly #reach: number;
  readonly #target: number;
  readonly #believed: number | undefined;
  readonly #pace: Pace;
  /** Cost of each length in tokens. [reach + 1] */
  readonly #costs: Float64Array;
  /** Places to cut in this stretch: candidates, lengths and tokens before each and behind the last, best worth up to each. */
  #places: Int32Array = new Int32Array();
  #lengths: Float64Array = new Float64Array();
  #tokens: Float64Array = new Float64Array();
  #value: Float64Array = new Float64Array();
  #from: Int32Array = new Int32Array();

  constructor(
    sums: Float64Array,
    tokenSums: Float64Array,
    scores: Float64Array,
    { minTokens, maxTokens }: SegmentLimits,
    target: number,
    lengthCare: number,
    believed: number | undefined,
    pace: Pace,
  ) {
    this.#sums = sums;
    this.#tokenSums = tokenSums;
    this.#maxTokens = maxTokens;
    this.#scores = scores;
    this.#target = target;
    this.#believed = believed;
    this.#pace = pace;
    // No block is longer than the text.
    this.#reach = Math.min(maxTokens, Math.ceil(target * REACH), sums.at(-1) as number);
    this.#costs = Float64Array.from({ length: this.#reach + 1 }, (_, length) => {
      const cost = lengthCare * LENGTH_WEIGHT * Math.log(Math.max(length, 1) / target) ** 2;
      return length < minTokens ? cost + CRUMB_COST : cost;
    });
    pace(this.#reach);
  }

  /** @returns candidates in first..stop-1 that end blocks, the last among them */
  best(first: number, stop: number): number[] {
    this.#enter(first, stop);
    const total = (this.#sums[stop] as number) - (this.#sums[first] as number);
    const asked = Math.max(1, Math.round(total / this.#target));
    let wanted = asked;
    if (this.#believed !== undefined) {
      this.#run(this.#believed);
      const count = this.#count();
      wanted = Math.max(1, Math.round(asked / FREEDOM), Math.min(count, Math.round(asked * FREEDOM)));
      if (wanted === count) return this.#path();
    }
    let low = -2 * HIGHEST_STRENGTH - 4;
    let high = -low;
    let best: number[] = [];
    let bestMiss = Number.POSITIVE_INFINITY;
    for (let step = 0; step < PRICE_STEPS; step += 1) {
      const price = (low + high) / 2;
      this.#run(price);
      const count = this.#count();
      if (Math.abs(count - wanted) < bestMiss) {
        bestMiss = Math.abs(count - wanted);
        best = this.#path();
      }
      if (count === wanted) break;
      if (count > wanted) low = price;
      else high = price;
    }
    return best;
  }

  #enter(first: number, stop: number): void {
    const sums = this.#sums;
    const places = placesToCut(sums, this.#scores, first, stop);
    this.#places = places;
    this.#lengths = sumsAt(sums, first, places);
    this.#tokens = this.#tokenSums === sums ? this.#lengths : sumsAt(this.#tokenSums, first, places);
    this.#value = new Float64Array(places.length + 1);
    this.#from = new Int32Array(places.length + 1);
  }

  #run(price: number): void {
    const places = this.#places;
    const lengths = this.#lengths;
    const tokens = this.#tokens;
    const maxTokens = this.#maxTokens;
    const value = this.#value;
    const costs = this.#costs;
    const reach = this.#reach;
    for (let end = 0; end < places.length; end += 1) {
      const sum = lengths[end + 1] as number;
      const most = (tokens[end + 1] as number) - maxTokens;
      let best = Number.NEGATIVE_INFINITY;
      let from = end;
      let start = end;
      for (; start >= 0; start -= 1) {
        const length = sum - (lengths[start] as number);
        if ((length > reach || (tokens[start] as number) < most) && start < end) break;
        const worth = (value[start] as number) - (length > reach ? 0 : (costs[length] as number));
        if (worth > best) {
          best = worth;
          from = start;
        }
      }
      this.#pace(end - start);
      value[end + 1] = best + (this.#scores[places[end] as number] as number) - price;
      this.#from[end + 1] = from;
    }
  }

  #count(): number {
    let count = 0;
    for (let at = this.#places.length; at > 0; at = this.#from[at] as number) count += 1;
    return count;
  }

  #path(): number[] {
    const ends: number[] = [];
    for (let at = this.#places.length; at > 0; at = this.#from[at] as number) ends.push(this.#places[at - 1] as number);
    return ends.reverse();
  }
}

/** Sums before the first place and behind each. [places + 1] */
function sumsAt(sums: Float64Array, first: number, places: Int32Array): Float64Array {
  const found = new Float64Array(places.length + 1);
  found[0] = sums[first] as number;
  for (let at = 0; at < places.length; at += 1) found[at + 1] = sums[(places[at] as number) + 1] as number;
  return found;
}

/**
 * The candidates of a stretch, thinned where they lie far closer together than blocks are long: of each window the
 * first, the strongest and the last stay. No gap between two that stay is then longer than a window or a unit.
 *
 * @returns candidates in first..stop-1, ascending, the last among them; at most MOST_CANDIDATES
 */
function placesToCut(sums: Float64Array, scores: Float64Array, first: number, stop: number): Int32Array {
  if (stop - first <= MOST_CANDIDATES) return Int32Array.from({ length: stop - first }, (_, at) => first + at);
  const begin = sums[first] as number;
  const width = ((sums[stop] as number) - begin) / (MOST_CANDIDATES / 3 - 1);
  const kept: number[] = [];
  for (let at = first; at < stop; ) {
    const window = Math.floor(((sums[at + 1] as number) - begin) / width);
    let end = at;
    let strongest = at;
    while (end + 1 < stop && Math.floor(((sums[end + 2] as number) - begin) / width) === window) {
      end += 1;
      if ((scores[end] as number) > (scores[strongest] as number)) strongest = end;
    }
    kept.push(at);
    if (strongest > at) kept.push(strongest);
    if (end > strongest) kept.push(end);
    at = end + 1;
  }
  return Int32Array.from(kept);
}
