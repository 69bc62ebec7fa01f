/**
 * The engine as the HTTP thread sees it: requests in, events out.
 * Knows prompt plans and sampling. Text, templates and HTTP stay above; where blocks are kept is the cache's; pages and
 * graphs are behind the worker.
 *
 * Words: host = the part of the engine on the HTTP thread; worker = the part on the engine's own thread; step = one run of
 * the graph over rows of many requests; prefill = computing the KV of given tokens; decode = one new token a step;
 * repair = computing some cached tokens again, in context.
 *
 * Rooms: wire/ (what crosses between the threads), host/, worker/, and the pure schedule/, repair/ and sampling/.
 */
import type { BlockKey, CacheScope, CacheTier } from '../cache/tiers.js';
import type { PlanBlock, PromptPlan } from '../prompt/prompt-plan.js';

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

export const REPAIR_CHOICES = ['first', 'deviation'] as const;
/** How repaired pages are chosen. */
export type RepairChoice = (typeof REPAIR_CHOICES)[number];

export interface RepairOptions {
  /** Share of the tokens that is computed again, 0 (plain block attention) to 1 (full attention exactly). */
  share: number;
  by: RepairChoice;
}

/** The choice where a request names only a share. */
export const DEFAULT_REPAIR_CHOICE: RepairChoice = 'first';

export interface GenerateRequest {
  /** The client's name for the request: for logs only, two requests may bear the same. */
  label?: string;
  plan: PromptPlan;
  /** Under block attention: the share of cached tokens that is computed again in context. 1 is full attention. */
  repair?: RepairOptions;
  sampling: SamplingParams;
  /** With whom the request shares blocks; default: everybody. */
  scope?: CacheScope;
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
}

export interface IngestOptions {
  sinkTokenIds: Int32Array;
  /** With whom the blocks are shared; default: everybody. */
  scope?: CacheScope;
  onBlock?: (report: BlockReport) => void;
}

/** Whether an engine takes requests; `reason` says why not. One owner keeps it: /ready, metrics, log and exit code read it. */
export interface EngineState {
  name: 'running' | 'restarting' | 'down';
  reason: string;
  /** Times that a worker was started again. */
  restarts: number;
}

export interface Engine {
  readonly state: EngineState;
  /** @param listener told of each change @returns stops telling */
  onStateChange(listener: (state: EngineState) => void): () => void;
  /**
   * Queues a request and streams its events. Aborting the signal (or leaving the loop) cancels it and frees its pages.
   * @throws BlockstitchError `invalid_request`, `queue_full`, `context_exceeded`, `pool_too_small`, `not_ready`,
   *   `shutting_down`, `engine_failed`
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent>;
  /**
   * Makes sure that every block is cached and durable in the store; generation of others goes first. The first failure
   * ends the rest.
   * @returns one report per block, in order
   * @throws BlockstitchError as `generate`, and `store_failed`
   */
  ingest(blocks: readonly PlanBlock[], options: IngestOptions, signal?: AbortSignal): Promise<BlockReport[]>;
  /** Key of a block under this engine's model and kv dtype. */
  blockKey(tokenIds: Int32Array, sinkTokenIds: Int32Array, scope?: CacheScope): BlockKey;
  statistics(): EngineStatistics;
  /** Stops taking requests, finishes the running ones within `graceMs`, then ends the worker. */
  close(graceMs?: number): Promise<void>;
}
