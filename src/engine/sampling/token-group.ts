/**
 * Tokens of a row in no order yet. Finds the one among them at which a cumulative weight is reached. Buckets by logit
 * narrow the group down, so only the last few tokens are sorted, for any logits.
 * Knows weights and orders of logits (`token-order.ts`); `whole-row.ts` chooses the tokens of the group.
 */
import { orderOf } from './token-order.js';

/** Buckets that a group is spread over. Orders are 32-bit numbers: after three rounds all tokens of one are equal. */
const BUCKETS = 4096;
/** Groups up to this size are sorted. */
const SORTED_TOKENS = 256;

export interface FoundToken {
  id: number;
  /** Of its logit, see `token-order.ts`. */
  order: number;
  /** Weight of all tokens before it and its own. */
  cumulative: number;
}

export class TokenGroup {
  #ids = new Int32Array(1024);
  #orders = new Int32Array(1024);
  #weights = new Float64Array(1024);
  #size = 0;
  readonly #sums = new Float64Array(BUCKETS);
  readonly #ranks = new Float64Array(SORTED_TOKENS);
  #handled = 0;

  /** Tokens touched by narrowing and sorting, since the start: a measure of the work. */
  get handled(): number {
    return this.#handled;
  }

  clear(): void {
    this.#size = 0;
  }

  /** Adds a token; ids must come in ascending order. */
  add(id: number, value: number, weight: number): void {
    const at = this.#size;
    if (at === this.#ids.length) this.#grow();
    this.#ids[at] = id;
    this.#orders[at] = orderOf(value);
    this.#weights[at] = weight;
    this.#size = at + 1;
  }

  /**
   * Finds a token in descending order of logit, lower id first among equals. This uses the group up.
   *
   * @param before  weight of all tokens that come before this group
   * @param goal    the cumulative weight to find
   * @param exceed  whether the weight must exceed the goal, or only reach it
   * @returns the first token with that weight; the last one if rounding keeps the sum short
   * @throws TypeError if the group is empty
   */
  find(before: number, goal: number, exceed: boolean): FoundToken {
    if (this.#size === 0) throw new TypeError('nothing can be found in an empty group');
    let cumulative = before;
    let highest = this.#highest();
    while (this.#size > SORTED_TOKENS) {
      const span = highest - this.#lowest();
      if (span === 0) break;
      cumulative = this.#narrow(highest, span, cumulative, goal, exceed);
      highest = this.#highest();
    }
    // In a larger group all tokens are equal, and they are in ascending order of their ids already.
    if (this.#size <= SORTED_TOKENS) this.#rank(highest);
    const sorted = this.#size <= SORTED_TOKENS;
    const place = (index: number) => (sorted ? (this.#ranks[index] as number) % SORTED_TOKENS : index);
    let at = 0;
    for (let index = 0; index < this.#size; index++) {
      at = place(index);
      cumulative += this.#weights[at] as number;
      if (exceed ? cumulative > goal : cumulative >= goal) break;
    }
    this.#handled += this.#size;
    return { id: this.#ids[at] as number, order: this.#orders[at] as number, cumulative };
  }

  /** Keeps the tokens of the bucket that has the goal. @returns the weight before that bucket */
  #narrow(highest: number, span: number, before: number, goal: number, exceed: boolean): number {
    const sums = this.#sums.fill(0);
    const orders = this.#orders;
    const weights = this.#weights;
    const size = this.#size;
    const scale = BUCKETS / (span + 1);
    for (let index = 0; index < size; index++) {
      const bucket = Math.floor((highest - (orders[index] as number)) * scale);
      sums[bucket] = (sums[bucket] as number) + (weights[index] as number);
    }
    const last = Math.floor(span * scale);
    let cumulative = before;
    let chosen = 0;
    for (; chosen < last; chosen++) {
      const next = cumulative + (sums[chosen] as number);
      if (exceed ? next > goal : next >= goal) break;
      cumulative = next;
    }
    let kept = 0;
    for (let index = 0; index < size; index++) {
      const order = orders[index] as number;
      if (Math.floor((highest - order) * scale) !== chosen) continue;
      this.#ids[kept] = this.#ids[index] as number;
      orders[kept] = order;
      weights[kept] = weights[index] as number;
      kept++;
    }
    this.#handled += size;
    this.#size = kept;
    return cumulative;
  }

  /** Sorts the places of a small group: first by order, then by place, which is by id. */
  #rank(highest: number): void {
    const ranks = this.#ranks.subarray(0, this.#size);
    for (let index = 0; index < ranks.length; index++) {
      ranks[index] = (highest - (this.#orders[index] as number)) * SORTED_TOKENS + index;
    }
    ranks.sort();
  }

  #highest(): number {
    let highest = this.#orders[0] as number;
    for (let index = 1; index < this.#size; index++) highest = Math.max(highest, this.#orders[index] as number);
    return highest;
  }

  #lowest(): number {
    let lowest = this.#orders[0] as number;
    for (let index = 1; index < this.#size; index++) lowest = Math.min(lowest, this.#orders[index] as number);
    return lowest;
  }

  #grow(): void {
    const length = this.#ids.length * 2;
    const [ids, orders, weights] = [this.#ids, this.#orders, this.#weights];
    this.#ids = new Int32Array(length);
    this.#orders = new Int32Array(length);
    this.#weights = new Float64Array(length);
    this.#ids.set(ids);
    this.#orders.set(orders);
    this.#weights.set(weights);
  }
}
