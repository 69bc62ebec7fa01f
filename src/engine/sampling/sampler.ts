/**
 * Chooses the next token of one request from what the graph returned for it. The same logits give the same token,
 * whoever else was in the batch: the random number depends on the request's seed and the token's number only.
 * Knows sampling parameters and logits; stop conditions and streaming are the engine core's.
 *
 * The graph returns the best k tokens and the log-sum-exp of each row. That is enough for a greedy choice without
 * penalties or bias, and for top_k up to 256 without them. Everything else fetches the whole row as well, and reads it
 * only when the best tokens do not settle the draw (`drawFromBest`).
 * Log-probabilities are those of the model: before penalties, bias and temperature.
 */
import type { SamplingParams, TokenLogprob } from '../engine.js';
import { LogitAdjustments } from './logit-adjustments.js';
import { argmax, type Candidates, drawFromBest, drawFromRow } from './token-distribution.js';
import { uniform } from './token-random.js';

/** The greatest k that the graph's top-k output gives. */
export const MAX_TOP_K = 256;
/** Best tokens fetched for draws that are not limited by top_k. */
const SAMPLING_TOP_K = 64;

/** What the graph returned for one row. */
export interface LogitRow {
  /** At least as many as asked for, unless the vocabulary is smaller. */
  best: Candidates;
  logSumExp: number;
  /** float32 [vocab], where the whole row was asked for. */
  full: Float32Array | undefined;
  vocabSize: number;
}

export interface SampledToken {
  tokenId: number;
  logprob?: number;
  topLogprobs?: TokenLogprob[];
}

/** What a request needs of the graph's outputs: best tokens, and whether the whole row too. */
export function logitsNeeded(sampling: SamplingParams): { topK: number; fullRow: boolean } {
  const adjusted = LogitAdjustments.wanted(sampling);
  const reported = Math.max(1, sampling.topLogprobs ?? 0);
  if (sampling.temperature === 0) return { topK: reported, fullRow: adjusted };
  if (sampling.topK > 0 && sampling.topK <= MAX_TOP_K) {
    return { topK: Math.max(reported, sampling.topK), fullRow: adjusted };
  }
  return { topK: Math.max(reported, SAMPLING_TOP_K), fullRow: true };
}

/** The sampler of one request. */
export class Sampler {
  readonly #sampling: SamplingParams;
  readonly #seed: number;
  readonly #adjustments: LogitAdjustments | undefined;
  #drawn = 0;

  /** @param promptTokenIds stretches of the prompt, for a repetition penalty */
  constructor(sampling: SamplingParams, seed: number, promptTokenIds: readonly Int32Array[]) {
    this.#sampling = sampling;
    this.#seed = seed;
    this.#adjustments = LogitAdjustments.wanted(sampling) ? new LogitAdjustments(sampling, promptTokenIds) : undefined;
  }

  /**
   * Chooses the next token and takes note of it.
   * @throws RangeError when the logits are not finite
   */
  next(row: LogitRow): SampledToken {
    if (!Number.isFinite(row.best.values[0])) throw new RangeError('the model gave logits that are not finite');
    const tokenId = this.#choose(row);
    this.#drawn++;
    this.#adjustments?.accept(tokenId);
    return this.#report(row, tokenId);
  }

  #choose(row: LogitRow): number {
    const { temperature } = this.#sampling;
    if (this.#adjustments !== undefined) {
      if (row.full === undefined) throw new TypeError('penalties and bias need the whole row');
      const adjusted = this.#adjustments.apply(row.full);
      return temperature === 0 ? argmax(adjusted) : drawFromRow(adjusted, this.#sampling, this.#uniform());
    }
    if (temperature === 0) return row.best.ids[0] as number;
    const drawn = drawFromBest(row.best, row.vocabSize, this.#sampling, this.#uniform(), row.logSumExp);
    if (drawn >= 0) return drawn;
    if (row.full === undefined) throw new TypeError('the draw needs the whole row');
    return drawFromRow(row.full, this.#sampling, this.#uniform());
  }

  #uniform(): number {
    return uniform(this.#seed, this.#drawn);
  }

  #report(row: LogitRow, tokenId: number): SampledToken {
    const { topLogprobs } = this.#sampling;
    if (topLogprobs === undefined) return { tokenId };
    const place = row.best.ids.indexOf(tokenId);
    const logit = place >= 0 ? row.best.values[place] : row.full?.[tokenId];
    return {
      tokenId,
      logprob: (logit ?? Number.NaN) - row.logSumExp,
      topLogprobs: Array.from({ length: Math.min(topLogprobs, row.best.ids.length) }, (_, index) => ({
        tokenId: row.best.ids[index] as number,
        logprob: (row.best.values[index] as number) - row.logSumExp,
      })),
    };
  }
}
