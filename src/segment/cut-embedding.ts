/**
 * Semantic chunking by embedding similarity: each unit is encoded with its neighbours, and the distance between the
 * vectors on both sides of a boundary is its strength. The encoder is whatever the user points at.
 */
import { cutByStrengths, standardized } from './cut-by-strengths.js';
import type { SegmentLimits } from './segment-limits.js';
import type { Segment } from './segmenter.js';
import type { SentenceEncoder } from './sentence-encoder.js';
import type { CountTokens } from './split-oversize.js';
import { splitUnits } from './text-units.js';

/** Units taken together on each side of a boundary. */
const WINDOW = 2;
/** UTF-16 units of a window that are encoded. */
const LONGEST_WINDOW = 2000;

export async function cutEmbedding(
  text: string,
  limits: SegmentLimits,
  count: CountTokens,
  encoder: SentenceEncoder,
): Promise<Segment[]> {
  if (text === '') return [];
  const units = splitUnits(text);
  const windows = units.map((unit, index) => {
    const last = units[Math.min(index + WINDOW, units.length) - 1] ?? unit;
    return text.slice(unit.start, Math.min(last.end, unit.start + LONGEST_WINDOW)).trim();
  });
  const vectors = await encoder.encode(windows);
  const distances = units.map((_, index) => {
    const left = vectors[Math.max(0, index + 1 - WINDOW)];
    const right = vectors[index + 1];
    return left && right ? 1 - dot(left, right) : 1;
  });
  const strengths = standardized(distances);
  return cutByStrengths(text, units, () => strengths, limits, count);
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at += 1) sum += (left[at] as number) * (right[at] as number);
  return sum;
}
