/**
 * Byte-pair encoding of one word, step for step as the Python `tokenizers` library does it, in O(n log n) with typed
 * arrays. @huggingface/tokenizers' own model is not used: it merges over strings (seconds for a megabyte of one letter)
 * and differs for bytes and characters that have no token (docs/decisions has the list).
 */
import { BYTE_CHARACTERS, bytesOfToken } from './byte-alphabet.js';
import type { IdSink } from './id-buffer.js';
import { MergeHeap } from './merge-heap.js';
import { MergeTable } from './merge-table.js';
import type { BpeDefinition } from './tokenizer-file.js';

/**
 * Words with their ids. A plain map that is emptied when full, not lru-cache: this is the innermost loop, and
 * keeping the order of use makes each look-up half as dear again (5% of the time to tokenize prose).
 */
const CACHED_WORDS = 50_000;
const CACHED_WORD_CHARACTERS = 32;
/** V8 keeps the whole parent text alive behind a slice of this length or longer. */
const SLICE_CHARACTERS = 13;

/** Marks a character that has no token: it becomes the unknown token, if the model has one. */
const UNKNOWN = -1;

export class BpeModel {
  readonly #merges: MergeTable;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #byteLevel: boolean;
  readonly #byteFallback: boolean;
  readonly #fuseUnknown: boolean;
  readonly #unknownId: number | undefined;
  /** Words that are one token whatever the merges say (`ignore_merges`). */
  readonly #wholeWords: ReadonlyMap<string, number> | undefined;
  /** Initial ids of each byte, for byte-level models. */
  readonly #byteIds: readonly (Int32Array | typeof UNKNOWN)[];
  readonly #cache = new Map<string, Int32Array>();
  readonly #heap = new MergeHeap();
  readonly #encoder = new TextEncoder();

  /** @param controlTokens tokens that no text may turn into, even where merges or `ignore_merges` would allow it */
  constructor(definition: BpeDefinition, options: { byteLevel: boolean; controlTokens: ReadonlySet<string> }) {
    this.#vocab = definition.vocab;
    this.#byteLevel = options.byteLevel;
    this.#byteFallback = definition.byteFallback;
    this.#fuseUnknown = definition.fuseUnk;
    this.#unknownId = definition.unkToken === undefined ? undefined : definition.vocab.get(definition.unkToken);
    this.#merges = buildMerges(definition, options.controlTokens);
    this.#wholeWords = definition.ignoreMerges ? wholeWords(definition.vocab, options) : undefined;
    this.#byteIds = options.byteLevel ? BYTE_CHARACTERS.map((character) => this.#initialIds(character)) : [];
  }

  /** Appends the ids of one word (as the pre-tokenizer made it) to `output`. */
  encodeWord(word: string, output: IdSink): void {
    const whole = this.#wholeWords?.get(word);
    if (whole !== undefined) {
      output.push(whole);
      return;
    }
    if (word.length > CACHED_WORD_CHARACTERS) {
      output.append(this.#merge(this.#symbols(word)));
      return;
    }
    let ids = this.#cache.get(word);
    if (ids === undefined) {
      ids = this.#merge(this.#symbols(word)).slice();
      if (this.#cache.size >= CACHED_WORDS) this.#cache.clear();
      this.#cache.set(word.length < SLICE_CHARACTERS ? word : copyOf(word), ids);
    }
    output.append(ids);
  }

  /** Initial symbols of a word, before any merge. */
  #symbols(word: string): Int32Array {
    const units = this.#byteLevel ? this.#encoder.encode(word) : word;
    // A UTF-16 unit has at most three UTF-8 bytes. One more is for a pending unknown token.
    const symbolsPerUnit = this.#byteFallback ? 3 : 1;
    const symbols = new Int32Array(units.length * symbolsPerUnit + 1);
    let count = 0;
    let pending = false;
    for (const unit of units) {
      const ids = typeof unit === 'number' ? this.#byteIds[unit] : this.#initialIds(unit);
      if (ids === undefined || ids === UNKNOWN) {
        // An unknown token is written one step late, so that it can fuse with the next one.
        if (pending && !this.#fuseUnknown) symbols[count++] = this.#unknownId as number;
        pending = this.#unknownId !== undefined;
        continue;
      }
      // Bytes of a fallback leave a pending unknown token pending. The Python library has this order.
      if (pending && !this.#isFallback(unit)) {
        symbols[count++] = this.#unknownId as number;
        pending = false;
      }
      for (const id of ids) symbols[count++] = id;
    }
    if (pending) symbols[count++] = this.#unknownId as number;
    return symbols.subarray(0, count);
  }

  #isFallback(unit: number | string): boolean {
    return !this.#vocab.has(typeof unit === 'number' ? (BYTE_CHARACTERS[unit] ?? '') : unit);
  }

  #initialIds(character: string): Int32Array | typeof UNKNOWN {
    const id = this.#vocab.get(character);
    if (id !== undefined) return Int32Array.of(id);
    if (!this.#byteFallback) return UNKNOWN;
    const ids: number[] = [];
    for (const byte of this.#encoder.encode(character)) {
      const byteId = this.#vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
      if (byteId === undefined) return UNKNOWN;
      ids.push(byteId);
    }
    return Int32Array.from(ids);
  }

  /** Merges pairs in order of rank, leftmost first. @returns ids, in the memory of `symbols` */
  #merge(symbols: Int32Array): Int32Array {
    const length = symbols.length;
    if (length < 2) return symbols;
    const merges = this.#merges;
    const heap = this.#heap;
    heap.clear();
    const next = new Int32Array(length);
    const previous = new Int32Array(length);
    for (let index = 0; index < length; index += 1) {
      next[index] = index + 1 < length ? index + 1 : -1;
      previous[index] = index - 1;
      if (index > 0) this.#offer(symbols, index - 1, index);
    }
    while (heap.pop()) {
      const position = heap.position;
      const left = symbols[position] as number;
      const rightPosition = next[position] as number;
      if (left < 0 || rightPosition < 0) continue;
      // The entry may be old: one of its tokens may have merged with another since.
      const slot = merges.find(left, symbols[rightPosition] as number);
      if (slot < 0 || merges.idAt(slot) !== heap.id) continue;
      symbols[position] = heap.id;
      symbols[rightPosition] = -1;
      const after = next[rightPosition] as number;
      next[position] = after;
      if (after >= 0) previous[after] = position;
      const before = previous[position] as number;
      if (before >= 0) this.#offer(symbols, before, position);
      if (after >= 0) this.#offer(symbols, position, after);
    }
    heap.shrink();
    let count = 0;
    for (let index = 0; index >= 0; index = next[index] as number) symbols[count++] = symbols[index] as number;
    return symbols.subarray(0, count);
  }

  #offer(symbols: Int32Array, left: number, right: number): void {
    const slot = this.#merges.find(symbols[left] as number, symbols[right] as number);
    if (slot >= 0) this.#heap.push(this.#merges.rankAt(slot), left, this.#merges.idAt(slot));
  }
}

function buildMerges({ vocab, merges }: BpeDefinition, controlTokens: ReadonlySet<string>): MergeTable {
  const table = new MergeTable(merges.length);
  for (const [rank, [left, right]] of merges.entries()) {
    if (controlTokens.has(left + right)) continue;
    const ids = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
    // Merges without ids are refused when the file is read.
    table.set(ids[0] ?? -2, ids[1] ?? -2, rank, ids[2] ?? -2);
  }
  return table;
}

function wholeWords(
  vocab: ReadonlyMap<string, number>,
  options: { byteLevel: boolean; controlTokens: ReadonlySet<string> },
): Map<string, number> {
  const words = new Map<string, number>();
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (const [token, id] of vocab) {
    if (options.controlTokens.has(token)) continue;
    if (!options.byteLevel) {
      words.set(token, id);
      continue;
    }
    const bytes = bytesOfToken(token);
    if (bytes === undefined) continue;
    try {
      words.set(decoder.decode(bytes), id);
    } catch {
      // Not whole characters: no word of a text has these bytes.
    }
  }
  return words;
}

function copyOf(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le');
}
