/**
 * The word table of a trained segmenter: from a word's hash to its row of the embedding table and its rarity.
 * Words outside it share hashed rows. Knows the file's layout (little-endian):
 * "BSW1" | words V | shared rows S | idf of other words | int32 hashes [V] | uint8 idf [V]; row v belongs to hash v.
 */
import { readFileSync } from 'node:fs';

const MAGIC = 0x31575342;
const HEADER_BYTES = 16;

export class WordVocabulary {
  /** Words with rows of their own; shared rows follow them. */
  readonly words: number;
  readonly sharedRows: number;
  readonly #slots: Uint32Array;
  readonly #rows: Int32Array;
  readonly #idf: Uint8Array;
  readonly #otherIdf: number;
  readonly #mask: number;

  constructor(hashes: Uint32Array, idf: Uint8Array, sharedRows: number, otherIdf: number) {
    this.words = hashes.length;
    this.sharedRows = sharedRows;
    this.#idf = idf;
    this.#otherIdf = otherIdf;
    const size = 2 ** Math.ceil(Math.log2(Math.max(2, hashes.length * 2)));
    this.#mask = size - 1;
    this.#slots = new Uint32Array(size);
    this.#rows = new Int32Array(size);
    for (const [row, hash] of hashes.entries()) {
      let slot = hash & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = hash;
      this.#rows[slot] = row;
    }
  }

  /** @throws Error naming the file when it is not such a table */
  static read(path: string): WordVocabulary {
    const bytes = readFileSync(path);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const words = bytes.length >= HEADER_BYTES ? view.getUint32(4, true) : 0;
    if (bytes.length !== HEADER_BYTES + words * 5 || view.getUint32(0, true) !== MAGIC) {
      throw new Error(`${path} is not a word table`);
    }
    const hashes = Uint32Array.from({ length: words }, (_, row) => view.getUint32(HEADER_BYTES + row * 4, true));
    const idf = new Uint8Array(bytes.subarray(HEADER_BYTES + words * 4));
    return new WordVocabulary(hashes, idf, view.getUint32(8, true), view.getUint32(12, true));
  }

  /** @returns the word's own row, or -1 */
  rowOf(hash: number): number {
    let slot = hash & this.#mask;
    for (;;) {
      const found = this.#slots[slot];
      if (found === hash) return this.#rows[slot] as number;
      if (found === 0) return -1;
      slot = (slot + 1) & this.#mask;
    }
  }

  /** @returns one of the rows that words outside the vocabulary share */
  sharedRow(hash: number): number {
    return this.words + (hash % this.sharedRows);
  }

  /** Rarity as a whole number, so that sums of it are exact. */
  idfOf(row: number): number {
    return row < 0 ? this.#otherIdf : (this.#idf[row] as number);
  }
}
