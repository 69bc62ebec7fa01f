/**
 * Growable int32 lists that make no garbage per element: the pages of a tail, the tokens of a sequence.
 * Knows numbers only.
 */

/** An Int32Array that grows by doubling. Views stay valid until the next push. */
export class Int32List {
  #data: Int32Array;
  #length = 0;

  constructor(initial: Int32Array | number = 16) {
    if (typeof initial === 'number') {
      this.#data = new Int32Array(Math.max(1, initial));
    } else {
      this.#data = new Int32Array(Math.max(16, initial.length * 2));
      this.#data.set(initial);
      this.#length = initial.length;
    }
  }

  get length(): number {
    return this.#length;
  }

  at(index: number): number {
    if (index < 0 || index >= this.#length) throw new RangeError(`index ${index} of ${this.#length}`);
    return this.#data[index] as number;
  }

  push(value: number): void {
    this.#reserve(1);
    this.#data[this.#length++] = value;
  }

  append(values: Int32Array): void {
    this.#reserve(values.length);
    this.#data.set(values, this.#length);
    this.#length += values.length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Takes off everything from `length` on. @returns a copy of what was taken off */
  cut(length: number): Int32Array {
    const rest = this.#data.slice(length, this.#length);
    this.#length = Math.min(length, this.#length);
    return rest;
  }

  /** @returns a view of [start, end), not a copy */
  view(start = 0, end = this.#length): Int32Array {
    return this.#data.subarray(start, Math.min(end, this.#length));
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#data.length) return;
    const grown = new Int32Array(Math.max(this.#length + more, this.#data.length * 2));
    grown.set(this.#data.subarray(0, this.#length));
    this.#data = grown;
  }
}

/** One array of all parts, in order. */
export function joined(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
