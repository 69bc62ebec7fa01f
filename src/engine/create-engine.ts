/**
 * Makes the engine: sizes the KV pool, starts the worker, and stands between requests and the worker's messages.
 * Runs on the HTTP thread. Knows requests, streams and counters; steps are the worker's, page copies `block-traffic.ts`'s.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { blockKey } from '../blocks/block-key.js';
import type { BlockKey, BlockRepository, CacheTier } from '../blocks/block-store.js';
import { BlockstitchError } from '../errors.js';
import { KvPool } from '../kernels/kv-pool.js';
import { loadAddon } from '../kernels/load-addon.js';
import type { KvDtype } from '../kernels/native-addon.js';
import type { ImportedModel } from '../model/imported-model.js';
import { type PlanBlock, promptTokens } from '../prompt/prompt-plan.js';
import { workerFile } from '../text/worker-file.js';
import { AdmissionGate } from './admission-gate.js';
import { BlockTraffic } from './block-traffic.js';
import type { BlockReport, Engine, EngineStatistics, GenerateEvent, GenerateRequest } from './engine.js';
import { RequestStream } from './request-stream.js';
import { ROW_MULTIPLES } from './row-probe.js';
import type { RequestSpec, SinkSpec } from './sequence.js';
import { SharedCounters } from './shared-counters.js';
import type { EngineCommand, EngineNews, WorkerReady, WorkerSetup } from './worker-messages.js';

export interface EngineOptions {
  model: ImportedModel;
  repository: BlockRepository;
  kvDtype: KvDtype;
  /** Size of the KV pool. */
  kvMemoryBytes: number;
  /** Compute threads; 0 takes every core. */
  threads?: number;
  /** New tokens in one step at most. */
  maxBatchTokens?: number;
  /** Requests that generate at once at most. */
  maxRunning?: number;
  /** Requests that may wait beyond them. */
  maxQueue?: number;
}

const PAGE_TOKENS = 16;
/** Payloads on their way to the store at most. */
const MAX_SAVING_BYTES = 256 * 1024 * 1024;

/**
 * @throws BlockstitchError `native_unavailable`, `pool_too_small` when not one page fits, `engine_failed` when the
 *   graph cannot be loaded
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const addon = loadAddon();
  const { layers, kvHeads, headDim } = options.model.config;
  const shape = { pageTokens: PAGE_TOKENS, layers, kvHeads, headDim, dtype: options.kvDtype };
  const probe = new KvPool(addon, { ...shape, pages: 1 });
  const pages = Math.floor(options.kvMemoryBytes / probe.pageBytes);
  probe.destroy();
  const scratch = 1;
  const least = Math.max(...ROW_MULTIPLES) + scratch;
  if (pages < least) throw new BlockstitchError('pool_too_small', { needed: least, pages });
  const pool = new KvPool(addon, { ...shape, pages });
  const host = new EngineHost(options, pool, pages - scratch);
  await host.start();
  return host;
}

interface IngestJob {
  reports: (BlockReport | undefined)[];
  missing: number;
  onBlock: ((report: BlockReport) => void) | undefined;
  blocks: readonly PlanBlock[];
  resolve: () => void;
  reject: (error: BlockstitchError) => void;
}

class EngineHost implements Engine {
  readonly #options: EngineOptions;
  readonly #pool: KvPool;
  readonly #pages: number;
  readonly #counters = new SharedCounters();
  readonly #gate: AdmissionGate;
  readonly #traffic: BlockTraffic;
  readonly #worker: Worker;
  readonly #streams = new Map<string, RequestStream>();
  readonly #jobs = new Map<string, IngestJob>();
  readonly #evictions = new Map<number, (dropped: number) => void>();
  /** Blocks that are ready in the pool, and their tokens. */
  readonly #findable = new Map<BlockKey, number>();
  #lastCall = 0;
  #failed: BlockstitchError | undefined;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(options: EngineOptions, pool: KvPool, pages: number) {
    const { maxRunning = 32, maxQueue = 256, maxBatchTokens = 512 } = options;
    this.#options = options;
    this.#pool = pool;
    this.#pages = pages;
    this.#gate = new AdmissionGate(maxRunning, maxQueue);
    this.#traffic = new BlockTraffic({
      addon: loadAddon(),
      poolId: pool.id,
      repository: options.repository,
      post: (command) => this.#post(command),
      maxSavingBytes: MAX_SAVING_BYTES,
    });
    const batch = Math.max(maxBatchTokens, maxRunning);
    const setup: WorkerSetup = {
      model: options.model,
      threads: options.threads || availableParallelism(),
      poolId: pool.id,
      pages,
      pageTokens: PAGE_TOKENS,
      policy: {
        maxBatchTokens: batch,
        mixedPrefillTokens: Math.max(16, batch >> 2),
        ingestTokens: batch,
        ingestEverySteps: 8,
        ingestSliceTokens: Math.max(16, batch >> 3),
        maxRunning,
      },
      counters: this.#counters.buffer,
    };
    this.#worker = new Worker(new URL(workerFile('./engine-worker.js', import.meta.url)), { workerData: setup });
  }

  async start(): Promise<void> {
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('exit', () => {
      if (!this.#closing) this.#fail('its worker ended');
    });
    const [first] = (await Promise.race([
      once(this.#worker, 'message'),
      once(this.#worker, 'exit').then(() => [undefined]),
    ]).catch((error: unknown) => {
      throw new BlockstitchError('engine_failed', { reason: String((error as Error).message) }, { cause: error });
    })) as [WorkerReady | undefined];
    if (first === undefined)
      throw this.#failed ?? new BlockstitchError('engine_failed', { reason: 'its worker ended' });
    this.#worker.on('message', (news: EngineNews) => this.#receive(news));
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<GenerateEvent, void, void> {
    const spec = this.#admit(request);
    const stream = new RequestStream();
    this.#streams.set(spec.id, stream);
    const cancel = () => this.#post({ type: 'cancel', id: spec.id });
    this.#post({ type: 'submit', request: spec });
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    try {
      yield* stream.events();
    } finally {
      signal?.removeEventListener('abort', cancel);
      if (!stream.ended) cancel();
      this.#streams.delete(spec.id);
      if (this.#streams.size === 0) this.#idle?.();
    }
  }

  async ingest(
    blocks: readonly PlanBlock[],
    options: { sinkTokenIds: Int32Array; cacheSalt?: string; onBlock?: (report: BlockReport) => void },
    signal?: AbortSignal,
  ): Promise<BlockReport[]> {
    this.#refuseWhenDown();
    if (blocks.length === 0) return [];
    const jobId = randomUUID();
    const { sinkTokenIds, cacheSalt, onBlock } = options;
    const longest = Math.max(...blocks.map((block) => block.tokenIds.length));
    this.#refuseBeyondPool(longest + sinkTokenIds.length);
    const job: IngestJob = {
      reports: new Array(blocks.length).fill(undefined),
      missing: blocks.length,
      onBlock,
      blocks,
      resolve: () => {},
      reject: () => {},
    };
    const done = new Promise<void>((resolve, reject) => {
      job.resolve = resolve;
      job.reject = reject;
    });
    this.#jobs.set(jobId, job);
    const cancel = () => {
      this.#post({ type: 'cancelIngest', jobId });
      job.reject(new BlockstitchError('shutting_down'));
    };
    this.#post({
      type: 'ingest',
      spec: {
        jobId,
        sinks: this.#sinks(sinkTokenIds, cacheSalt),
        blocks: blocks.map((block, index) => ({
          index,
          key: this.blockKey(block.tokenIds, sinkTokenIds, cacheSalt),
          tokenIds: block.tokenIds,
          kind: block.kind,
        })),
      },
    });
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await done;
    } finally {
      signal?.removeEventListener('abort', cancel);
      this.#jobs.delete(jobId);
    }
    return job.reports as BlockReport[];
  }

  blockKey(tokenIds: Int32Array, sinkTokenIds: Int32Array, cacheSalt?: string): BlockKey {
    const { model, kvDtype } = this.#options;
    const salt = cacheSalt === undefined ? {} : { cacheSalt };
    return blockKey({ fingerprint: model.fingerprint, kvDtype, sinkTokenIds, tokenIds, ...salt });
  }

  async locate(keys: readonly BlockKey[]): Promise<{ tiers: CacheTier[]; tokens?: number; bytes?: number }[]> {
    const lower = await this.#options.repository.locate(keys);
    return keys.map((key, index) => {
      const tokens = this.#findable.get(key);
      const tiers: CacheTier[] = tokens === undefined ? [] : ['pool'];
      const tier = lower[index];
      if (tier !== undefined) tiers.push(tier);
      return tokens === undefined ? { tiers } : { tiers, tokens, bytes: this.#pool.payloadBytes(tokens) };
    });
  }

  async evict(keys?: readonly BlockKey[], tiers?: readonly CacheTier[]): Promise<number> {
    const { repository } = this.#options;
    let dropped = 0;
    if (tiers === undefined || tiers.includes('pool')) {
      await this.#traffic.settle(keys);
      const callId = ++this.#lastCall;
      const answer = new Promise<number>((resolve) => this.#evictions.set(callId, resolve));
      this.#post({ type: 'evict', callId, keys });
      dropped = await answer;
    }
    if (tiers === undefined || tiers.some((tier) => tier !== 'pool')) {
      await this.#traffic.settle(keys);
      const lower = keys === undefined ? await repository.clear() : await repository.delete(keys);
      dropped = Math.max(dropped, lower);
    }
    return dropped;
  }

  async statistics(): Promise<EngineStatistics> {
    const count = (name: Parameters<SharedCounters['get']>[0]) => this.#counters.get(name);
    const freePages = count('freePages');
    const cachedPages = count('cachedPages');
    return {
      running: count('running'),
      waiting: count('waiting'),
      pool: {
        pages: this.#pages,
        freePages,
        cachedPages,
        activePages: this.#pages - freePages - cachedPages,
        pageTokens: PAGE_TOKENS,
        pageBytes: this.#pool.pageBytes,
        cachedBlocks: count('cachedBlocks'),
      },
      queriedTokens: count('queriedTokens'),
      hitTokens: { pool: count('hitPool'), host: count('hitHost'), lmdb: count('hitLmdb'), redis: count('hitRedis') },
      promptTokens: count('promptTokens'),
      generatedTokens: count('generatedTokens'),
      preemptions: count('preemptions'),
      steps: count('steps'),
      stepMs: count('stepMs'),
      runMs: count('runMs'),
      repository: await this.#options.repository.statistics(),
    };
  }

  async close(graceMs = 0): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#failed === undefined) {
      if (this.#streams.size > 0 && graceMs > 0) await this.#drained(graceMs);
      for (const id of this.#streams.keys()) this.#post({ type: 'cancel', id });
      for (const [jobId, job] of this.#jobs) {
        this.#post({ type: 'cancelIngest', jobId });
        job.reject(new BlockstitchError('shutting_down'));
      }
      await this.#traffic.close();
      const ended = once(this.#worker, 'exit');
      this.#post({ type: 'close' });
      await ended;
    }
    this.#pool.destroy();
  }

  #admit(request: GenerateRequest): RequestSpec {
    this.#refuseWhenDown();
    const { plan, sampling, cacheSalt, deadlineMs } = request;
    const tokens = promptTokens(plan);
    const contextTokens = this.#options.model.config.maxPositions;
    if (tokens + sampling.maxTokens > contextTokens) {
      throw new BlockstitchError('context_exceeded', {
        promptTokens: tokens,
        maxTokens: sampling.maxTokens,
        contextTokens,
      });
    }
    this.#refuseBeyondPool(tokens + sampling.maxTokens);
    const streams = [...this.#streams.values()].filter((stream) => !stream.ended);
    const counts = {
      outstanding: streams.length,
      admitted: streams.filter((stream) => stream.admitted).length,
      waitingInWorker: this.#counters.get('waiting'),
    };
    if (!this.#gate.admits(counts)) {
      const waiting = counts.outstanding - counts.admitted;
      throw new BlockstitchError('queue_full', { waiting, limit: this.#gate.maxQueue });
    }
    const submittedMs = performance.timeOrigin + performance.now();
    const full = plan.attention === 'full';
    const blocks = plan.blocks.map(({ tokenIds, kind }) => ({
      key: this.blockKey(tokenIds, plan.sinkTokenIds, cacheSalt),
      tokenIds,
      kind,
    }));
    return {
      id: `${request.id}/${++this.#lastCall}`,
      attention: plan.attention,
      sinks: full ? undefined : this.#sinks(plan.sinkTokenIds, cacheSalt),
      blocks,
      tailTokenIds: full
        ? joined([plan.sinkTokenIds, ...plan.blocks.map((block) => block.tokenIds), plan.finalTokenIds])
        : plan.finalTokenIds,
      sampling,
      seed: (sampling.seed ?? randomInt(2 ** 32)) >>> 0,
      submittedMs,
      ...(deadlineMs === undefined ? {} : { deadlineMs: submittedMs + deadlineMs }),
    };
  }

  #sinks(sinkTokenIds: Int32Array, cacheSalt: string | undefined): SinkSpec | undefined {
    if (sinkTokenIds.length === 0) return undefined;
    return { key: this.blockKey(sinkTokenIds, new Int32Array(0), cacheSalt), tokenIds: sinkTokenIds };
  }

  #refuseWhenDown(): void {
    if (this.#closing) throw new BlockstitchError('shutting_down');
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Every block ends with a page of its own, so a prompt may take a page more per block; admission counts exactly. */
  #refuseBeyondPool(tokens: number): void {
    const needed = this.#pool.pagesFor(tokens);
    if (needed > this.#pages) throw new BlockstitchError('pool_too_small', { needed, pages: this.#pages });
  }

  #post(command: EngineCommand): void {
    this.#worker.postMessage(command);
  }

  #receive(news: EngineNews): void {
    for (const { key, tokens } of news.findable) {
      if (tokens === 0) this.#findable.delete(key);
      else this.#findable.set(key, tokens);
    }
    for (const load of news.loads) void this.#traffic.load(load);
    for (const save of news.saves) this.#traffic.save(save);
    for (const handle of news.abandoned) void this.#traffic.abandon(handle);
    for (const { id, event } of news.events) {
      const stream = this.#streams.get(id);
      if (stream === undefined) continue;
      if (event.type === 'admitted') stream.admitted = true;
      else if (event.type === 'failed') stream.fail(new BlockstitchError(event.code, event.details));
      else stream.push(event);
    }
    for (const { callId, dropped } of news.evicted) {
      this.#evictions.get(callId)?.(dropped);
      this.#evictions.delete(callId);
    }
    for (const ingested of news.ingested) void this.#ingested(ingested);
    for (const { jobId, reason } of news.failedJobs) {
      this.#jobs.get(jobId)?.reject(new BlockstitchError('engine_failed', { reason }));
    }
  }

  /** A block of an ingestion is in the pool; it counts once its save, where there was one, has ended. */
  async #ingested({ jobId, index, key, origin, save }: EngineNews['ingested'][number]): Promise<void> {
    if (save) await this.#traffic.saved(key);
    const job = this.#jobs.get(jobId);
    const block = job?.blocks[index];
    if (job === undefined || block === undefined || job.reports[index] !== undefined) return;
    const report: BlockReport = { key, tokens: block.tokenIds.length, origin, kind: block.kind };
    job.reports[index] = report;
    job.onBlock?.(report);
    if (--job.missing === 0) job.resolve();
  }

  #fail(reason: string): void {
    this.#failed ??= new BlockstitchError('engine_failed', { reason });
    for (const stream of this.#streams.values()) stream.fail(this.#failed);
    for (const job of this.#jobs.values()) job.reject(this.#failed);
    for (const resolve of this.#evictions.values()) resolve(0);
    this.#evictions.clear();
  }

  async #drained(graceMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}
