/**
 * Logit bias and penalties: what a request changes in a row of logits before a token is chosen.
 * Knows the tokens seen so far; choosing is `token-distribution.ts`.
 *
 * Repetition penalty (Keskar et al., CTRL, arXiv 1909.05858, section 4.1) counts the prompt and what was generated;
 * presence and frequency penalties count what was generated, as in OpenAI's API.
 */
import type { SamplingParams } from '../engine.js';

export class LogitAdjustments {
  readonly #bias: ReadonlyMap<number, number>;
  readonly #presence: number;
  readonly #frequency: number;
  readonly #repetition: number;
  readonly #generated = new Map<number, number>();
  readonly #seen = new Set<number>();

  /** @param promptTokenIds stretches of the prompt, in any order; read only for a repetition penalty */
  constructor(sampling: SamplingParams, promptTokenIds: readonly Int32Array[]) {
    this.#bias = sampling.logitBias ?? new Map();
    this.#presence = sampling.presencePenalty;
    this.#frequency = sampling.frequencyPenalty;
    this.#repetition = sampling.repetitionPenalty;
    if (this.#repetition !== 1) {
      for (const stretch of promptTokenIds) for (const tokenId of stretch) this.#seen.add(tokenId);
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
    if (this.#repetition !== 1) this.#seen.add(tokenId);
  }

  /** @returns an adjusted copy of a row, float32 [vocab] */
  apply(row: Float32Array): Float32Array {
    const adjusted = row.slice();
    if (this.#repetition !== 1) {
      for (const tokenId of this.#seen) {
        const value = adjusted[tokenId];
        if (value !== undefined) adjusted[tokenId] = value > 0 ? value / this.#repetition : value * this.#repetition;
      }
    }
    for (const [tokenId, count] of this.#generated) {
      const value = adjusted[tokenId];
      if (value !== undefined) adjusted[tokenId] = value - this.#frequency * count - this.#presence;
    }
    for (const [tokenId, bias] of this.#bias) {
      const value = adjusted[tokenId];
      if (value !== undefined) adjusted[tokenId] = value + bias;
    }
    return adjusted;
  }
}
