/**
 * The structural segmenter: cuts along what the text itself shows (headings, empty lines, lists, tables, fences,
 * sentences) near a target length. Synchronous and pure; which thread it runs in is decided in create-segmenter.ts.
 */
import { type CountedAtom, chooseBoundaries } from './choose-boundaries.js';
import { exactSegments } from './exact-segments.js';
import type { SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';
import { type CountTokens, splitOversize } from './split-oversize.js';
import { splitAtoms } from './text-atoms.js';

/** Cuts text under limits; spans cover the text exactly once, in order, each within the maximum. */
export type Cut = (text: string, limits: SegmentLimits, count: CountTokens) => Segment[];

export const cutStructural: Cut = (text, limits, count) => {
  const atoms = fittingAtoms(text, limits.maxTokens, count);
  return exactSegments(text, chooseBoundaries(atoms, limits), limits.maxTokens, count);
};

/** The text's atoms, those above the maximum cut further. */
function fittingAtoms(text: string, maxTokens: number, count: CountTokens): CountedAtom[] {
  const atoms = splitAtoms(text);
  const counts = count(atoms.map((atom) => text.slice(atom.start, atom.end)));
  const fitting: CountedAtom[] = [];
  for (const [index, atom] of atoms.entries()) {
    const tokens = counts[index] ?? 0;
    if (tokens <= maxTokens) {
      fitting.push({ ...atom, tokens });
      continue;
    }
    const pieces = splitOversize(text, [{ start: atom.start, end: atom.end, tokens }], maxTokens, count);
    for (const [at, piece] of pieces.entries()) {
      fitting.push({ ...piece, score: at === pieces.length - 1 ? atom.score : 0 });
    }
  }
  return fitting;
}
