/**
 * Logit bias and penalties: a request's changes to a row of logits before a token is chosen.
 * Knows the tokens so far; `token-distribution.ts` chooses. The work grows with the changed tokens, not the vocabulary.
 *
 * Repetition penalty (Keskar et al., CTRL, arXiv 1909.05858, section 4.1) counts the prompt and the generated tokens.
 * Presence and frequency penalties count the generated tokens, as in OpenAI's API. A bias is a float32, and every change
 * is rounded to float32. kernels/src/draw_token.cc changes logits by the same rule.
 */
import type { SamplingParams } from '../engine.js';

/** Fields of an entry: id, counts, the bits of the bias. */
const FIELDS = 3;
/** Bit of `counts` for a token under the repetition penalty. The bits above it count how often it was generated. */
const SEEN = 1;
const GENERATED_ONCE = 2;

export class LogitAdjustments {
  readonly presence: number;
  readonly frequency: number;
  readonly repetition: number;
  /** Where a token's entry begins. */
  readonly #places = new Map<number, number>();
  #entries = new Int32Array(16 * FIELDS);
  /** The same memory; biases are floats. */
  #floats = new Float32Array(this.#entries.buffer);
  #end = 0;
  /** Tokens with a bias above 0. */
  readonly #lifted: number[] = [];

  /** @param promptTokenIds stretches of the prompt, in any order; read only for a repetition penalty */
  constructor(sampling: SamplingParams, promptTokenIds: readonly Int32Array[]) {
    this.presence = sampling.presencePenalty;
    this.frequency = sampling.frequencyPenalty;
    this.repetition = sampling.repetitionPenalty;
    for (const [tokenId, bias] of sampling.logitBias ?? []) {
      const place = this.#placeOf(tokenId);
      this.#floats[place + 2] = bias;
      if (bias > 0) this.#lifted.push(tokenId);
    }
    if (this.repetition !== 1) {
      for (const stretch of promptTokenIds) for (const tokenId of stretch) this.#count(tokenId, 0);
    }
  }

  /** Whether a request asks for any adjustment at all. */
  static wanted(sampling: SamplingParams): boolean {
    return (
      (sampling.logitBias?.size ?? 0) > 0 ||
      sampling.presencePenalty !== 0 ||
      sampling.frequencyPenalty !== 0 ||
      sampling.repetitionPenalty !== 1
    );
  }

  /**
   * Every token that may change, each once: int32 [n, 3] with its id, its counts (twice the times it was generated, plus
   * one under the repetition penalty), and the bits of its bias. Valid until the next call of `accept`.
   */
  get entries(): Int32Array {
    return this.#entries.subarray(0, this.#end);
  }

  /**
   * `entries` as they will be if these tokens are generated: now, behind the first, and so on. The first is valid until
   * the next call of `accept`, the others are copies.
   */
  entriesAhead(tokens: Int32Array): Int32Array[] {
    const ahead = [this.entries];
    const added = new Map<number, number>();
    let end = this.#end;
    for (const tokenId of tokens) {
      const place = this.#places.get(tokenId) ?? added.get(tokenId) ?? end;
      if (place === end) {
        added.set(tokenId, place);
        end += FIELDS;
      }
      const next = new Int32Array(end);
      next.set(ahead.at(-1) as Int32Array);
      next[place] = tokenId;
      next[place + 1] = this.#counted(next[place + 1] as number, GENERATED_ONCE);
      ahead.push(next);
    }
    return ahead;
  }

  /** Takes note of a generated token. */
  accept(tokenId: number): void {
    this.#count(tokenId, GENERATED_ONCE);
  }

  /** @returns the changed logit of a token, a float32 */
  adjust(tokenId: number, logit: number): number {
    const place = this.#places.get(tokenId);
    return place === undefined ? logit : this.#changed(place, logit);
  }

  /** Tokens whose logits may become greater; each may come more than once. All others become smaller or stay. */
  *raised(): Iterable<number> {
    yield* this.#lifted;
    const byCount = this.presence < 0 || this.frequency < 0;
    if (!byCount && this.repetition >= 1) return;
    for (let place = 0; place < this.#end; place += FIELDS) {
      const counts = this.#entries[place + 1] as number;
      if ((byCount && counts >= GENERATED_ONCE) || (this.repetition < 1 && (counts & SEEN) !== 0)) {
        yield this.#entries[place] as number;
      }
    }
  }

  /** Adjusts a row in place, float32 [vocab]. */
  adjustRow(row: Float32Array): void {
    for (let place = 0; place < this.#end; place += FIELDS) {
      const tokenId = this.#entries[place] as number;
      if (tokenId < row.length) row[tokenId] = this.#changed(place, row[tokenId] as number);
    }
  }

  #changed(place: number, logit: number): number {
    const counts = this.#entries[place + 1] as number;
    const bias = this.#floats[place + 2] as number;
    let value = logit;
    if ((counts & SEEN) !== 0) value = Math.fround(value > 0 ? value / this.repetition : value * this.repetition);
    const generated = counts >> 1;
    if (generated > 0) value = Math.fround(value - this.frequency * generated - this.presence);
    return bias === 0 ? value : Math.fround(value + bias);
  }

  #count(tokenId: number, more: number): void {
    const at = this.#placeOf(tokenId) + 1;
    this.#entries[at] = this.#counted(this.#entries[at] as number, more);
  }

  #counted(counts: number, more: number): number {
    return (counts + more) | (this.repetition !== 1 ? SEEN : 0);
  }

  #placeOf(tokenId: number): number {
    const known = this.#places.get(tokenId);
    if (known !== undefined) return known;
    const place = this.#end;
    this.#end += FIELDS;
    if (this.#end > this.#entries.length) {
      const grown = new Int32Array(this.#entries.length * 2);
      grown.set(this.#entries);
      this.#entries = grown;
      this.#floats = new Float32Array(grown.buffer);
    }
    this.#entries[place] = tokenId;
    this.#places.set(tokenId, place);
    return place;
  }
}
