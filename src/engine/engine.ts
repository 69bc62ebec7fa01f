/**
 * The engine as the HTTP thread sees it: requests in, events out, caches reported.
 * Knows prompt plans and sampling; text, templates and HTTP stay above, pages and graphs behind the worker.
 */
import type { BlockKey, CacheTier, RepositoryStatistics } from '../cache/block-store.js';
import type { PlanBlock, PromptPlan } from '../prompt/prompt-plan.js';
import type { RepairOptions } from './repair/repair-plan.js';

export interface SamplingParams {
  /** New tokens at most, >= 1. */
  maxTokens: number;
  /** 0 = greedy. */
  temperature: number;
  topP: number;
  /** 0 = off. */
  topK: number;
  minP: number;
  presencePenalty: number;
  frequencyPenalty: number;
  /** 1 = off. */
  repetitionPenalty: number;
  seed?: number;
  /** Alternatives to report per token, 0..20; undefined = no logprobs. */
  topLogprobs?: number;
  logitBias?: ReadonlyMap<number, number>;
  /** Ids that end generation (the model's eos ids unless ignoreEos). */
  stopTokenIds: readonly number[];
  ignoreEos?: boolean;
}

/** One token of greedy decoding with nothing adjusted: what benches and tests start from. */
export const GREEDY: Readonly<SamplingParams> = {
  maxTokens: 1,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  stopTokenIds: [],
};

export interface GenerateRequest {
  id: string;
  plan: PromptPlan;
  /** Under block attention: the share of cached tokens that is computed again in context. 1 is full attention. */
  repair?: RepairOptions;
  sampling: SamplingParams;
  /** Separates tenants' caches. */
  cacheSalt?: string;
  /** Milliseconds from submission after which the request is given up (finish reason `deadline`). */
  deadlineMs?: number;
}

/** Where one block of a request came from. `computed`: prefilled for this request (or one beside it). */
export interface BlockReport {
  key: BlockKey;
  tokens: number;
  origin: CacheTier | 'computed';
  kind: PlanBlock['kind'];
  /** Tokens of it that were computed again, in context, for this request; absent where none were. */
  repairedTokens?: number;
}

export interface TokenLogprob {
  tokenId: number;
  /** Natural logarithm. */
  logprob: number;
}

export type FinishReason = 'stop' | 'length' | 'cancelled' | 'deadline';

export type GenerateEvent =
  /** Sent once, with or before the first token. */
  | {
      type: 'prefilled';
      blocks: BlockReport[];
      promptTokens: number;
      cachedTokens: number;
      queueMs: number;
      prefillMs: number;
    }
  | { type: 'token'; tokenId: number; logprob?: number; topLogprobs?: TokenLogprob[] }
  | { type: 'finish'; reason: FinishReason; stopTokenId?: number; generatedTokens: number };

export interface EngineStatistics {
  running: number;
  waiting: number;
  pool: {
    pages: number;
    freePages: number;
    cachedPages: number;
    activePages: number;
    pageTokens: number;
    pageBytes: number;
    cachedBlocks: number;
  };
  queriedTokens: number;
  hitTokens: Record<CacheTier, number>;
  promptTokens: number;
  generatedTokens: number;
  /** Cached tokens computed again, in context. */
  repairedTokens: number;
  preemptions: number;
  steps: number;
  /** Sum of step times, and of the part inside ONNX Runtime's run call, in milliseconds. */
  stepMs: number;
  runMs: number;
  repository: RepositoryStatistics;
}

export interface Engine {
  /**
   * Queues a request and streams its events. Aborting the signal (or leaving the loop) cancels it and frees its pages.
   * @throws BlockstitchError `invalid_request`, `queue_full`, `context_exceeded`, `pool_too_small`, `shutting_down`, `engine_failed`
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent>;
  /**
   * Makes sure that every block is cached and durable in the store; generation of others goes first.
   * @returns one report per block, in order
   */
  ingest(
    blocks: readonly PlanBlock[],
    options: { sinkTokenIds: Int32Array; cacheSalt?: string; onBlock?: (report: BlockReport) => void },
    signal?: AbortSignal,
  ): Promise<BlockReport[]>;
  /** Key of a block under this engine's model and kv dtype. */
  blockKey(tokenIds: Int32Array, sinkTokenIds: Int32Array, cacheSalt?: string): BlockKey;
  locate(keys: readonly BlockKey[]): Promise<{ tiers: CacheTier[]; tokens?: number; bytes?: number }[]>;
  /** Drops blocks from every tier (those in use leave when released). Without keys: all. @returns blocks dropped */
  evict(keys?: readonly BlockKey[], tiers?: readonly CacheTier[]): Promise<number>;
  statistics(): Promise<EngineStatistics>;
  /** Stops taking requests, finishes the running ones within `graceMs`, then ends the worker. */
  close(graceMs?: number): Promise<void>;
}
