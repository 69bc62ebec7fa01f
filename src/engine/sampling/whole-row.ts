/**
 * Draws from a whole row of logits without sorting it: one pass sums weights by buckets of logits, a second one collects
 * the tokens of the bucket in which the draw falls, and only those are put in order (`token-group.ts`).
 * Knows one row at a time; the definition of a draw is in `token-distribution.ts`.
 *
 * Work: at most five passes over the row (two for top_k, one for the weights, one each for top_p and the draw), and no call of
 * Math.exp in them. Buckets are 1/256 wide in (best - logit) / temperature, so a weight is a power from a table times
 * exp(-f / 256), f in [0, 1), by the first five terms of its series: off by less than 256^-5 / 120 = 8e-15 of itself, and
 * exact at the best token. Beyond 64 such units below the best, weights are left out: all together they are less than
 * 2^31 * e^-64 = 4e-19 of the total, less than the smallest step of u.
 */
import type { DrawOptions } from './token-distribution.js';
import { type FoundToken, TokenGroup } from './token-group.js';
import { LOWEST_ORDER, logitOf, orderOf, orderOfBits } from './token-order.js';

/** Buckets in a unit of (best - logit) / temperature. */
const STEPS = 256;
/** Units below the best token that are weighed. */
const REACH = 64;
const POWERS = Float64Array.from({ length: STEPS * REACH + 1 }, (_, bucket) => Math.exp(-bucket / STEPS));
/** Low bits of an order that are not looked at when tokens are counted: sign, exponent and five bits of the mantissa are. */
const COUNT_SHIFT = 18;
/** Places the order of -Infinity at or above bucket 0. */
const COUNT_OFFSET = 1 << (31 - COUNT_SHIFT);

/** The last token that may be drawn: those with a lower logit, or the same and a higher id, may not. */
interface Floor {
  value: number;
  lastId: number;
}

export class WholeRow {
  readonly #masses = new Float64Array(STEPS * REACH + 1);
  readonly #counts = new Int32Array(COUNT_OFFSET * 2);
  readonly #group = new TokenGroup();
  #visited = 0;

  /** Places of rows visited, and tokens ordered, since ever: what the work of draws is measured by. */
  get work(): { visited: number; ordered: number } {
    return { visited: this.#visited, ordered: this.#group.handled };
  }

  /**
   * Draws a token.
   *
   * @param row  float32 [vocab]
   * @param best the greatest value of the row, finite
   * @param u    uniform in [0, 1)
   */
  draw(row: Float32Array, best: number, options: DrawOptions, u: number): number {
    const { temperature, topP } = options;
    // The limit keeps 0 * scale a number at the smallest temperatures.
    const scale = Math.min(STEPS / temperature, 1e300);
    const filtered = this.#floor(row, best, options);
    const reach = best - REACH * temperature;
    const floor = filtered.value < reach ? { value: reach, lastId: row.length } : filtered;
    const total = this.#weigh(row, best, scale, floor);
    let goal = u * total;
    if (topP < 1) goal = u * this.#find(row, best, scale, floor, topP * total, false).cumulative;
    return this.#find(row, best, scale, floor, goal, true).id;
  }

  /** Index of the greatest value, the lowest one among equals. */
  argmax(row: Float32Array): number {
    const { length } = row;
    let best = 0;
    let value = row[0] as number;
    for (let index = 1; index < length; index++) {
      const each = row[index] as number;
      if (each > value) {
        value = each;
        best = index;
      }
    }
    this.#visited += length;
    return best;
  }

  #floor(row: Float32Array, best: number, { temperature, minP, topK }: DrawOptions): Floor {
    let floor: Floor = { value: Number.NEGATIVE_INFINITY, lastId: row.length };
    if (minP > 0) floor.value = minPFloor(best, temperature, minP);
    if (topK > 0 && topK < row.length) floor = this.#topKFloor(row, topK, floor);
    return floor;
  }

  /** The k-th token from the best on, where so many are above the floor. */
  #topKFloor(row: Float32Array, topK: number, floor: Floor): Floor {
    const bits = new Int32Array(row.buffer, row.byteOffset, row.length);
    const counts = this.#counts.fill(0);
    const { length } = row;
    const lowest = floor.value;
    for (let index = 0; index < length; index++) {
      if (!((row[index] as number) >= lowest)) continue;
      const bucket = (orderOfBits(bits[index] as number) >> COUNT_SHIFT) + COUNT_OFFSET;
      counts[bucket] = (counts[bucket] as number) + 1;
    }
    let bucket = counts.length - 1;
    let before = 0;
    while (bucket >= 0 && before + (counts[bucket] as number) < topK) before += counts[bucket--] as number;
    this.#visited += length;
    if (bucket < 0) return floor;
    this.#group.clear();
    for (let index = 0; index < length; index++) {
      const value = row[index] as number;
      if (!(value >= lowest)) continue;
      if ((orderOfBits(bits[index] as number) >> COUNT_SHIFT) + COUNT_OFFSET === bucket)
        this.#group.add(index, value, 1);
    }
    this.#visited += length;
    const { id, order } = this.#group.find(before, topK, false);
    return { value: logitOf(order), lastId: id };
  }

  /** Sums the weights of all tokens down to the floor by buckets. @returns the total */
  #weigh(row: Float32Array, best: number, scale: number, floor: Floor): number {
    const masses = this.#masses.fill(0);
    const { length } = row;
    const { value: lowest, lastId } = floor;
    for (let index = 0; index < length; index++) {
      const value = row[index] as number;
      if (value > lowest || (value === lowest && index <= lastId)) {
        const distance = (best - value) * scale;
        const bucket = distance | 0;
        masses[bucket] = (masses[bucket] as number) + within(distance - bucket);
      }
    }
    this.#visited += length;
    let total = 0;
    for (let bucket = 0; bucket < masses.length; bucket++) {
      const mass = (masses[bucket] as number) * (POWERS[bucket] as number);
      masses[bucket] = mass;
      total += mass;
    }
    return total;
  }

  /** The first token whose cumulative weight reaches, or exceeds, the goal. */
  #find(row: Float32Array, best: number, scale: number, floor: Floor, goal: number, exceed: boolean): FoundToken {
    const masses = this.#masses;
    let before = 0;
    let chosen = 0;
    for (let bucket = 0, reached = 0; bucket < masses.length; bucket++) {
      const mass = masses[bucket] as number;
      if (mass === 0) continue;
      chosen = bucket;
      before = reached;
      reached += mass;
      if (exceed ? reached > goal : reached >= goal) break;
    }
    this.#group.clear();
    const { length } = row;
    const { value: lowest, lastId } = floor;
    const power = POWERS[chosen] as number;
    for (let index = 0; index < length; index++) {
      const value = row[index] as number;
      const rest = (best - value) * scale - chosen;
      if (rest >= 0 && rest < 1 && (value > lowest || (value === lowest && index <= lastId))) {
        this.#group.add(index, value, power * within(rest));
      }
    }
    this.#visited += length;
    return this.#group.find(before, goal, exceed);
  }
}

/** exp(-rest / STEPS), rest in [0, 1): Taylor's series to the fourth power. */
function within(rest: number): number {
  const at = rest * (1 / STEPS);
  return 1 - at * (1 - at * (1 / 2) * (1 - at * (1 / 3) * (1 - at * (1 / 4))));
}

/** The smallest float32 logit that min_p keeps. */
function minPFloor(best: number, temperature: number, minP: number): number {
  let dropped = LOWEST_ORDER;
  let kept = orderOf(best);
  while (kept - dropped > 1) {
    const middle = Math.floor((kept + dropped) / 2);
    if (Math.exp((logitOf(middle) - best) / temperature) >= minP) kept = middle;
    else dropped = middle;
  }
  return logitOf(kept);
}
