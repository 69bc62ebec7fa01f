/**
 * Semantic chunking by embedding similarity: each unit is encoded with its neighbours, and the distance between the
 * vectors on both sides of a boundary is its strength. The user names the encoder.
 */
import { type Pace, unhurried } from '../text/pace.js';
import { standardized } from './cut-by-strengths.js';
import type { SentenceEncoder } from './sentence-encoder.js';
import { splitUnits, type TextUnit } from './text-units.js';

/** Units taken together on each side of a boundary. */
const WINDOW = 2;
/** UTF-16 units of a window that are encoded. */
const LONGEST_WINDOW = 2000;

/** @returns strengths of the boundary behind each unit, the same for every target length. [units] */
export async function embeddingStrengths(
  text: string,
  encoder: SentenceEncoder,
  pace: Pace = unhurried,
): Promise<{ units: TextUnit[]; strengths: Float64Array }> {
  const units = splitUnits(text);
  const windows = units.map((unit, index) => {
    const last = units[Math.min(index + WINDOW, units.length) - 1] ?? unit;
    return text.slice(unit.start, Math.min(last.end, unit.start + LONGEST_WINDOW)).trim();
  });
  const vectors = await encoder.encode(windows, pace);
  const distances = units.map((_, index) => {
    const left = vectors[Math.max(0, index + 1 - WINDOW)];
    const right = vectors[index + 1];
    return left && right ? 1 - dot(left, right) : 1;
  });
  return { units, strengths: standardized(distances) };
}

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at += 1) sum += (left[at] as number) * (right[at] as number);
  return sum;
}
