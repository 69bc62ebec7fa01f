/**
 * The structural segmenter: cuts along what the text itself shows (headings, empty lines, lists, tables, fences,
 * sentences) near a target length. Synchronous and pure; create-segmenter.ts decides which thread runs it.
 */
import { type CountedAtom, chooseBoundaries } from './choose-boundaries.js';
import { exactSegments } from './exact-segments.js';
import type { SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';
import type { SpanTokens } from './span-tokens.js';
import { splitOversize } from './split-oversize.js';
import { splitAtoms } from './text-atoms.js';

/** Cuts text under limits; spans cover the text exactly once, in order, each within the maximum. */
export type Cut = (tokens: SpanTokens, limits: SegmentLimits) => Segment[];

export const cutStructural: Cut = (tokens, limits) => {
  const atoms = fittingAtoms(tokens, limits.maxTokens);
  return exactSegments(tokens, chooseBoundaries(atoms, limits, tokens.pace), limits.maxTokens);
};

/** The text's atoms, those above the maximum cut further. */
function fittingAtoms(tokens: SpanTokens, maxTokens: number): CountedAtom[] {
  return tokens.counted(splitAtoms(tokens.text)).flatMap((atom) => {
    const pieces = splitOversize(tokens, [atom], maxTokens);
    return pieces.map((piece, at) => ({ ...piece, score: at === pieces.length - 1 ? atom.score : 0 }));
  });
}
