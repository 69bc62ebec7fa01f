/**
 * How many words the units before and behind each boundary share, at several widths: cosine of idf-weighted bags in
 * two sliding windows (Hearst 1997, TextTiling, section 3, with rarity for weight). Sums are whole numbers, so the
 * value depends on the windows alone, not on where the text began.
 */

/** Words of all units, one after another. */
export interface UnitBags {
  /** First word of each unit in `words`; one more than there are units. [units + 1] */
  offsets: Int32Array;
  /** Number of a word within this text, from 0. */
  words: Int32Array;
  /** Weight of each such number, a whole number. */
  weights: Int32Array;
}

/**
 * @param width units on each side
 * @returns cosine in 0..1 at the boundary behind each unit, 0 if a side is empty. [units]
 */
export function slidingCohesion(bags: UnitBags, width: number): Float64Array {
  const { offsets, words, weights } = bags;
  const units = offsets.length - 1;
  const left = new Int32Array(weights.length);
  const right = new Int32Array(weights.length);
  let dot = 0;
  let leftNorm = 0;
  let rightNorm = 0;
  const addLeft = (unit: number, by: number) => {
    for (let at = offsets[unit] as number; at < (offsets[unit + 1] as number); at += 1) {
      const word = words[at] as number;
      const weight = (weights[word] as number) ** 2;
      const count = left[word] as number;
      dot += by * weight * (right[word] as number);
      leftNorm += weight * ((count + by) ** 2 - count ** 2);
      left[word] = count + by;
    }
  };
  const addRight = (unit: number, by: number) => {
    for (let at = offsets[unit] as number; at < (offsets[unit + 1] as number); at += 1) {
      const word = words[at] as number;
      const weight = (weights[word] as number) ** 2;
      const count = right[word] as number;
      dot += by * weight * (left[word] as number);
      rightNorm += weight * ((count + by) ** 2 - count ** 2);
      right[word] = count + by;
    }
  };
  const cosines = new Float64Array(units);
  for (let unit = 0; unit < width && unit < units; unit += 1) addRight(unit, 1);
  for (let unit = 0; unit < units; unit += 1) {
    addRight(unit, -1);
    addLeft(unit, 1);
    if (unit + width < units) addRight(unit + width, 1);
    if (unit - width >= 0) addLeft(unit - width, -1);
    cosines[unit] = leftNorm > 0 && rightNorm > 0 ? dot / Math.sqrt(leftNorm * rightNorm) : 0;
  }
  return cosines;
}
