/**
 * Finds what followed the last tokens of a text where they stood before: prompt lookup (as vLLM's n-gram proposer; LZ77's
 * hash chains find the place). Knows token ids. `drafts.ts` knows whose tokens these are and how many are worth a row.
 */
import { Int32List } from '../wire/int32-list.js';

/** Tokens that must agree at least. */
export const LEAST_MATCH = 2;
/** Longer agreements are not told apart: the later place is taken. */
export const MOST_MATCH = 16;
/** Places that are compared at most, the latest first. It bounds the work where a text repeats itself. */
const MOST_PLACES = 64;
const NONE = -1;

export interface NgramMatch {
  /** What comes next if the text goes on as it did there. At least one token. */
  tokens: Int32Array;
  /** Tokens before it that agree, up to a limit. */
  length: number;
}

export class NgramIndex {
  readonly #tokens: Int32List;
  /** By hash of `LEAST_MATCH` tokens: the last place behind such tokens. A place is the index of the token behind. */
  readonly #last: Int32Array;
  /** By place: the place before it with the same hash. */
  readonly #before: Int32List;

  /** @param tokens of the text that are expected in all: memory grows with it, and more may come */
  constructor(tokens: number) {
    this.#tokens = new Int32List(tokens);
    this.#before = new Int32List(tokens);
    this.#last = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(16, tokens)))).fill(NONE);
  }

  get length(): number {
    return this.#tokens.length;
  }

  append(tokens: Int32Array): void {
    this.#tokens.append(tokens);
  }

  /**
   * Looks for the last tokens of the text at earlier places. The longest agreement wins, then the latest place.
   * @param most tokens wanted, >= 1
   */
  find(most: number): NgramMatch | undefined {
    const text = this.#tokens.view();
    this.#index(text);
    if (text.length <= LEAST_MATCH) return undefined;
    let best = NONE;
    let length = LEAST_MATCH - 1;
    let place = this.#last[this.#hash(text, text.length)] as number;
    for (let seen = 0; place !== NONE && seen < MOST_PLACES && length < MOST_MATCH; seen++) {
      const agreed = agreement(text, place);
      if (agreed > length) [best, length] = [place, agreed];
      place = this.#before.at(place);
    }
    return best === NONE ? undefined : { tokens: continuation(text, best, most), length };
  }

  /** Enters all places that have a token. */
  #index(text: Int32Array): void {
    for (let place = this.#before.length; place < text.length; place++) {
      const hash = this.#hash(text, place);
      this.#before.push(place < LEAST_MATCH ? NONE : (this.#last[hash] as number));
      if (place >= LEAST_MATCH) this.#last[hash] = place;
    }
  }

  /** Of the tokens before `place`. */
  #hash(text: Int32Array, place: number): number {
    let hash = 0;
    for (let at = place - LEAST_MATCH; at < place; at++) hash = Math.imul(hash ^ (text[at] as number), 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & (this.#last.length - 1);
  }
}

/** How many tokens before `place` agree with the last ones of the text, up to `MOST_MATCH`. */
function agreement(text: Int32Array, place: number): number {
  const most = Math.min(MOST_MATCH, place);
  let agreed = 0;
  while (agreed < most && text[place - 1 - agreed] === text[text.length - 1 - agreed]) agreed++;
  return agreed;
}

/** The tokens from `place` on. Behind the end of the text they go on with themselves, as a text that repeats itself. */
function continuation(text: Int32Array, place: number, most: number): Int32Array {
  const tokens = new Int32Array(most);
  for (let at = 0; at < most; at++) {
    const from = place + at;
    tokens[at] = (from < text.length ? text[from] : tokens[from - text.length]) as number;
  }
  return tokens;
}
