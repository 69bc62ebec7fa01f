/**
 * Chooses the next token of one request from the graph's outputs for it. The same logits give the same token in any
 * batch: the random number depends on the request's seed and the token's number only.
 * Knows sampling parameters and logits. The engine core knows stop conditions and streaming.
 *
 * The graph returns the best k tokens and the log-sum-exp of each row. That is enough for a greedy choice without
 * penalties or bias, and for top_k up to 256 without them. A draw from the whole vocabulary is made by the graph itself,
 * where it can (`graph-draws.ts`). Everything else fetches the whole row as well, and reads it only when the best tokens
 * do not settle the choice (`best-tokens.ts`).
 * Log-probabilities are those of the model: before penalties, bias and temperature.
 *
 * Words: row = the logits of one token, over the vocabulary; adjustment = bias or penalty on a logit; draw = a random
 * choice by weight; weight = exp((logit - best) / temperature); order = a logit as an integer that sorts alike.
 */
import type { SamplingParams, TokenLogprob } from '../engine.js';
import { bestTokens, drawFromBest, type LogitRow } from './best-tokens.js';
import { drawsInGraph, type GraphDraw } from './graph-draws.js';
import { LogitAdjustments } from './logit-adjustments.js';
import { isAllowed, maskRow } from './token-mask.js';
import { uniform } from './token-random.js';
import { WholeRow } from './whole-row.js';

/** The greatest k that the graph's top-k output gives. */
export const MAX_TOP_K = 256;
/** Best tokens to fetch for draws without a limit by top_k. */
const SAMPLING_TOP_K = 64;
/** The same, if penalties or bias may lower many of them. */
const ADJUSTED_TOP_K = 128;

export interface SampledToken {
  tokenId: number;
  logprob?: number;
  topLogprobs?: TokenLogprob[];
}

/** The graph's outputs that a request needs: how many best tokens, and whether the whole row too. */
export interface LogitsNeeded {
  topK: number;
  fullRow: boolean;
}

export interface SamplerOptions {
  /** Whether the graph can draw a token itself. */
  graphDraws?: boolean;
  /** Whether each choice comes with the tokens that are allowed. */
  constrained?: boolean;
}

export function logitsNeeded(sampling: SamplingParams, options: SamplerOptions = {}): LogitsNeeded {
  const { temperature, topK } = sampling;
  const adjusted = LogitAdjustments.wanted(sampling);
  const reported = Math.max(1, sampling.topLogprobs ?? 0);
  if (options.constrained) return { topK: reported, fullRow: true };
  if (options.graphDraws && drawsInGraph(sampling)) return { topK: reported, fullRow: false };
  const limited = temperature > 0 && topK > 0 && topK <= MAX_TOP_K;
  let best = adjusted ? ADJUSTED_TOP_K : temperature > 0 ? SAMPLING_TOP_K : 1;
  if (limited) best = adjusted ? Math.max(best, topK) : topK;
  return { topK: Math.max(reported, best), fullRow: adjusted || (temperature > 0 && !limited) };
}

const NO_ENTRIES = new Int32Array(0);

/** Room for one draw; draws of a thread never overlap. */
const wholeRow = new WholeRow();
let adjustedRow = new Float32Array(0);

/** The sampler of one request. */
export class Sampler {
  /** The graph's outputs that each choice needs. */
  readonly needed: LogitsNeeded;
  /** Whether the graph makes the draws. */
  readonly drawnByGraph: boolean;
  readonly #sampling: SamplingParams;
  readonly #seed: number;
  readonly #adjustments: LogitAdjustments | undefined;
  #drawn = 0;

  /**
   * @param seed uint32
   * @param promptTokenIds stretches of the prompt, for a repetition penalty
   */
  constructor(
    sampling: SamplingParams,
    seed: number,
    promptTokenIds: readonly Int32Array[],
    options: SamplerOptions = {},
  ) {
    this.#sampling = sampling;
    this.needed = logitsNeeded(sampling, options);
    this.drawnByGraph = options.graphDraws === true && !options.constrained && drawsInGraph(sampling);
    this.#seed = seed;
    this.#adjustments = LogitAdjustments.wanted(sampling) ? new LogitAdjustments(sampling, promptTokenIds) : undefined;
  }

  /**
   * The next draws, if the graph is to make them; `next` then takes their tokens, one a call.
   * @param draft tokens that may come next: the draws behind each of them are made as if they had come
   * @returns one draw more than `draft` has tokens; empty if the graph makes none
   */
  graphDraws(draft: Int32Array): GraphDraw[] {
    if (!this.drawnByGraph) return [];
    const { repetition = 1, presence = 0, frequency = 0 } = this.#adjustments ?? {};
    const { temperature } = this.#sampling;
    const entries = this.#adjustments?.entriesAhead(draft);
    return Array.from({ length: draft.length + 1 }, (_, ahead) => {
      const point = uniform(this.#seed, this.#drawn + ahead);
      return { temperature, point, repetition, presence, frequency, adjusted: entries?.[ahead] ?? NO_ENTRIES };
    });
  }

  /**
   * Chooses the next token and takes note of it.
   * @param allowed int32 [ceil(vocab / 32)], one bit per token; absent: all are allowed
   * @throws RangeError when the logits are not finite, or no token is allowed
   */
  next(row: LogitRow, allowed?: Int32Array): SampledToken {
    if (!Number.isFinite(row.best.values[0])) throw new RangeError('the model gave logits that are not finite');
    const tokenId = allowed === undefined ? this.#choose(row) : this.#chooseAmong(row, allowed);
    this.#drawn++;
    this.#adjustments?.accept(tokenId);
    return this.#report(row, tokenId);
  }

  #choose(row: LogitRow): number {
    const { temperature } = this.#sampling;
    if (this.drawnByGraph) {
      if (row.drawn === undefined) throw new TypeError('the graph did not make the draw');
      return row.drawn.id;
    }
    const tokens = bestTokens(row, this.#adjustments);
    if (temperature === 0) {
      return tokens.front.ids[0] ?? wholeRow.argmax(this.#wholeRow(row));
    }
    const u = uniform(this.#seed, this.#drawn);
    const drawn = drawFromBest(tokens, row, this.#sampling, u);
    if (drawn !== undefined) return drawn;
    const full = this.#wholeRow(row);
    const best = tokens.front.values[0] ?? (full[wholeRow.argmax(full)] as number);
    return wholeRow.draw(full, best, this.#sampling, u);
  }

  #chooseAmong(row: LogitRow, allowed: Int32Array): number {
    const greatest = row.best.ids[0] as number;
    const isPlain = this.#sampling.temperature === 0 && this.#adjustments === undefined;
    // Most often the model wants what its grammar allows.
    if (isPlain && isAllowed(allowed, greatest)) return greatest;
    const masked = this.#copiedRow(row);
    maskRow(masked, allowed);
    const tokenId = wholeRow.argmax(masked);
    const best = masked[tokenId] as number;
    if (best === Number.NEGATIVE_INFINITY) throw new RangeError('no token is allowed to come next');
    if (this.#sampling.temperature === 0) return tokenId;
    return wholeRow.draw(masked, best, this.#sampling, uniform(this.#seed, this.#drawn));
  }

  /** The row after adjustments, float32 [vocab], valid until the next call. */
  #wholeRow(row: LogitRow): Float32Array {
    if (row.full === undefined) throw new TypeError('the choice needs the whole row');
    return this.#adjustments === undefined ? row.full : this.#copiedRow(row);
  }

  #copiedRow({ full }: LogitRow): Float32Array {
    if (full === undefined) throw new TypeError('the choice needs the whole row');
    if (adjustedRow.length !== full.length) adjustedRow = new Float32Array(full.length);
    adjustedRow.set(full);
    this.#adjustments?.adjustRow(adjustedRow);
    return adjustedRow;
  }

  #report(row: LogitRow, tokenId: number): SampledToken {
    const { topLogprobs } = this.#sampling;
    if (topLogprobs === undefined) return { tokenId };
    const place = row.best.ids.indexOf(tokenId);
    const logit = place >= 0 ? row.best.values[place] : (row.drawn?.logit ?? row.full?.[tokenId]);
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
