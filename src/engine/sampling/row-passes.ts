/**
 * The loops over a whole row of logits, each with as few operations as possible: a vocabulary has 150,000 places and
 * more, and a nanosecond for each of them is 0.15 ms a draw. Orders are those of `token-order.ts`, from the row's bits.
 * Knows places from..to of a row; `whole-row.ts` knows what they are for.
 */

/** Buckets in a unit of (best - logit) / temperature. */
export const STEPS = 256;
/** Tokens down to this many units below the best one are weighed. */
export const REACH = 64;

/**
 * Adds to masses[b] the sum of exp(-(d - b) / STEPS) over the tokens with floor(d) = b, d = (best - logit) * scale.
 *
 * @param lowest smallest logit that counts, not below best - REACH * STEPS / scale
 * @param masses float64 [STEPS * REACH + 1]
 */
export function addMasses(
  row: Float32Array,
  from: number,
  to: number,
  lowest: number,
  best: number,
  scale: number,
  masses: Float64Array,
): void {
  // Products are plain doubles to the compiler: parameters it would unpack again at every place.
  const floor = lowest * 1;
  const top = best * 1;
  const steps = scale * 1;
  for (let index = from; index < to; index++) {
    const value = row[index] as number;
    if (value >= floor) {
      const distance = (top - value) * steps;
      const bucket = distance | 0;
      const at = (distance - bucket) * (1 / STEPS);
      // The series of `within`, written out: a call would cost as much again.
      masses[bucket]! += 1 - at * (1 - at * (1 / 2 - at * (1 / 6 - at * (1 / 24))));
    }
  }
}

/** exp(-rest / STEPS), rest in [0, 1): Taylor's series to the fourth power, off by less than 256^-5 / 120 = 8e-15. */
export function within(rest: number): number {
  const at = rest * (1 / STEPS);
  return 1 - at * (1 - at * (1 / 2 - at * (1 / 6 - at * (1 / 24))));
}

/**
 * Counts tokens by the leading bits of their order: counts[(order >> shift) + counts.length / 2].
 * @param bits the row's float32 as int32 @param lowest @param highest orders that count
 */
export function addCounts(
  bits: Int32Array,
  from: number,
  to: number,
  lowest: number,
  highest: number,
  shift: number,
  counts: Int32Array,
): void {
  const span = highest - lowest;
  const offset = counts.length / 2;
  for (let index = from; index < to; index++) {
    const word = bits[index] as number;
    const sign = word >> 31;
    const order = ((word & 0x7fffffff) ^ sign) - sign;
    if ((order - lowest) >>> 0 <= span) {
      const bucket = (order >> shift) + offset;
      counts[bucket] = (counts[bucket] as number) + 1;
    }
  }
}

/**
 * Writes the places of tokens whose orders lie in lowest..highest to ids[at...], in order of place.
 * @returns the place in `ids` after the last one
 */
export function collect(
  bits: Int32Array,
  from: number,
  to: number,
  lowest: number,
  highest: number,
  ids: Int32Array,
  at: number,
): number {
  const span = highest - lowest;
  let end = at;
  if (span < 0) return end;
  for (let index = from; index < to; index++) {
    const word = bits[index] as number;
    const sign = word >> 31;
    const order = ((word & 0x7fffffff) ^ sign) - sign;
    if ((order - lowest) >>> 0 <= span) {
      ids[end] = index;
      end++;
    }
  }
  return end;
}
