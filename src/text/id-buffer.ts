/** A growing list of token ids in one typed array. */
export class IdBuffer {
  #ids: Int32Array;
  #length = 0;

  constructor(capacity = 64) {
    this.#ids = new Int32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  push(id: number): void {
    if (this.#length === this.#ids.length) this.#grow(this.#length + 1);
    this.#ids[this.#length++] = id;
  }

  append(ids: Int32Array): void {
    if (this.#length + ids.length > this.#ids.length) this.#grow(this.#length + ids.length);
    this.#ids.set(ids, this.#length);
    this.#length += ids.length;
  }

  /** The ids pushed so far, copied. */
  toArray(): Int32Array {
    return this.#ids.slice(0, this.#length);
  }

  #grow(needed: number): void {
    const grown = new Int32Array(Math.max(needed, this.#ids.length * 2));
    grown.set(this.#ids.subarray(0, this.#length));
    this.#ids = grown;
  }
}
