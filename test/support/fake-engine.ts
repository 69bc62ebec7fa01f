/**
 * An engine in memory for the tests of the HTTP layer: its answers are bytes of text (token id = byte), its cache a map.
 * Keeps the contract of src/engine/engine.ts: events in order, cancellation, pages held by running requests.
 */
import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { BlockCache, BlockPlace, Forgotten } from '../../src/cache/block-cache.js';
import { tenantTag } from '../../src/cache/block-key.js';
import {
  type BlockSelection,
  type CacheScope,
  type CacheStatistics,
  COMMON_SCOPE,
  covering,
} from '../../src/cache/tiers.js';
import type {
  BlockReport,
  Engine,
  EngineState,
  EngineStatistics,
  GenerateEvent,
  GenerateRequest,
  IngestOptions,
} from '../../src/engine/engine.js';
import type { BlockstitchError } from '../../src/errors.js';
import { type PlanBlock, promptTokens } from '../../src/prompt/prompt-plan.js';

const PAGE_TOKENS = 16;
const POOL_PAGES = 4096;

export class FakeEngine implements Engine {
  /** What every request answers. */
  answer = 'The answer is 42.';
  /** Milliseconds per token. */
  tokenMs = 0;
  failWith: BlockstitchError | undefined;
  /** Fails after this many tokens, with `failWith`. */
  failAfterTokens = 0;
  readonly requests: GenerateRequest[] = [];
  readonly evicted: string[] = [];
  state: EngineState = { name: 'running', reason: '', restarts: 0 };
  /** Why a forget fails in the store. */
  forgetFailure: string | undefined;
  private readonly cached = new Map<string, number>();
  private readonly holders = new Map<GenerateRequest, number>();
  private readonly totals = { queried: 0, hits: 0, prompt: 0, generated: 0 };
  closed = false;
  private readonly listeners = new Set<(state: EngineState) => void>();

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<GenerateEvent> {
    this.requests.push(request);
    if (this.failWith && this.failAfterTokens === 0) throw this.failWith;
    const pages = Math.ceil(promptTokens(request.plan) / PAGE_TOKENS);
    this.holders.set(request, pages);
    let generatedTokens = 0;
    try {
      const blocks = request.plan.blocks.map((block) => this.take(block, request.plan.sinkTokenIds, request.scope));
      const tokens = promptTokens(request.plan);
      const cachedTokens = blocks.reduce((sum, { origin, tokens }) => sum + (origin === 'computed' ? 0 : tokens), 0);
      this.totals.prompt += tokens;
      yield {
        type: 'prefilled',
        blocks,
        promptTokens: tokens,
        cachedTokens,
        queueMs: 1,
        prefillMs: 2,
        findMs: 0.5,
        loadMs: 0.25,
      };
      for (const tokenId of Buffer.from(this.answer).subarray(0, request.sampling.maxTokens)) {
        if (this.tokenMs > 0) await pause(this.tokenMs, signal);
        if (signal?.aborted) {
          yield { type: 'finish', reason: 'cancelled', generatedTokens };
          return;
        }
        generatedTokens += 1;
        this.totals.generated += 1;
        if (this.failWith && generatedTokens > this.failAfterTokens) throw this.failWith;
        const alternatives = request.sampling.topLogprobs;
        yield alternatives === undefined
          ? { type: 'token', tokenId }
          : {
              type: 'token',
              tokenId,
              logprob: -0.5,
              topLogprobs: Array.from({ length: alternatives }, (_, rank) => ({
                tokenId: (tokenId + rank) % 256,
                logprob: -0.5 - rank,
              })),
            };
      }
      const reason = Buffer.byteLength(this.answer) > request.sampling.maxTokens ? 'length' : 'stop';
      yield { type: 'finish', reason, generatedTokens };
    } finally {
      this.holders.delete(request);
    }
  }

  async ingest(blocks: readonly PlanBlock[], options: IngestOptions, signal?: AbortSignal): Promise<BlockReport[]> {
    const reports: BlockReport[] = [];
    for (const block of blocks) {
      if (this.tokenMs > 0) await pause(this.tokenMs, signal);
      signal?.throwIfAborted();
      if (this.failWith) throw this.failWith;
      const report = this.take(block, options.sinkTokenIds, options.scope);
      options.onBlock?.(report);
      reports.push(report);
    }
    return reports;
  }

  blockKey(tokenIds: Int32Array, sinkTokenIds: Int32Array, scope: CacheScope = COMMON_SCOPE): string {
    const hash = createHash('sha256').update(`${scope.tenant}|${scope.salt}|${sinkTokenIds}|${tokenIds}`).digest('hex');
    return tenantTag(scope.tenant) + hash.slice(16);
  }

  onStateChange(listener: (state: EngineState) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  become(state: EngineState): void {
    this.state = state;
    for (const listener of this.listeners) listener(state);
  }

  /** The cache that goes with it: everything is in the pool. */
  readonly cache: Pick<BlockCache, 'brand' | 'find' | 'forget' | 'statistics' | 'reserveRoom' | 'usage' | 'bytesOf'> = {
    brand: 'lmdb',
    find: async (keys) => keys.map((key) => this.place(key)),
    forget: async (selection) => this.forget(selection),
    reserveRoom: async () => ({ ok: true, release: () => undefined }),
    usage: async (tag) => {
      const tokens = [...this.cached].filter(([key]) => key.startsWith(tag)).map(([, each]) => each);
      return { entries: tokens.length, bytes: tokens.reduce((sum, each) => sum + each, 0), limit: undefined };
    },
    bytesOf: (tokens) => tokens,
    statistics: async (): Promise<CacheStatistics> => {
      const tier = { entries: 0, bytes: 0, hits: 0, misses: 0, corrupt: 0, loadedBytes: 0, loadSeconds: 0 };
      return {
        host: tier,
        store: { ...tier, brand: 'lmdb', breaker: 'closed', failures: 0, passedOver: 0, late: 0, evicted: 0 },
      };
    },
  };

  private place(key: string): BlockPlace {
    const tokens = this.cached.get(key);
    return tokens === undefined ? { tiers: [] } : { tiers: ['pool'], tokens };
  }

  private forget(selection: BlockSelection): Forgotten {
    const keys = 'keys' in selection ? selection.keys : [...this.cached.keys()].filter(covering(selection));
    if (this.forgetFailure !== undefined) return { blocks: 0, failure: this.forgetFailure };
    this.evicted.push(...keys);
    return { blocks: keys.filter((key) => this.cached.delete(key)).length };
  }

  statistics(): EngineStatistics {
    const activePages = [...this.holders.values()].reduce((sum, pages) => sum + pages, 0);
    return {
      running: this.holders.size,
      waiting: 0,
      pool: {
        pages: POOL_PAGES,
        freePages: POOL_PAGES - activePages - this.cached.size,
        cachedPages: this.cached.size,
        activePages,
        pageTokens: PAGE_TOKENS,
        pageBytes: 1024,
        cachedBlocks: this.cached.size,
      },
      queriedTokens: this.totals.queried,
      hitTokens: { pool: this.totals.hits, host: 0, store: 0 },
      promptTokens: this.totals.prompt,
      generatedTokens: this.totals.generated,
      preemptions: 0,
      drafts: 0,
      draftTokens: 0,
      acceptedTokens: 0,
      repairedTokens: 0,
      steps: 0,
      stepMs: 0,
      runMs: 0,
    };
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private take(block: PlanBlock, sinkTokenIds: Int32Array, scope?: CacheScope): BlockReport {
    const key = this.blockKey(block.tokenIds, sinkTokenIds, scope);
    const tokens = block.tokenIds.length;
    const origin = this.cached.has(key) ? 'pool' : 'computed';
    this.totals.queried += tokens;
    if (origin === 'pool') this.totals.hits += tokens;
    this.cached.set(key, tokens);
    return { key, tokens, origin, kind: block.kind };
  }
}

/** Resolves after `ms`, or at once when the signal aborts. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, signal ? { signal } : {}).catch(() => {});
}
