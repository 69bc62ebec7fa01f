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

/**
 * How much of what stands near a boundary on one side comes from the other side, or goes on there: names, numbers and
 * rare words that are carried over.
 *
 * @param near units whose words are asked for @param far units on the other side in which they are looked for
 * @param ahead true: words ahead of the boundary that stood before it; false: words before it that come again behind
 * @returns share of their weight in 0..1 at the boundary behind each unit, 0 if there are none. [units]
 */
export function carriedWords(bags: UnitBags, near: number, far: number, ahead: boolean): Float64Array {
  const { offsets, words, weights } = bags;
  const units = offsets.length - 1;
  const shares = new Float64Array(units);
  const seen = new Int32Array(weights.length).fill(ahead ? -far - 1 : units + far);
  const step = ahead ? 1 : -1;
  // At the boundary behind unit `at`, the last unit on the far side is `at` (ahead) or `at + 1`.
  for (let at = ahead ? 0 : units - 2; at >= 0 && at < units; at += step) {
    const edge = ahead ? at : at + 1;
    for (let word = offsets[edge] as number; word < (offsets[edge + 1] as number); word += 1) {
      seen[words[word] as number] = edge;
    }
    const first = ahead ? at + 1 : Math.max(0, at + 1 - near);
    const stop = ahead ? Math.min(units, at + 1 + near) : at + 1;
    let all = 0;
    let known = 0;
    for (let word = offsets[first] as number; word < (offsets[stop] as number); word += 1) {
      const weight = weights[words[word] as number] as number;
      all += weight;
      if (Math.abs((seen[words[word] as number] as number) - edge) < far) known += weight;
    }
    shares[at] = all > 0 ? known / all : 0;
  }
  return shares;
}

/** Mean of three neighbours. */
export function smoothed(values: Float64Array): Float64Array {
  return values.map((value, at) => (value + (values[at - 1] ?? value) + (values[at + 1] ?? value)) / 3);
}
