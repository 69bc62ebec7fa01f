/**
 * Picks boundaries from left to right. The next one is the best of those within reach: its strength counts, and how
 * near the piece comes to the target. Looks no further ahead than the maximum, so text added at the end moves only the
 * boundaries near the old end.
 */
import { type Pace, unhurried } from '../text/pace.js';
import type { SegmentLimits } from './segment-limits.js';
import type { Atom } from './text-atoms.js';

export interface CountedAtom extends Atom {
  tokens: number;
}

export interface ChosenSpan {
  start: number;
  end: number;
  /** Sum of the atoms' tokens: near the exact count of the span, but not always equal. */
  tokens: number;
  boundaryScore: number;
}

/** What one factor of e away from the target costs, in units of boundary strength. */
const LENGTH_WEIGHT = 0.5;
/** Pieces longer than this multiple of the target are not looked at, unless nothing else fits. */
const REACH = 2.5;

/**
 * @param atoms in order, each within the maximum
 * @param pace told of each atom that is looked at
 * @returns spans in order that cover the atoms
 */
export function chooseBoundaries(
  atoms: readonly CountedAtom[],
  limits: SegmentLimits,
  pace: Pace = unhurried,
): ChosenSpan[] {
  const spans: ChosenSpan[] = [];
  let first = 0;
  while (first < atoms.length) {
    const last = nextBoundary(atoms, first, limits, pace);
    let tokens = 0;
    for (let at = first; at <= last; at += 1) tokens += atoms[at]?.tokens ?? 0;
    spans.push({
      start: atoms[first]?.start ?? 0,
      end: atoms[last]?.end ?? 0,
      tokens,
      boundaryScore: atoms[last]?.score ?? 0,
    });
    first = last + 1;
  }
  return spans;
}

/** @returns index of the atom that ends the piece beginning with atom `first` */
function nextBoundary(atoms: readonly CountedAtom[], first: number, limits: SegmentLimits, pace: Pace): number {
  const { minTokens, targetTokens, maxTokens } = limits;
  const reach = Math.min(maxTokens, Math.ceil(targetTokens * REACH));
  const rest = tokensWithin(atoms, first, reach + minTokens);
  let best = first;
  let bestValue = Number.NEGATIVE_INFINITY;
  let tokens = 0;
  let at = first;
  for (; at < atoms.length; at += 1) {
    const atom = atoms[at] as CountedAtom;
    tokens += atom.tokens;
    if (tokens > reach && at > first) break;
    const isLast = at === atoms.length - 1;
    // Near the end of the text, a remainder below the minimum is avoided.
    const leavesCrumb = rest !== undefined && !isLast && rest - tokens < minTokens;
    let value = atom.score - LENGTH_WEIGHT * Math.abs(Math.log(Math.max(tokens, 1) / targetTokens));
    if (tokens < minTokens && !isLast) value -= 10;
    if (leavesCrumb) value -= 1;
    if (value >= bestValue) {
      bestValue = value;
      best = at;
    }
  }
  pace(at - first);
  return best;
}

/** Tokens from atom `first` to the end of the text, or undefined if that is more than `limit`. */
function tokensWithin(atoms: readonly CountedAtom[], first: number, limit: number): number | undefined {
  let tokens = 0;
  for (let at = first; at < atoms.length; at += 1) {
    tokens += atoms[at]?.tokens ?? 0;
    if (tokens > limit) return undefined;
  }
  return tokens;
}
