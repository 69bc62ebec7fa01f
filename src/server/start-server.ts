/**
 * Runs a server: listens at once, so that /health answers; then loads the model; at the end drains and closes.
 * Knows the order of starting and stopping; app.ts has the routes, open-services.ts has what they use.
 */
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import type { Cluster, Redis } from 'ioredis';
import type { Config } from '../config.js';
import { BlockstitchError } from '../errors.js';
import { buildApp } from './app.js';
import { watchEngine } from './engine-watch.js';
import { KeyRing } from './keys/key-ring.js';
import { SharedCounts } from './keys/minute-counts.js';
import { LaterSerializers } from './later-serializers.js';
import { Lifecycle } from './lifecycle.js';
import { ServerMetrics } from './metrics/server-metrics.js';
import { openServices, type StartProgress } from './open-services.js';
import type { Services } from './services.js';
import { openTracing } from './tracing/open-tracing.js';

export interface StartOptions {
  logger?: FastifyServerOptions['logger'];
  /** What loading is at, for a progress bar. */
  onProgress?: (progress: StartProgress) => void;
}

export interface RunningServer {
  /** `http://host:port`, without a slash at the end. */
  url: string;
  app: FastifyInstance;
  /** Resolves when requests are taken; rejects with what kept the model from loading. */
  ready: Promise<Services>;
  /** Reads the file of API keys again. @throws Error if it cannot be used; the keys stay as they were */
  reloadKeys(): Promise<void>;
  /** Resolves with the reason when the engine has been down for `config.maxDownMs`: the process is of no use any more. */
  gaveUp: Promise<string>;
  /**
   * Stops taking requests, lets the running ones finish within `graceMs`, then closes everything. Calling it again
   * waits for the first call.
   *
   * @returns requests that had to be aborted
   */
  close(graceMs?: number): Promise<number>;
}

/** Time to answer what was aborted at the end of a drain. */
const FLUSH_MS = 1000;
/** Then a connection has so long to end by itself. A client that does not read or does not send must not delay the end. */
const LINGER_MS = 500;

/** @throws BlockstitchError `config_invalid` if the address cannot be listened on */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const lifecycle = new Lifecycle();
  const metrics = new ServerMetrics(servedName(config));
  const keys = await KeyRing.ofConfig(config);
  // Keys are counted over all replicas, on a connection of their own: counts do not wait behind loads of blocks.
  const redis = keys.asksForKeys && config.redisUrl !== '' ? await connectForCounts(config) : undefined;
  const counts = redis === undefined ? {} : { counts: new SharedCounts(redis) };
  let lost: (error: unknown) => void = () => {};
  const tracing =
    config.otlpEndpoint === '' ? undefined : await openTracing(config.otlpEndpoint, (error) => lost(error));
  const serializers = new LaterSerializers();
  const own = { config, lifecycle, metrics, keys, serializers, tracing };
  const app = await buildApp({ ...own, ...counts, logger: options.logger ?? false });
  lost = (error) => app.log.warn({ err: error }, 'traces are not taken, these spans are lost');
  const stopLooking = keys.watch((error) => {
    if (error) app.log.warn({ err: error }, 'the file of API keys cannot be used, the keys stay as they were');
    else app.log.info('the file of API keys has been read again');
  });
  app.addHook('onClose', async () => {
    stopLooking();
    redis?.disconnect();
  });
  const url = await listen(app, config);
  const loading = new AbortController();
  let giveUp: (reason: string) => void = () => {};
  const gaveUp = new Promise<string>((resolve) => {
    giveUp = resolve;
  });
  let stopWatching = () => {};
  const ready = openServices(config, metrics, {
    signal: loading.signal,
    logger: app.log,
    storedBytesOf: (tag) => keys.storedBytesOf(tag),
    onNotice: (line) => app.log.warn(line),
    onProgress: (progress) => {
      lifecycle.starting(progress.doing);
      options.onProgress?.(progress);
    },
  }).then(
    (services) => {
      stopWatching = watchEngine(services.engine, { maxDownMs: config.maxDownMs, log: app.log, giveUp });
      lifecycle.ready(services);
      resumeJobs(services, app);
      serializers.compileAll().catch((error: unknown) => app.log.error({ err: error }, 'answers cannot be written'));
      return services;
    },
    (error: unknown) => {
      lifecycle.failed();
      throw error;
    },
  );
  ready.catch(() => {});
  let closing: Promise<number> | undefined;
  return {
    url,
    app,
    ready,
    gaveUp,
    reloadKeys: () => keys.reload(),
    close(graceMs = config.drainMs) {
      closing ??= closeAll(app, lifecycle, ready, loading, graceMs).finally(() => stopWatching());
      return closing;
    },
  };
}

/** Redis is loaded only where it is used. */
async function connectForCounts(config: Config): Promise<Redis | Cluster> {
  const { connectRedis } = await import('../cache/connect-redis.js');
  return connectRedis(config);
}

/** Goes on with what an earlier process was told to ingest. A store that cannot be asked now is asked again later. */
function resumeJobs({ documents }: Services, { log }: FastifyInstance): void {
  documents.jobs.resume().catch((error: unknown) => log.warn({ err: error }, 'background ingestions do not go on yet'));
}

/** The model's name in the API. */
export function servedName(config: Config): string {
  return config.servedName === '' ? basename(config.model) : config.servedName;
}

async function closeAll(
  app: FastifyInstance,
  lifecycle: Lifecycle,
  ready: Promise<Services>,
  loading: AbortController,
  graceMs: number,
): Promise<number> {
  loading.abort(new BlockstitchError('shutting_down'));
  const services = await ready.catch(() => undefined);
  const jobs = services?.documents.jobs.drain(graceMs);
  const aborted = await lifecycle.drain(graceMs);
  await jobs;
  await lifecycle.quiet(FLUSH_MS);
  await closeConnections(app);
  await services?.close(aborted > 0 ? 0 : graceMs);
  return aborted;
}

/** Idle connections are closed at once, the others when their answer is out or after `LINGER_MS`. */
async function closeConnections(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), LINGER_MS);
  await app.close();
  clearTimeout(timer);
}

async function listen(app: FastifyInstance, config: Config): Promise<string> {
  try {
    await app.listen({ host: config.host, port: config.port, backlog: Math.min(config.maxConnections, 65_535) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    await app.close();
    throw new BlockstitchError('config_invalid', { setting: '--host or --port', reason }, { cause });
  }
  const { port, address, family } = app.server.address() as AddressInfo;
  const host = address === '0.0.0.0' || address === '::' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${port}`;
}
