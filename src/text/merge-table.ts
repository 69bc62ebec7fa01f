/**
 * The merges of a BPE model as an open-addressing hash table over pairs of token ids, in typed arrays: half a million
 * merges load in tens of milliseconds and are looked up without allocating.
 */
export class MergeTable {
  readonly #mask: number;
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #ranks: Int32Array;
  readonly #ids: Int32Array;

  /** @param merges how many pairs will be set */
  constructor(merges: number) {
    let capacity = 16;
    while (capacity < merges * 2) capacity *= 2;
    this.#mask = capacity - 1;
    this.#left = new Int32Array(capacity).fill(-1);
    this.#right = new Int32Array(capacity);
    this.#ranks = new Int32Array(capacity);
    this.#ids = new Int32Array(capacity);
  }

  set(left: number, right: number, rank: number, id: number): void {
    let slot = this.#hash(left, right);
    while (this.#left[slot] !== -1 && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = (slot + 1) & this.#mask;
    }
    this.#left[slot] = left;
    this.#right[slot] = right;
    this.#ranks[slot] = rank;
    this.#ids[slot] = id;
  }

  /** @returns the slot of a pair for `rankAt` and `idAt`, or -1 where the pair does not merge */
  find(left: number, right: number): number {
    let slot = this.#hash(left, right);
    for (;;) {
      const key = this.#left[slot];
      if (key === -1) return -1;
      if (key === left && this.#right[slot] === right) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  rankAt(slot: number): number {
    return this.#ranks[slot] as number;
  }

  idAt(slot: number): number {
    return this.#ids[slot] as number;
  }

  #hash(left: number, right: number): number {
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right + 0x7f4a7c15, 0x85ebca6b);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x2c1b3c6d);
    return (hash ^ (hash >>> 13)) & this.#mask;
  }
}
