/**
 * Logit bias and penalties: a request's changes to a row of logits before a token is chosen.
 * Knows the tokens so far; `token-distribution.ts` chooses. The work grows with the changed tokens, not the vocabulary.
 *
 * Repetition penalty (Keskar et al., CTRL, arXiv 1909.05858, section 4.1) counts the prompt and the generated tokens.
 * Presence and frequency penalties count the generated tokens, as in OpenAI's API. Every change is rounded to float32.
 */
import type { SamplingParams } from '../engine.js';

export class LogitAdjustments {
  readonly #bias: ReadonlyMap<number, number>;
  readonly #presence: number;
  readonly #frequency: number;
  readonly #repetition: number;
  readonly #generated = new Map<number, number>();
  /** Tokens under the repetition penalty: each once, and 1 at the place of each. */
  readonly #seen: number[] = [];
  #isSeen = new Uint8Array(0);

  /** @param promptTokenIds stretches of the prompt, in any order; read only for a repetition penalty */
  constructor(sampling: SamplingParams, promptTokenIds: readonly Int32Array[]) {
    this.#bias = sampling.logitBias ?? new Map();
    this.#presence = sampling.presencePenalty;
    this.#frequency = sampling.frequencyPenalty;
    this.#repetition = sampling.repetitionPenalty;
    if (this.#repetition !== 1) {
      for (const stretch of promptTokenIds) for (const tokenId of stretch) this.#see(tokenId);
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

  /** Takes note of a generated token. */
  accept(tokenId: number): void {
    this.#generated.set(tokenId, (this.#generated.get(tokenId) ?? 0) + 1);
    if (this.#repetition !== 1) this.#see(tokenId);
  }

  /** @returns the changed logit of a token, a float32 */
  adjust(tokenId: number, logit: number): number {
    let value = logit;
    if (this.#isSeen[tokenId] === 1) value = this.#repeated(value);
    const count = this.#generated.get(tokenId);
    if (count !== undefined) value = this.#counted(value, count);
    const bias = this.#bias.get(tokenId);
    return bias === undefined ? value : Math.fround(value + bias);
  }

  /** Tokens whose logits may become greater; each may come more than once. All others become smaller or stay. */
  *raised(): Iterable<number> {
    for (const [tokenId, bias] of this.#bias) if (bias > 0) yield tokenId;
    if (this.#presence < 0 || this.#frequency < 0) yield* this.#generated.keys();
    if (this.#repetition < 1) yield* this.#seen;
  }

  /** Adjusts a row in place, float32 [vocab]. */
  adjustRow(row: Float32Array): void {
    for (const tokenId of this.#seen) {
      if (tokenId < row.length) row[tokenId] = this.#repeated(row[tokenId] as number);
    }
    for (const [tokenId, count] of this.#generated) {
      if (tokenId < row.length) row[tokenId] = this.#counted(row[tokenId] as number, count);
    }
    for (const [tokenId, bias] of this.#bias) {
      if (tokenId < row.length) row[tokenId] = (row[tokenId] as number) + bias;
    }
  }

  #repeated(value: number): number {
    return Math.fround(value > 0 ? value / this.#repetition : value * this.#repetition);
  }

  #counted(value: number, count: number): number {
    return Math.fround(value - this.#frequency * count - this.#presence);
  }

  #see(tokenId: number): void {
    if (tokenId >= this.#isSeen.length) {
      const grown = new Uint8Array(Math.max(tokenId + 1, this.#isSeen.length * 2));
      grown.set(this.#isSeen);
      this.#isSeen = grown;
    }
    if (this.#isSeen[tokenId] === 1) return;
    this.#isSeen[tokenId] = 1;
    this.#seen.push(tokenId);
  }
}
