/** Where a tokenizer puts ids: into a list, or only into a count. */
export interface IdSink {
  push(id: number): void;
  append(ids: Int32Array): void;
}

/** Counts ids and keeps none. */
export class IdCount implements IdSink {
  length = 0;

  push(_id: number): void {
    this.length += 1;
  }

  append(ids: Int32Array): void {
    this.length += ids.length;
  }
}

/** A growing list of token ids in one typed array. */
export class IdBuffer implements IdSink {
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

/** Lists of ids as they cross threads: all ids one after another, and how many each list has. */
export interface IdLists {
  ids: Int32Array<ArrayBuffer>;
  lengths: Int32Array<ArrayBuffer>;
}

export function joined(lists: readonly Int32Array[]): IdLists {
  const lengths = Int32Array.from(lists, (ids) => ids.length);
  const ids = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const list of lists) {
    ids.set(list, offset);
    offset += list.length;
  }
  return { ids, lengths };
}

/** Undoes `joined`. Each list has memory of its own: a view would keep, and clone, the memory of all of them. */
export function apart({ ids, lengths }: IdLists): Int32Array[] {
  let offset = 0;
  return Array.from(lengths, (length) => {
    offset += length;
    return ids.slice(offset - length, offset);
  });
}
