/**
 * Draws from a whole row of logits without sorting it. One pass sums weights by buckets of logits. A second pass
 * collects the tokens of the bucket that the draw hits, and only those are put in order (`token-group.ts`).
 * Knows one row at a time; the definition of a draw is in `token-distribution.ts`, the loops are in `row-passes.ts`.
 *
 * Work: at most five passes over the row (two for top_k, one for the weights, one each for top_p and the draw), and no
 * call of Math.exp in them. Buckets are 1/256 wide in (best - logit) / temperature, so a weight is a power from a table
 * times a short series: off by less than 1e-14 of itself, and exact at the best token. Beyond 64 such units below the
 * best, weights are left out: all together they are less than 2^31 * e^-64 = 4e-19 of the total, less than the smallest
 * step of u.
 */
import { addCounts, addMasses, collect, REACH, STEPS, within } from './row-passes.js';
import type { DrawOptions } from './token-distribution.js';
import { type FoundToken, TokenGroup } from './token-group.js';
import { LOWEST_ORDER, logitOf, orderOf } from './token-order.js';

const POWERS = Float64Array.from({ length: STEPS * REACH + 1 }, (_, bucket) => Math.exp(-bucket / STEPS));
/** Low bits of an order that do not count for top_k's buckets. Sign, exponent and five bits of the mantissa count. */
const COUNT_SHIFT = 18;
const COUNT_BUCKETS = 2 ** (32 - COUNT_SHIFT);
const HIGHEST_ORDER = -LOWEST_ORDER;

/** The last token that may be drawn. Tokens of a lower order, or of the same order and a higher id, may not. */
interface Floor {
  order: number;
  lastId: number;
}

export class WholeRow {
  readonly #masses = new Float64Array(STEPS * REACH + 1);
  readonly #counts = new Int32Array(COUNT_BUCKETS);
  readonly #group = new TokenGroup();
  #ids = new Int32Array(0);
  #visited = 0;

  /** Places of rows visited, and tokens ordered, since the start: a measure of the work. */
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
    const floor = this.#floor(row, best, scale, options);
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

  #floor(row: Float32Array, best: number, scale: number, { temperature, minP, topK }: DrawOptions): Floor {
    let floor: Floor = { order: LOWEST_ORDER, lastId: row.length - 1 };
    if (minP > 0) floor.order = lowestOrder(best, (logit) => Math.exp((logit - best) / temperature) >= minP);
    if (topK > 0 && topK < row.length) floor = this.#topKFloor(row, topK, floor.order);
    const reach = lowestOrder(best, (logit) => (best - logit) * scale <= STEPS * REACH);
    return floor.order < reach ? { order: reach, lastId: row.length - 1 } : floor;
  }

  /** The k-th best token with the order `lowest` or above, or the last one if there are fewer. */
  #topKFloor(row: Float32Array, topK: number, lowest: number): Floor {
    const counts = this.#counts.fill(0);
    addCounts(bitsOf(row), 0, row.length, lowest, HIGHEST_ORDER, COUNT_SHIFT, counts);
    this.#visited += row.length;
    let bucket = counts.length - 1;
    let before = 0;
    while (bucket >= 0 && before + (counts[bucket] as number) < topK) before += counts[bucket--] as number;
    if (bucket < 0) return { order: lowest, lastId: row.length - 1 };
    const first = (bucket - COUNT_BUCKETS / 2) * 2 ** COUNT_SHIFT;
    const count = this.#collect(row, Math.max(lowest, first), first + 2 ** COUNT_SHIFT - 1, row.length - 1);
    this.#group.clear();
    for (let index = 0; index < count; index++) {
      const id = this.#ids[index] as number;
      this.#group.add(id, row[id] as number, 1);
    }
    const { id, order } = this.#group.find(before, topK, false);
    return { order, lastId: id };
  }

  /** Sums the weights of all tokens down to the floor by buckets. @returns the total */
  #weigh(row: Float32Array, best: number, scale: number, { order, lastId }: Floor): number {
    const masses = this.#masses.fill(0);
    addMasses(row, 0, lastId + 1, logitOf(order), best, scale, masses);
    addMasses(row, lastId + 1, row.length, logitOf(order + 1), best, scale, masses);
    this.#visited += row.length;
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
    const bucketOf = (logit: number) => Math.trunc((best - logit) * scale);
    const first = Math.max(
      floor.order,
      lowestOrder(best, (logit) => bucketOf(logit) <= chosen),
    );
    const above = chosen === 0 ? HIGHEST_ORDER : lowestOrder(best, (logit) => bucketOf(logit) < chosen) - 1;
    const count = this.#collect(row, first, above, first === floor.order ? floor.lastId : row.length - 1);
    this.#group.clear();
    const power = POWERS[chosen] as number;
    for (let index = 0; index < count; index++) {
      const id = this.#ids[index] as number;
      const value = row[id] as number;
      this.#group.add(id, value, power * within((best - value) * scale - chosen));
    }
    return this.#group.find(before, goal, exceed);
  }

  /** Fills `#ids` with the tokens of orders lowest..highest; at `lowest` itself only with ids up to `lastId`. */
  #collect(row: Float32Array, lowest: number, highest: number, lastId: number): number {
    const bits = bitsOf(row);
    if (this.#ids.length < row.length) this.#ids = new Int32Array(row.length);
    const count = collect(bits, 0, lastId + 1, lowest, highest, this.#ids, 0);
    this.#visited += row.length;
    return collect(bits, lastId + 1, row.length, lowest + 1, highest, this.#ids, count);
  }
}

function bitsOf(row: Float32Array): Int32Array {
  return new Int32Array(row.buffer, row.byteOffset, row.length);
}

/** The lowest order, up to that of `best`, whose logit fits; what fits must fit above it too, and `best` must fit. */
function lowestOrder(best: number, fits: (logit: number) => boolean): number {
  let out = LOWEST_ORDER - 1;
  let fit = orderOf(best);
  while (fit - out > 1) {
    const middle = Math.floor((fit + out) / 2);
    if (fits(logitOf(middle))) fit = middle;
    else out = middle;
  }
  return fit;
}
