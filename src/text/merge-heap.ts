/**
 * Merges that wait their turn: a binary heap ordered by rank, then by position, in typed arrays.
 * Rank and position share one float64 key (rank * 2^27 + position), exact for ranks and positions below 2^26.
 */
const POSITIONS = 2 ** 27;

export class MergeHeap {
  #keys = new Float64Array(256);
  #ids = new Int32Array(256);
  #size = 0;
  /** Position of the entry that `pop` took last. */
  position = 0;
  id = 0;

  clear(): void {
    this.#size = 0;
  }

  push(rank: number, position: number, id: number): void {
    if (this.#size === this.#keys.length) this.#grow();
    const keys = this.#keys;
    const ids = this.#ids;
    const key = rank * POSITIONS + position;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentKey = keys[parent] as number;
      if (parentKey <= key) break;
      keys[at] = parentKey;
      ids[at] = ids[parent] as number;
      at = parent;
    }
    keys[at] = key;
    ids[at] = id;
  }

  /** Takes the first entry into `position` and `id`. @returns false when there is none */
  pop(): boolean {
    if (this.#size === 0) return false;
    const keys = this.#keys;
    const ids = this.#ids;
    this.position = (keys[0] as number) % POSITIONS;
    this.id = ids[0] as number;
    const last = --this.#size;
    const key = keys[last] as number;
    const id = ids[last] as number;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && (keys[child + 1] as number) < (keys[child] as number)) child += 1;
      const childKey = keys[child] as number;
      if (childKey >= key) break;
      keys[at] = childKey;
      ids[at] = ids[child] as number;
      at = child;
    }
    keys[at] = key;
    ids[at] = id;
    return true;
  }

  /** Frees the memory that one very long word has taken. */
  shrink(): void {
    if (this.#keys.length <= 2 ** 16) return;
    this.#keys = new Float64Array(256);
    this.#ids = new Int32Array(256);
    this.#size = 0;
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 2);
    const ids = new Int32Array(this.#ids.length * 2);
    keys.set(this.#keys);
    ids.set(this.#ids);
    this.#keys = keys;
    this.#ids = ids;
  }
}
