/**
 * Prometheus metrics: vLLM's names under the prefix `blockstitch:`, plus cache hits, misses, bytes and load time by tier.
 * Counts what passes the HTTP thread, and reads the counts of the engine and the tiers at scrape time.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import type { CacheStatistics, StoreBrand, TierStatistics } from '../../cache/tiers.js';
import type { JobCounts } from '../../documents/job-queue.js';
import type { BlockReport, Engine, EngineState, EngineStatistics, GenerateEvent } from '../../engine/engine.js';
import { ERRORS } from '../../errors.js';
import { API_VERSION } from '../api-version.js';
import type { RedisConnection } from '../store-watch.js';
import { wireOrigin } from '../wire-tiers.js';
import { asOpenMetrics } from './open-metrics.js';
import { TenantTokens } from './tenant-tokens.js';

const SHORT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LONG_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320];
const TOKEN_COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];

/** From nearest to farthest. A request counts for the farthest tier that one of its blocks came from. */
const ORIGINS = ['pool', 'host', 'store', 'computed'] as const;

type Origin = (typeof ORIGINS)[number];

const ENDINGS = ['stop', 'length', 'abort', 'error'] as const;
const ENGINE_STATES = ['running', 'restarting', 'down'] as const;

export type Prefilled = Extract<GenerateEvent, { type: 'prefilled' }>;

/** What metrics are read from at scrape time. */
interface Measured {
  engine: Pick<Engine, 'statistics' | 'state'>;
  cache: { statistics(): Promise<CacheStatistics> };
  documents: { jobs: { counts(): Promise<JobCounts | undefined> } };
}

/** Follows one choice from submission to end; each method once, except `token`. */
export interface RequestObserver {
  prefilled(event: Prefilled): void;
  token(): void;
  finished(reason: 'stop' | 'length'): void;
  failed(reason: 'abort' | 'error'): void;
  /** Always last. */
  left(): void;
  /** Milliseconds from submission to the first token, once there is one. */
  readonly ttftMs: number | undefined;
  /** Tokens until now. */
  readonly tokens: number;
}

export class ServerMetrics {
  readonly registry = new Registry();
  /** What has exemplars, as OpenMetrics. */
  private readonly withExemplars = openMetricsRegistry();
  /** Tokens by tenant. */
  readonly tenants = new TenantTokens(this.registry);
  private brand: StoreBrand | undefined;

  private readonly timeToFirstToken = this.histogram(
    'time_to_first_token_seconds',
    'Submission to first token',
    LONG_SECONDS,
  );
  /** The same times: prom-client keeps exemplars in a registry of their own. */
  private readonly tracedTimeToFirstToken = new Histogram({
    name: 'blockstitch:time_to_first_token_seconds',
    help: 'Submission to first token',
    buckets: LONG_SECONDS,
    enableExemplars: true,
    registers: [this.withExemplars],
  });
  private readonly ttftByTier = this.histogram(
    'time_to_first_token_by_tier_seconds',
    'Submission to first token, by the farthest tier that a block of the request came from',
    LONG_SECONDS,
    ['tier'],
  );
  private readonly interToken = this.histogram('inter_token_latency_seconds', 'Time between two tokens', SHORT_SECONDS);
  private readonly endToEnd = this.histogram('e2e_request_latency_seconds', 'Submission to last token', LONG_SECONDS);
  private readonly queueTime = this.histogram('request_queue_time_seconds', 'Time in the queue', LONG_SECONDS);
  private readonly prefillTime = this.histogram('request_prefill_time_seconds', 'Time in prefill', LONG_SECONDS);
  private readonly decodeTime = this.histogram('request_decode_time_seconds', 'First to last token', LONG_SECONDS);
  private readonly promptLength = this.histogram('request_prompt_tokens', 'Prompt tokens of a request', TOKEN_COUNTS);
  private readonly generatedLength = this.histogram('request_generation_tokens', 'Tokens generated', TOKEN_COUNTS);
  private readonly success = this.counter('request_success_total', 'Requests by how they ended', ['finished_reason']);
  private readonly httpRequests = this.counter('http_requests_total', 'HTTP responses', ['method', 'route', 'status']);
  private readonly errors = this.counter('errors_total', 'Errors by code of the error table', ['code']);
  private readonly blockHits = this.counter('block_hits_total', 'Blocks of requests that were cached', ['tier']);
  private readonly blockMisses = this.counter('block_misses_total', 'Blocks of requests that had to be computed');
  private readonly ingestedBlocks = this.counter('ingested_blocks_total', 'Blocks of ingested documents', ['origin']);
  private readonly ingestedTokens = this.counter('ingested_tokens_total', 'Tokens of blocks of ingested documents', [
    'origin',
  ]);

  private readonly running = this.gauge('num_requests_running', 'Requests in the engine');
  private readonly waiting = this.gauge('num_requests_waiting', 'Requests in the queue');
  private readonly cacheUsage = this.gauge('kv_cache_usage_perc', 'Pages in use by requests, 0 to 1');
  private readonly cachedPages = this.gauge('kv_cache_cached_perc', 'Pages that hold cached blocks, 0 to 1');
  private readonly queries = this.counter('prefix_cache_queries_total', 'Prompt tokens that were looked up');
  private readonly hits = this.counter('prefix_cache_hits_total', 'Prompt tokens that were found cached');
  private readonly hitTokens = this.counter('cache_hit_tokens_total', 'Prompt tokens found, by tier', ['tier']);
  private readonly promptTokens = this.counter('prompt_tokens_total', 'Prompt tokens prefilled or found');
  private readonly generationTokens = this.counter('generation_tokens_total', 'Tokens generated');
  private readonly repairedTokens = this.counter('repaired_tokens_total', 'Cached tokens computed again in context');
  private readonly drafts = this.counter('spec_decode_num_drafts_total', 'Drafts that prompt lookup proposed');
  private readonly draftTokens = this.counter('spec_decode_num_draft_tokens_total', 'Tokens of these drafts');
  private readonly acceptedTokens = this.counter(
    'spec_decode_num_accepted_tokens_total',
    'Tokens of these drafts that came out',
  );
  private readonly preemptions = this.counter('num_preemptions_total', 'Requests set back to be recomputed');
  private readonly stepSeconds = this.counter('engine_step_seconds_total', 'Time in engine steps');
  private readonly runSeconds = this.counter('engine_run_seconds_total', 'Part of it inside ONNX Runtime');
  private readonly engineState = this.gauge('engine_state', '1 for the state that the engine is in, else 0', ['state']);
  private readonly engineRestarts = this.counter(
    'engine_restarts_total',
    'Times that an engine worker was started again',
  );
  private readonly jobs = this.gauge(
    'ingestion_jobs',
    'Background ingestions that have not ended; on Redis those of all replicas',
    ['state'],
  );
  private readonly tierEntries = this.gauge('tier_entries', 'Blocks in a tier', ['tier']);
  private readonly tierBytes = this.gauge('tier_bytes', 'Bytes in a tier', ['tier']);
  private readonly tierHits = this.counter('tier_hits_total', 'Blocks found in a tier', ['tier']);
  private readonly tierMisses = this.counter('tier_misses_total', 'Blocks not found in a tier', ['tier']);
  private readonly tierCorrupt = this.counter('tier_corrupt_total', 'Values that failed a check', ['tier']);
  private readonly tierLoadedBytes = this.counter('tier_loaded_bytes_total', 'Bytes loaded from a tier', ['tier']);
  private readonly tierLoadSeconds = this.counter('tier_load_seconds_total', 'Time loading from a tier', ['tier']);
  private readonly storeFailures = this.counter('store_failures_total', 'Calls of the store that failed', ['tier']);
  private readonly storeEvictions = this.counter('store_evictions_total', 'Blocks that left the store to make room', [
    'tier',
  ]);
  private readonly breaker = this.gauge('store_breaker_open', '1 while the store is given up for a time', ['tier']);

  private readonly buildInfo = this.gauge('build_info', 'Always 1; the labels say what runs', ['version', 'node']);
  private readonly redisConnected = this.gauge('redis_connected', '1 while the connection can be used, else 0', [
    'connection',
  ]);

  /** @param modelName label `model_name` of every metric, as vLLM has it */
  constructor(modelName: string) {
    for (const registry of [this.registry, this.withExemplars]) registry.setDefaultLabels({ model_name: modelName });
    for (const state of ENGINE_STATES) this.engineState.set({ state }, 0);
    // rate() misses the first event of a series that appears with it: what can be named before is there from the start.
    for (const finished_reason of ENDINGS) this.success.inc({ finished_reason }, 0);
    for (const code of Object.keys(ERRORS)) this.errors.inc({ code }, 0);
    this.buildInfo.set({ version: API_VERSION, node: process.version }, 1);
    collectDefaultMetrics({ register: this.registry });
  }

  /** @param brand the label of what comes from the store */
  storeOpened(brand: StoreBrand | undefined): void {
    this.brand = brand;
    for (const origin of ORIGINS) {
      const tier = this.named(origin);
      if (origin !== 'computed') this.blockHits.inc({ tier }, 0);
      this.ttftByTier.zero({ tier });
      this.ingestedBlocks.inc({ origin: tier }, 0);
      this.ingestedTokens.inc({ origin: tier }, 0);
    }
  }

  /** A route that answers may be counted for. */
  route(method: string, route: string): void {
    this.httpRequests.inc({ method, route, status: 200 }, 0);
  }

  /** The same as `render`, as OpenMetrics: times to first token name the trace of a request. */
  async renderOpen(services: Measured | undefined): Promise<{ type: string; text: string }> {
    const text = asOpenMetrics(await this.render(services), await this.withExemplars.metrics());
    return { type: Registry.OPENMETRICS_CONTENT_TYPE, text };
  }

  /** @returns Prometheus' text format; without services (not ready yet) only what the HTTP thread counts */
  async render(services: Measured | undefined): Promise<string> {
    if (services) {
      const { engine, cache, documents } = services;
      for (const [state, count] of Object.entries((await documents.jobs.counts()) ?? {}))
        this.jobs.set({ state }, count);
      this.take(engine.statistics(), await cache.statistics());
      this.takeState(engine.state);
    }
    this.tenants.zero();
    return this.registry.metrics();
  }

  response(method: string, route: string, status: number): void {
    this.httpRequests.inc({ method, route, status });
  }

  error(code: string): void {
    this.errors.inc({ code });
  }

  redisConnection(connection: RedisConnection, usable: boolean): void {
    this.redisConnected.set({ connection }, usable ? 1 : 0);
  }

  /** @param tenant its id */
  ingested({ origin, tokens }: Pick<BlockReport, 'origin' | 'tokens'>, tenant = ''): void {
    if (origin === 'computed') this.tenants.prefilled(tenant, tokens);
    else this.tenants.cached(tenant, tokens);
    this.ingestedBlocks.inc({ origin: this.named(origin) });
    this.ingestedTokens.inc({ origin: this.named(origin) }, tokens);
  }

  private named(origin: Origin): string {
    return wireOrigin(origin, this.brand);
  }

  /** Starts following one choice. @param tenant its id @param traceId of the trace that is kept of it, if one is */
  request(tenant = '', traceId?: string): RequestObserver {
    const started = performance.now();
    let lastToken: number | undefined;
    let firstToken: number | undefined;
    let farthest: Origin = 'pool';
    let tokens = 0;
    const seconds = (from: number, to: number) => (to - from) / 1000;
    const metrics = this;
    return {
      prefilled(event) {
        for (const { origin } of event.blocks) {
          if (origin === 'computed') metrics.blockMisses.inc();
          else metrics.blockHits.inc({ tier: metrics.named(origin) });
          if (ORIGINS.indexOf(origin) > ORIGINS.indexOf(farthest)) farthest = origin;
        }
        metrics.queueTime.observe(event.queueMs / 1000);
        metrics.prefillTime.observe(event.prefillMs / 1000);
        metrics.promptLength.observe(event.promptTokens);
        const repaired = event.blocks.reduce((sum, { repairedTokens = 0 }) => sum + repairedTokens, 0);
        metrics.tenants.prefilled(tenant, event.promptTokens - event.cachedTokens + repaired);
        metrics.tenants.cached(tenant, event.cachedTokens);
      },
      token() {
        const now = performance.now();
        tokens += 1;
        metrics.tenants.generated(tenant, 1);
        if (lastToken === undefined) {
          firstToken = now;
          const trace = traceId === undefined ? {} : { exemplarLabels: { trace_id: traceId } };
          metrics.timeToFirstToken.observe(seconds(started, now));
          metrics.tracedTimeToFirstToken.observe({ labels: {}, value: seconds(started, now), ...trace });
          metrics.ttftByTier.observe({ tier: metrics.named(farthest) }, seconds(started, now));
        } else metrics.interToken.observe(seconds(lastToken, now));
        lastToken = now;
      },
      finished(reason) {
        metrics.success.inc({ finished_reason: reason });
        metrics.endToEnd.observe(seconds(started, performance.now()));
        if (firstToken !== undefined) metrics.decodeTime.observe(seconds(firstToken, performance.now()));
      },
      failed(reason) {
        metrics.success.inc({ finished_reason: reason });
      },
      left() {
        metrics.generatedLength.observe(tokens);
      },
      get ttftMs() {
        return firstToken === undefined ? undefined : firstToken - started;
      },
      get tokens() {
        return tokens;
      },
    };
  }

  private takeState({ name, restarts }: EngineState): void {
    for (const state of ENGINE_STATES) this.engineState.set({ state }, state === name ? 1 : 0);
    setTotal(this.engineRestarts, restarts);
  }

  private take(statistics: EngineStatistics, { host, store }: CacheStatistics): void {
    const { pool } = statistics;
    this.running.set(statistics.running);
    this.waiting.set(statistics.waiting);
    this.cacheUsage.set(pool.pages === 0 ? 0 : pool.activePages / pool.pages);
    this.cachedPages.set(pool.pages === 0 ? 0 : pool.cachedPages / pool.pages);
    setTotal(this.queries, statistics.queriedTokens);
    setTotal(
      this.hits,
      Object.values(statistics.hitTokens).reduce((sum, tokens) => sum + tokens, 0),
    );
    setTotals(
      this.hitTokens,
      (['pool', 'host', 'store'] as const).map((tier) => [wireOrigin(tier, store?.brand), statistics.hitTokens[tier]]),
    );
    setTotal(this.promptTokens, statistics.promptTokens);
    setTotal(this.generationTokens, statistics.generatedTokens);
    setTotal(this.repairedTokens, statistics.repairedTokens);
    setTotal(this.drafts, statistics.drafts);
    setTotal(this.draftTokens, statistics.draftTokens);
    setTotal(this.acceptedTokens, statistics.acceptedTokens);
    setTotal(this.preemptions, statistics.preemptions);
    setTotal(this.stepSeconds, statistics.stepMs / 1000);
    setTotal(this.runSeconds, statistics.runMs / 1000);
    const tiers: [string, TierStatistics][] = [['host', host]];
    if (store) tiers.push([store.brand, store]);
    const each = (field: keyof TierStatistics): [string, number][] =>
      tiers.map(([tier, values]) => [tier, values[field]]);
    this.tierEntries.set({ tier: 'pool' }, pool.cachedBlocks);
    this.tierBytes.set({ tier: 'pool' }, pool.cachedPages * pool.pageBytes);
    for (const [tier, { entries, bytes }] of tiers) {
      this.tierEntries.set({ tier }, entries);
      this.tierBytes.set({ tier }, bytes);
    }
    setTotals(this.tierHits, each('hits'));
    setTotals(this.tierMisses, each('misses'));
    setTotals(this.tierCorrupt, each('corrupt'));
    setTotals(this.tierLoadedBytes, each('loadedBytes'));
    setTotals(this.tierLoadSeconds, each('loadSeconds'));
    if (store) {
      setTotals(this.storeFailures, [[store.brand, store.failures]]);
      setTotals(this.storeEvictions, [[store.brand, store.evicted]]);
      this.breaker.set({ tier: store.brand }, store.breaker === 'closed' ? 0 : 1);
    }
  }

  private counter<L extends string = never>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name: `blockstitch:${name}`, help, labelNames, registers: [this.registry] });
  }

  private gauge<L extends string = never>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name: `blockstitch:${name}`, help, labelNames, registers: [this.registry] });
  }

  private histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: L[] = [],
  ): Histogram<L> {
    return new Histogram({ name: `blockstitch:${name}`, help, buckets, labelNames, registers: [this.registry] });
  }
}

function openMetricsRegistry(): Registry<OpenMetricsContentType> {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}

function setTotal(counter: Counter<never>, total: number): void {
  counter.reset();
  counter.inc(total);
}

function setTotals(counter: Counter<'tier'>, totals: readonly (readonly [string, number])[]): void {
  counter.reset();
  for (const [tier, total] of totals) counter.inc({ tier }, total);
}
