/**
 * The engine on the HTTP thread: checks requests, hands them to the worker, streams the worker's events back, and gives
 * everybody an answer if the worker dies.
 * Knows requests and ingestions by the handles that it makes. The worker knows pages and steps, `block-traffic.ts`
 * moves bytes, `worker-life.ts` knows whether the worker lives, and the cache knows where blocks are kept.
 *
 * Words: link = the line to the worker; traffic = blocks that move between pages and cache; lease = the right to
 * compute a block that other replicas wait for; mirror = the host's copy of what the pool has.
 */
import { randomInt } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { BlockCache } from '../../cache/block-cache.js';
import type { BlockKey, CacheScope } from '../../cache/tiers.js';
import { BlockstitchError } from '../../errors.js';
import type { GrammarService } from '../../grammar/grammar-service.js';
import type { GrammarLine } from '../../grammar/mask-link.js';
import type { NativeAddon } from '../../kernels/native-addon.js';
import { type PlanBlock, promptTokens } from '../../prompt/prompt-plan.js';
import type {
  BlockReport,
  Engine,
  EngineState,
  EngineStatistics,
  GenerateEvent,
  GenerateRequest,
  IngestOptions,
} from '../engine.js';
import type { EngineNews } from '../wire/messages.js';
import type { SharedCounters } from '../wire/shared-counters.js';
import type { Handle, IngestSpec } from '../wire/specs.js';
import { AdmissionGate } from './admission-gate.js';
import { BlockTraffic } from './block-traffic.js';
import type { EnginePool } from './engine-pool.js';
import { engineStatistics } from './engine-statistics.js';
import { IngestJob } from './ingest-job.js';
import { PoolMirror } from './pool-mirror.js';
import { PrefillSpeed } from './prefill-speed.js';
import { buildRequestSpec, pagesNeeded, sinkSpec } from './request-spec.js';
import { RequestStream } from './request-stream.js';
import { type EngineLogger, WorkerLife, type WorkerLifeOptions } from './worker-life.js';
import type { StartWorker, WorkerLink } from './worker-link.js';

export interface HostOptions {
  addon: Pick<NativeAddon, 'readPages' | 'writePages' | 'payloadBytes'>;
  /** Read only when the worker is ready: the pool may be made as late as that. */
  pool: Pick<EnginePool, 'id' | 'pages' | 'pageBytes'>;
  pageTokens: number;
  /** Positions that a prompt and its answer may take together. */
  contextTokens: number;
  /** Rows of the embedding. An id at or above it would fail a step. */
  vocabSize: number;
  /** Whether repairs may choose by deviation. */
  canProbe: boolean;
  maxRunning: number;
  /** Requests that may wait. */
  maxQueue: number;
  maxSavingBytes: number;
  cache: BlockCache;
  counters: SharedCounters;
  blockKey: Engine['blockKey'];
  startWorker: StartWorker;
  /** Where grammars of requests are followed; absent: there are none. */
  grammars?: Pick<GrammarService, 'addEngine'>;
  logger: EngineLogger;
  /** Frees the pool when nothing uses it. */
  destroyPool: () => void;
  /** For tests; see `WorkerLifeOptions`. */
  life?: Pick<WorkerLifeOptions, 'backoffMs' | 'now'>;
}

/** Keys hashed before the event loop gets a turn: some milliseconds. */
const KEYS_PER_TURN = 1024;

export class EngineHost implements Engine {
  readonly #options: HostOptions;
  readonly #gate: AdmissionGate;
  readonly #life: WorkerLife;
  readonly #mirror: PoolMirror;
  readonly #leaveCache: () => void;
  #leaveGrammars: () => void = () => undefined;
  readonly #streams = new Map<Handle, RequestStream>();
  readonly #jobs = new Map<Handle, IngestJob>();
  /** Traffic of the running worker. */
  #traffic: BlockTraffic | undefined;
  #nextHandle: Handle = 1;
  #closing: Promise<void> | undefined;
  #onQuiet: (() => void) | undefined;

  private constructor(options: HostOptions) {
    this.#options = options;
    this.#gate = new AdmissionGate(options.maxRunning, options.maxQueue);
    this.#life = new WorkerLife({
      startWorker: options.startWorker,
      logger: options.logger,
      up: (link) => this.#workerUp(link),
      news: (news) => this.#take(news),
      lost: (error) => this.#workerLost(error),
      ...options.life,
    });
    this.#mirror = new PoolMirror(
      (tokens) => options.addon.payloadBytes(options.pool.id, tokens),
      () => this.#life.link,
    );
    this.#leaveCache = options.cache.addPool(this.#mirror);
  }

  /** @throws what kept the worker from starting */
  static async start(options: HostOptions): Promise<EngineHost> {
    const host = new EngineHost(options);
    try {
      await host.#life.start();
    } catch (error) {
      host.#leaveCache();
      throw error;
    }
    return host;
  }

  get state(): EngineState {
    return this.#life.state;
  }

  onStateChange(listener: (state: EngineState) => void): () => void {
    return this.#life.onChange(listener);
  }

  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const { link } = this.#available();
    const { plan, sampling } = request;
    const { contextTokens, pool, pageTokens, counters } = this.#options;
    const prompt = promptTokens(plan);
    if (prompt + sampling.maxTokens > contextTokens) {
      const details = { promptTokens: prompt, asked: ` and ${sampling.maxTokens} more are asked for`, contextTokens };
      throw new BlockstitchError('context_length_exceeded', details);
    }
    if (request.repair?.by === 'deviation' && !this.#options.canProbe) {
      const reason = 'Repairs by deviation need a model of two layers or more on the CPU; use `first`.';
      throw new BlockstitchError('invalid_request', { reason }, { param: 'attention.repair.by' });
    }
    this.#checkIds(idsOf(request));
    const handle = this.#nextHandle++;
    const spec = buildRequestSpec(handle, request, this.blockKey, now(), randomInt(2 ** 32));
    const needed = pagesNeeded(spec, pageTokens);
    if (needed > pool.pages) throw new BlockstitchError('pool_too_small', { needed, pages: pool.pages });
    const outstanding = this.#streams.size;
    const admitted = [...this.#streams.values()].filter((stream) => stream.admitted).length;
    if (!this.#gate.admits({ outstanding, admitted, waitingInWorker: counters.get('waiting') })) {
      throw new BlockstitchError('queue_full', { waiting: outstanding - admitted, limit: this.#gate.maxQueue });
    }
    const stream = new RequestStream();
    this.#streams.set(handle, stream);
    if (signal?.aborted) this.#endStream(handle, { type: 'finish', reason: 'cancelled', generatedTokens: 0 });
    else link.post({ type: 'submit', request: spec });
    const cancel = () => this.#cancel(handle);
    signal?.addEventListener('abort', cancel, { once: true });
    return follow(stream, () => {
      signal?.removeEventListener('abort', cancel);
      cancel();
    });
  }

  async ingest(blocks: readonly PlanBlock[], options: IngestOptions, signal?: AbortSignal): Promise<BlockReport[]> {
    const { link, traffic } = this.#available();
    if (signal?.aborted) throw new BlockstitchError('client_closed');
    if (blocks.length === 0) return [];
    const { sinkTokenIds, scope, onBlock } = options;
    this.#checkIngest(blocks, sinkTokenIds);
    const specs: IngestSpec['blocks'][number][] = [];
    for (const [index, { tokenIds, kind }] of blocks.entries()) {
      if (index % KEYS_PER_TURN === KEYS_PER_TURN - 1) await new Promise(setImmediate);
      specs.push({ key: this.blockKey(tokenIds, sinkTokenIds, scope), tokenIds, kind, index });
    }
    if (signal?.aborted) throw new BlockstitchError('client_closed');
    const handle = this.#nextHandle++;
    const job = new IngestJob(specs, traffic, onBlock);
    this.#jobs.set(handle, job);
    const cancel = () => job.fail(new BlockstitchError('client_closed'));
    signal?.addEventListener('abort', cancel, { once: true });
    const watch = this.#options.cache.watch(specs.map(({ key }) => key));
    try {
      const sinks = sinkSpec(sinkTokenIds, this.blockKey, scope);
      link.post({ type: 'ingest', spec: { handle, sinks, blocks: specs } });
      const reports = await job.reports;
      if (watch.forgotten()) throw new BlockstitchError('deleted_meanwhile');
      return reports;
    } catch (error) {
      // Nobody needs the rest of an ingestion that failed.
      link.post({ type: 'cancelIngest', handle });
      throw error;
    } finally {
      watch.end();
      signal?.removeEventListener('abort', cancel);
      this.#jobs.delete(handle);
      this.#quieten();
    }
  }

  blockKey = (tokenIds: Int32Array, sinkTokenIds: Int32Array, scope?: CacheScope) =>
    this.#options.blockKey(tokenIds, sinkTokenIds, scope);

  statistics(): EngineStatistics {
    return engineStatistics(this.#options);
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
    // Waits for the saves of computed blocks, while the worker is still there to free their pages.
    await this.#traffic?.settle();
    await this.#traffic?.close();
    this.#leaveGrammars();
    await this.#life.close();
    this.#mirror.clear();
    this.#leaveCache();
    this.#options.destroyPool();
  }

  get #busy(): boolean {
    return this.#streams.size > 0 || this.#jobs.size > 0;
  }

  #available(): { link: WorkerLink; traffic: BlockTraffic } {
    if (this.#closing !== undefined) throw new BlockstitchError('shutting_down');
    const { link, state } = this.#life;
    if (link === undefined || this.#traffic === undefined) {
      throw new BlockstitchError('not_ready', { reason: state.reason });
    }
    return { link, traffic: this.#traffic };
  }

  #checkIngest(blocks: readonly PlanBlock[], sinkTokenIds: Int32Array): void {
    const { pool, pageTokens, contextTokens } = this.#options;
    const longest = blocks.reduce((most, { tokenIds }) => Math.max(most, tokenIds.length), 0);
    if (longest + sinkTokenIds.length > contextTokens) {
      throw new BlockstitchError('context_length_exceeded', { promptTokens: longest, asked: '', contextTokens });
    }
    const needed = Math.ceil(longest / pageTokens) + Math.ceil(sinkTokenIds.length / pageTokens);
    if (needed > pool.pages) throw new BlockstitchError('pool_too_small', { needed, pages: pool.pages });
    this.#checkIds([sinkTokenIds, ...blocks.map(({ tokenIds }) => tokenIds)]);
  }

  /** An id outside the vocabulary would fail the step of every request in it. */
  #checkIds(parts: readonly Int32Array[]): void {
    const { vocabSize } = this.#options;
    for (const ids of parts) {
      for (const id of ids) {
        if (id >= 0 && id < vocabSize) continue;
        const reason = `The prompt has the token id ${id}; the model's ids go from 0 to ${vocabSize - 1}.`;
        throw new BlockstitchError('invalid_request', { reason });
      }
    }
  }

  #workerUp(link: WorkerLink): void {
    const { addon, pool, cache, maxSavingBytes, counters } = this.#options;
    const speed = new PrefillSpeed(counters);
    this.#traffic = new BlockTraffic({
      addon,
      poolId: pool.id,
      cache,
      maxSavingBytes,
      post: (command) => link.post(command),
      prefillMs: (tokens) => speed.estimateMs(tokens),
    });
    this.#leaveGrammars();
    const connect = (port: MessagePort, line: GrammarLine) => link.post({ type: 'grammars', port, line }, [port]);
    this.#leaveGrammars = this.#options.grammars?.addEngine(connect) ?? (() => undefined);
  }

  /** Fails all requests and ingestions, and waits for page copies: the next worker gets the same pool, empty. */
  async #workerLost(error: Error): Promise<void> {
    const traffic = this.#traffic;
    this.#traffic = undefined;
    this.#leaveGrammars();
    this.#mirror.clear();
    this.#options.counters.clearGauges();
    this.#failAll(() => new BlockstitchError('engine_failed', { reason: error.message }, { cause: error }));
    await traffic?.close();
  }

  #take(news: EngineNews): void {
    const traffic = this.#traffic;
    if (traffic === undefined) return;
    this.#mirror.take(news);
    for (const load of news.loads) void traffic.load(load);
    for (const stay of news.abandoned) void traffic.abandon(stay);
    for (const save of news.saves) traffic.save(save);
    // After the saves: those that were ordered before the forget are then on record.
    this.#mirror.carriedOut(news.forgotten);
    for (const done of news.ingested) this.#jobs.get(done.handle)?.done(done);
    for (const { handle, reason } of news.failedIngests) {
      this.#jobs.get(handle)?.fail(new BlockstitchError('engine_failed', { reason }));
    }
    for (const { handle, event } of news.events) {
      const stream = this.#streams.get(handle);
      if (stream === undefined) continue;
      if (event.type === 'admitted') stream.admitted = true;
      else if (event.type === 'failed')
        this.#failStream(handle, new BlockstitchError(event.code, { ...event.details }));
      else if (event.type === 'finish') this.#endStream(handle, event);
      else {
        if (event.type === 'prefilled') this.#options.cache.used(keysInPool(event.blocks));
        stream.push(event);
      }
    }
  }

  /** Ends the stream at once. The worker frees the pages before its next step. */
  #cancel(handle: Handle): void {
    const stream = this.#streams.get(handle);
    if (stream === undefined) return;
    this.#life.link?.post({ type: 'cancel', handle });
    this.#endStream(handle, { type: 'finish', reason: 'cancelled', generatedTokens: stream.tokens });
  }

  #endStream(handle: Handle, event: Extract<GenerateEvent, { type: 'finish' }>): void {
    this.#streams.get(handle)?.push(event);
    this.#streams.delete(handle);
    this.#quieten();
  }

  #failStream(handle: Handle, error: BlockstitchError): void {
    this.#streams.get(handle)?.fail(error);
    this.#streams.delete(handle);
    this.#quieten();
  }

  #failAll(error: () => BlockstitchError): void {
    for (const [handle, stream] of this.#streams) {
      this.#life.link?.post({ type: 'cancel', handle });
      stream.fail(error());
    }
    this.#streams.clear();
    for (const job of this.#jobs.values()) job.fail(error());
    this.#quieten();
  }

  #quieten(): void {
    if (!this.#busy) this.#onQuiet?.();
  }
}

/** Milliseconds of the clock that both threads share. */
const now = () => performance.timeOrigin + performance.now();

function idsOf({ plan, predicted = new Int32Array() }: GenerateRequest): Int32Array[] {
  const { sinkTokenIds, blocks, finalTokenIds } = plan;
  return [sinkTokenIds, ...blocks.map(({ tokenIds }) => tokenIds), finalTokenIds, predicted];
}

async function* follow(stream: RequestStream, left: () => void): AsyncGenerator<GenerateEvent, void, void> {
  try {
    yield* stream.events();
  } finally {
    left();
  }
}

/** Nobody asks the store for these, so it has to be told that they are used. */
function keysInPool(blocks: readonly BlockReport[]): BlockKey[] {
  return blocks.filter(({ origin }) => origin === 'pool').map(({ key }) => key);
}
