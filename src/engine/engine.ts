/**
 * The engine as the HTTP thread sees it: requests in, events out.
 * Knows prompt plans and sampling. The rooms above know text, templates and HTTP. The cache knows where blocks are
 * kept. The worker knows pages and graphs.
 *
 * Words: host = the part of the engine on the HTTP thread; worker = the part on the engine's own thread; step = one run
 * of the graph over rows of many requests; prefill = computing the KV of given tokens; decode = one new token a step;
 * repair = computing some cached tokens again, in context.
 *
 * Rooms: wire/ (what crosses between the threads), host/, worker/, and the pure schedule/, repair/ and sampling/.
 */
import type { BlockKey, CacheScope, CacheTier } from '../cache/tiers.js';
import type { GrammarId } from '../grammar/mask-link.js';
import type { PlanBlock, PromptPlan } from '../prompt/prompt-plan.js';

export interface SamplingParams {
  /** Most new tokens, >= 1. */
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
  /** Ids that end generation: the model's end-of-text ids, unless they are ignored, and the request's own. */
  stopTokenIds: readonly number[];
  /** False: no tokens are proposed by prompt lookup. The answer is the same. */
  promptLookup?: boolean;
}

/** One token of greedy decoding without adjustments. Benches and tests start from it. */
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
  /** Share of the cached tokens that is computed again, 0 (plain block attention) to 1 (exactly full attention). */
  share: number;
  by: RepairChoice;
}

/** The choice of a request that names only a share. */
export const DEFAULT_REPAIR_CHOICE: RepairChoice = 'first';

export interface GenerateRequest {
  /** The client's name for the request. For logs only: two requests may have the same. */
  label?: string;
  plan: PromptPlan;
  /** Under block attention: the share of cached tokens that is computed again in context. 1 is full attention. */
  repair?: RepairOptions;
  sampling: SamplingParams;
  /** Number of the grammar that the answer follows; it is held for as long as the request runs. */
  grammar?: GrammarId;
  /** Tokens that are likely to be in the answer, in order. Prompt lookup proposes them too; the answer is the same without. */
  predicted?: Int32Array;
  /** Requests of one scope share blocks; default: the common scope. */
  scope?: CacheScope;
  /** The request is given up this many milliseconds after its submission (finish reason `deadline`). */
  deadlineMs?: number;
}

/** Where one block of a request came from. `computed`: prefilled for this request (or one beside it). */
export interface BlockReport {
  key: BlockKey;
  tokens: number;
  origin: CacheTier | 'computed';
  kind: PlanBlock['kind'];
  /** Tokens of the block that were computed again, in context, for this request; absent if there were none. */
  repairedTokens?: number;
  /** In reports of an ingestion that computed it: milliseconds of engine steps, by its share of their rows. */
  prefillMs?: number;
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
      /** Parts of `prefillMs`: until the tiers below had answered, then until the pages were filled. */
      findMs: number;
      loadMs: number;
    }
  | ({ type: 'token'; tokenId: number; logprob?: number; topLogprobs?: TokenLogprob[]; accepted?: true } & Proposed)
  | ({ type: 'finish'; reason: FinishReason; stopTokenId?: number; generatedTokens: number } & Proposed);

/** What prompt lookup did. Every token that it proposed and that came out is `accepted`. */
export interface Proposed {
  /** Tokens that were proposed for the step that gave this event, with the first event of the step. */
  proposedTokens?: number;
}

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
  /** Drafts of prompt lookup, their tokens, and those that came out. */
  drafts: number;
  draftTokens: number;
  acceptedTokens: number;
  steps: number;
  /** Sum of step times in milliseconds. `runMs` is the part inside ONNX Runtime's run call. */
  stepMs: number;
  runMs: number;
}

export interface IngestOptions {
  sinkTokenIds: Int32Array;
  /** Requests of one scope share blocks; default: the common scope. */
  scope?: CacheScope;
  onBlock?: (report: BlockReport) => void;
}

/**
 * Whether an engine takes requests; `reason` says why not. `worker-life.ts` is its one owner. /ready, metrics and the
 * exit code read it.
 */
export interface EngineState {
  name: 'running' | 'restarting' | 'down';
  reason: string;
  /** How often a worker was started again. */
  restarts: number;
}

export interface Engine {
  readonly state: EngineState;
  /** @param listener called with each new state @returns a function that ends this */
  onStateChange(listener: (state: EngineState) => void): () => void;
  /**
   * Queues a request and streams its events. Aborting the signal (or leaving the loop) cancels it and frees its pages.
   * @throws BlockstitchError `invalid_request`, `queue_full`, `context_length_exceeded`, `pool_too_small`, `not_ready`,
   *   `shutting_down`, `engine_failed`
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent>;
  /**
   * Makes sure that every block is cached and durable in the store. Generation goes first. The first failure ends the
   * rest of the ingestion.
   * @returns one report per block, in order
   * @throws BlockstitchError as `generate`, `store_failed`, and `deleted_meanwhile` if a block was forgotten before the
   *   last one was durable
   */
  ingest(blocks: readonly PlanBlock[], options: IngestOptions, signal?: AbortSignal): Promise<BlockReport[]>;
  /** Key of a block under this engine's model and kv dtype. */
  blockKey(tokenIds: Int32Array, sinkTokenIds: Int32Array, scope?: CacheScope): BlockKey;
  statistics(): EngineStatistics;
  /** Stops taking requests, finishes the running ones within `graceMs`, then ends the worker. */
  close(graceMs?: number): Promise<void>;
}
