/**
 * The engine on the HTTP thread: checks requests, hands them to the worker, streams back what the worker says, and
 * gives everybody an answer when the worker dies. A worker that died is started again, with an empty pool.
 * Knows messages and waiting; pages and steps are the worker's, bytes `block-traffic.ts`'s, threads `worker-link.ts`'s.
 */
import { randomInt } from 'node:crypto';
import type { BlockKey, BlockRepository, CacheTier } from '../../cache/block-store.js';
import { BlockstitchError } from '../../errors.js';
import type { NativeAddon } from '../../kernels/native-addon.js';
import { type PlanBlock, promptTokens } from '../../prompt/prompt-plan.js';
import type { BlockReport, Engine, EngineStatistics, GenerateEvent, GenerateRequest } from '../engine.js';
import type { IngestSpec } from '../schedule/ingest-queue.js';
import type { EngineNews } from '../wire/messages.js';
import type { SharedCounters } from '../wire/shared-counters.js';
import { AdmissionGate } from './admission-gate.js';
import { BlockTraffic } from './block-traffic.js';
import type { EnginePool } from './engine-pool.js';
import { IngestJob } from './ingest-job.js';
import { PrefillSpeed } from './prefill-speed.js';
import { buildRequestSpec, pagesNeeded, sinkSpec } from './request-spec.js';
import { RequestStream } from './request-stream.js';
import type { StartWorker, WorkerLink } from './worker-link.js';

export interface HostOptions {
  addon: Pick<NativeAddon, 'readPages' | 'writePages' | 'payloadBytes'>;
  /** Asked for once the worker is ready: a pool may be made only then. */
  pool: Pick<EnginePool, 'id' | 'pages' | 'pageBytes'>;
  pageTokens: number;
  /** Positions a prompt and its answer may take together. */
  contextTokens: number;
  /** Whether repairs may choose by deviation. */
  canProbe: boolean;
  maxRunning: number;
  /** Requests that may wait. */
  maxQueue: number;
  maxSavingBytes: number;
  repository: BlockRepository;
  counters: SharedCounters;
  blockKey: Engine['blockKey'];
  startWorker: StartWorker;
  logger: EngineLogger;
  /** Frees the pool, once nothing uses it. */
  destroyPool: () => void;
}

export interface EngineLogger {
  info(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Worker starts in a row that may fail before the engine stays down. */
const MAX_RESTARTS = 3;
/** Keys hashed before the event loop gets a turn: some milliseconds. */
const KEYS_PER_TURN = 1024;
const LOWER_TIERS: readonly CacheTier[] = ['host', 'lmdb', 'redis'];

interface Running {
  link: WorkerLink;
  traffic: BlockTraffic;
}

export class EngineHost implements Engine {
  readonly #options: HostOptions;
  readonly #gate: AdmissionGate;
  readonly #streams = new Map<string, RequestStream>();
  readonly #jobs = new Map<string, IngestJob>();
  readonly #evictions = new Map<number, (dropped: number) => void>();
  /** Tokens of the blocks that the pool can find. */
  readonly #inPool = new Map<BlockKey, number>();
  #running: Running | undefined;
  #downReason = 'the engine is starting';
  #failuresInRow = 0;
  #nextCall = 1;
  #closing: Promise<void> | undefined;
  /** Of the last worker that died: over when its successor is up, or is known not to come up. */
  #recovery: Promise<void> | undefined;
  #onQuiet: (() => void) | undefined;

  private constructor(options: HostOptions) {
    this.#options = options;
    this.#gate = new AdmissionGate(options.maxRunning, options.maxQueue);
  }

  /** @throws what kept the worker from starting */
  static async start(options: HostOptions): Promise<EngineHost> {
    const host = new EngineHost(options);
    await host.#startWorker();
    return host;
  }

  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const { link } = this.#available();
    const { plan, sampling } = request;
    const { contextTokens, pool, pageTokens, counters } = this.#options;
    const prompt = promptTokens(plan);
    if (prompt + sampling.maxTokens > contextTokens) {
      const details = { promptTokens: prompt, maxTokens: sampling.maxTokens, contextTokens };
      throw new BlockstitchError('context_exceeded', details);
    }
    if (request.repair?.by === 'deviation' && !this.#options.canProbe) {
      const reason = 'Repairs by deviation need a model of two layers or more on the CPU; use `first`.';
      throw new BlockstitchError('invalid_request', { reason }, { param: 'attention.repair.by' });
    }
    if (this.#streams.has(request.id)) throw new TypeError(`request id ${request.id} is in use`);
    const spec = buildRequestSpec(request, this.blockKey, now(), randomInt(2 ** 32));
    const needed = pagesNeeded(spec, pageTokens);
    if (needed > pool.pages) throw new BlockstitchError('pool_too_small', { needed, pages: pool.pages });
    const outstanding = this.#streams.size;
    const admitted = [...this.#streams.values()].filter((stream) => stream.admitted).length;
    if (!this.#gate.admits({ outstanding, admitted, waitingInWorker: counters.get('waiting') })) {
      throw new BlockstitchError('queue_full', { waiting: outstanding - admitted, limit: this.#gate.maxQueue });
    }
    const stream = new RequestStream();
    this.#streams.set(request.id, stream);
    if (signal?.aborted) this.#endStream(request.id, { type: 'finish', reason: 'cancelled', generatedTokens: 0 });
    else link.post({ type: 'submit', request: spec });
    const cancel = () => this.#cancel(request.id, stream);
    signal?.addEventListener('abort', cancel, { once: true });
    return follow(stream, () => {
      signal?.removeEventListener('abort', cancel);
      cancel();
    });
  }

  async ingest(
    blocks: readonly PlanBlock[],
    options: { sinkTokenIds: Int32Array; cacheSalt?: string; onBlock?: (report: BlockReport) => void },
    signal?: AbortSignal,
  ): Promise<BlockReport[]> {
    const { link, traffic } = this.#available();
    if (signal?.aborted) throw new BlockstitchError('client_closed');
    if (blocks.length === 0) return [];
    const { pool, pageTokens, contextTokens } = this.#options;
    const sinkPages = Math.ceil(options.sinkTokenIds.length / pageTokens);
    const longest = Math.max(...blocks.map(({ tokenIds }) => tokenIds.length));
    if (longest + options.sinkTokenIds.length > contextTokens) {
      throw new BlockstitchError('context_exceeded', { promptTokens: longest, maxTokens: 0, contextTokens });
    }
    const needed = Math.ceil(longest / pageTokens) + sinkPages;
    if (needed > pool.pages) throw new BlockstitchError('pool_too_small', { needed, pages: pool.pages });
    const specs: IngestSpec['blocks'][number][] = [];
    for (const [index, { tokenIds, kind }] of blocks.entries()) {
      if (index % KEYS_PER_TURN === KEYS_PER_TURN - 1) await new Promise(setImmediate);
      specs.push({ key: this.blockKey(tokenIds, options.sinkTokenIds, options.cacheSalt), tokenIds, kind, index });
    }
    if (signal?.aborted) throw new BlockstitchError('client_closed');
    const jobId = `ingest-${this.#nextCall++}`;
    const job = new IngestJob(specs, traffic, options.onBlock);
    this.#jobs.set(jobId, job);
    const cancel = () => {
      link.post({ type: 'cancelIngest', jobId });
      job.fail(new BlockstitchError('client_closed'));
    };
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      const sinks = sinkSpec(options.sinkTokenIds, this.blockKey, options.cacheSalt);
      link.post({ type: 'ingest', spec: { jobId, sinks, blocks: specs } });
      return await job.reports;
    } finally {
      signal?.removeEventListener('abort', cancel);
      this.#jobs.delete(jobId);
      this.#quieten();
    }
  }

  blockKey = (tokenIds: Int32Array, sinkTokenIds: Int32Array, cacheSalt?: string): BlockKey =>
    this.#options.blockKey(tokenIds, sinkTokenIds, cacheSalt);

  async locate(keys: readonly BlockKey[]): Promise<{ tiers: CacheTier[]; tokens?: number; bytes?: number }[]> {
    const { repository, addon, pool } = this.#options;
    const below = await repository.locate(keys);
    return keys.map((key, index) => {
      const tokens = this.#inPool.get(key);
      const lower = below[index];
      const tiers: CacheTier[] = lower === undefined ? [] : [lower];
      if (tokens === undefined) return { tiers };
      return { tiers: ['pool', ...tiers], tokens, bytes: addon.payloadBytes(pool.id, tokens) };
    });
  }

  async evict(keys?: readonly BlockKey[], tiers: readonly CacheTier[] = ['pool', ...LOWER_TIERS]): Promise<number> {
    const { repository } = this.#options;
    const { link, traffic } = this.#available();
    const distinct = keys === undefined ? undefined : [...new Set(keys)];
    const places = distinct === undefined ? undefined : await this.locate(distinct);
    const found = places?.filter((place) => place.tiers.some((tier) => tiers.includes(tier))).length;
    let dropped = 0;
    if (tiers.includes('pool')) {
      const callId = this.#nextCall++;
      dropped = await new Promise<number>((resolve) => {
        this.#evictions.set(callId, resolve);
        link.post({ type: 'evict', callId, keys: distinct });
      });
    }
    if (LOWER_TIERS.some((tier) => tiers.includes(tier))) {
      await traffic.settle(distinct);
      const below = distinct === undefined ? await repository.clear() : await repository.delete(distinct);
      dropped = Math.max(dropped, below);
    }
    return found ?? dropped;
  }

  async statistics(): Promise<EngineStatistics> {
    const { counters, pool, pageTokens, repository } = this.#options;
    const { pages, pageBytes } = pool;
    const freePages = counters.get('freePages');
    const cachedPages = counters.get('cachedPages');
    return {
      running: counters.get('running'),
      waiting: counters.get('waiting'),
      pool: {
        pages,
        freePages,
        cachedPages,
        activePages: pages - freePages - cachedPages,
        pageTokens,
        pageBytes,
        cachedBlocks: counters.get('cachedBlocks'),
      },
      queriedTokens: counters.get('queriedTokens'),
      hitTokens: {
        pool: counters.get('hitPool'),
        host: counters.get('hitHost'),
        lmdb: counters.get('hitLmdb'),
        redis: counters.get('hitRedis'),
      },
      promptTokens: counters.get('promptTokens'),
      generatedTokens: counters.get('generatedTokens'),
      preemptions: counters.get('preemptions'),
      repairedTokens: counters.get('repairedTokens'),
      steps: counters.get('steps'),
      stepMs: counters.get('stepMs'),
      runMs: counters.get('runMs'),
      repository: await repository.statistics(),
    };
  }

  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#closeAll(graceMs);
    return this.#closing;
  }

  async #closeAll(graceMs: number): Promise<void> {
    if (graceMs > 0 && this.#busy) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#onQuiet = resolve;
        timer = setTimeout(resolve, graceMs);
      });
      clearTimeout(timer);
    }
    this.#failAll(() => new BlockstitchError('shutting_down'));
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) {
      await running.traffic.settle();
      await running.traffic.close();
      await running.link.close();
    }
    // A worker that is being started, or page copies of one that died, may still use the pool.
    await this.#recovery;
    this.#options.destroyPool();
  }

  get #busy(): boolean {
    return this.#streams.size > 0 || this.#jobs.size > 0;
  }

  #available(): Running {
    if (this.#closing !== undefined) throw new BlockstitchError('shutting_down');
    if (this.#running === undefined) throw new BlockstitchError('not_ready', { reason: this.#downReason });
    return this.#running;
  }

  async #startWorker(): Promise<void> {
    const { addon, pool, repository, maxSavingBytes, startWorker, logger, counters } = this.#options;
    const link = await startWorker({
      news: (news) => this.#take(news),
      failed: (error) => {
        this.#recovery = this.#workerFailed(error);
      },
    });
    const speed = new PrefillSpeed(counters);
    const traffic = new BlockTraffic({
      addon,
      poolId: pool.id,
      repository,
      maxSavingBytes,
      post: (command) => link.post(command),
      prefillMs: (tokens) => speed.estimateMs(tokens),
    });
    this.#running = { link, traffic };
    logger.info({ rowMultiple: link.rowMultiple }, 'engine worker ready');
  }

  /** Fails whoever waits, lets page copies end, and starts a new worker over the same, now empty, pool. */
  async #workerFailed(error: Error): Promise<void> {
    const { logger } = this.#options;
    const traffic = this.#running?.traffic;
    this.#running = undefined;
    this.#downReason = `the engine worker ended: ${error.message}`;
    logger.error({ err: error }, 'engine worker ended');
    this.#inPool.clear();
    this.#failAll(() => new BlockstitchError('engine_failed', { reason: error.message }, { cause: error }));
    await traffic?.close();
    while (this.#closing === undefined && this.#failuresInRow < MAX_RESTARTS) {
      this.#failuresInRow++;
      try {
        await this.#startWorker();
        if (this.#closing !== undefined) await this.#dropWorker();
        return;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        this.#downReason = `the engine worker cannot be started again: ${reason}`;
        logger.error({ err: cause }, 'engine worker cannot be started again');
      }
    }
  }

  async #dropWorker(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.link.close();
  }

  #take(news: EngineNews): void {
    const traffic = this.#running?.traffic;
    if (traffic === undefined) return;
    for (const { key, tokens } of news.findable) {
      if (tokens > 0) this.#inPool.set(key, tokens);
      else this.#inPool.delete(key);
    }
    for (const load of news.loads) void traffic.load(load);
    for (const handle of news.abandoned) void traffic.abandon(handle);
    for (const save of news.saves) traffic.save(save);
    for (const done of news.ingested) this.#jobs.get(done.jobId)?.done(done);
    for (const { jobId, reason } of news.failedJobs) {
      this.#jobs.get(jobId)?.fail(new BlockstitchError('engine_failed', { reason }));
    }
    for (const { callId, dropped } of news.evicted) {
      this.#evictions.get(callId)?.(dropped);
      this.#evictions.delete(callId);
    }
    for (const { id, event } of news.events) {
      const stream = this.#streams.get(id);
      if (stream === undefined) continue;
      if (event.type === 'admitted') stream.admitted = true;
      else if (event.type === 'failed') this.#failStream(id, new BlockstitchError(event.code, { ...event.details }));
      else if (event.type === 'finish') this.#endStream(id, event);
      else stream.push(event);
      if (event.type === 'token') this.#failuresInRow = 0;
    }
  }

  /** The caller hears at once; the worker frees the pages before its next step. */
  #cancel(id: string, stream: RequestStream): void {
    if (stream.ended || this.#streams.get(id) !== stream) return;
    this.#running?.link.post({ type: 'cancel', id });
    this.#endStream(id, { type: 'finish', reason: 'cancelled', generatedTokens: stream.tokens });
  }

  #endStream(id: string, event: Extract<GenerateEvent, { type: 'finish' }>): void {
    this.#streams.get(id)?.push(event);
    this.#streams.delete(id);
    this.#quieten();
  }

  #failStream(id: string, error: BlockstitchError): void {
    this.#streams.get(id)?.fail(error);
    this.#streams.delete(id);
    this.#quieten();
  }

  #failAll(error: () => BlockstitchError): void {
    for (const [id, stream] of this.#streams) {
      this.#running?.link.post({ type: 'cancel', id });
      stream.fail(error());
    }
    this.#streams.clear();
    for (const job of this.#jobs.values()) job.fail(error());
    for (const resolve of this.#evictions.values()) resolve(0);
    this.#evictions.clear();
    this.#quieten();
  }

  #quieten(): void {
    if (!this.#busy) this.#onQuiet?.();
  }
}

/** Milliseconds of the clock that both threads share. */
const now = () => performance.timeOrigin + performance.now();

async function* follow(stream: RequestStream, left: () => void): AsyncGenerator<GenerateEvent, void, void> {
  try {
    yield* stream.events();
  } finally {
    left();
  }
}
