/**
 * Runs a server: listens at once (so that /health answers), loads the model behind that, drains and closes.
 * Knows the order of starting and stopping; what the routes do is app.ts, what they stand on is open-services.ts.
 */
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import type { Config } from '../config.js';
import { BlockstitchError } from '../errors.js';
import { buildApp } from './app.js';
import { Lifecycle } from './lifecycle.js';
import { ServerMetrics } from './metrics/server-metrics.js';
import { openServices, type StartProgress } from './open-services.js';
import type { Services } from './services.js';

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
  /**
   * Stops taking requests, lets the running ones finish within `graceMs`, then closes everything. Calling it again
   * waits for the first call.
   *
   * @returns requests that had to be aborted
   */
  close(graceMs?: number): Promise<number>;
}

/** @throws BlockstitchError `config_invalid` where the address cannot be listened on */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const lifecycle = new Lifecycle();
  const metrics = new ServerMetrics(servedName(config));
  const app = await buildApp({ config, lifecycle, metrics, logger: options.logger ?? false });
  const url = await listen(app, config);
  const loading = new AbortController();
  const ready = openServices(config, metrics, {
    signal: loading.signal,
    logger: app.log,
    onNotice: (line) => app.log.warn(line),
    onProgress: (progress) => {
      lifecycle.starting(progress.doing);
      options.onProgress?.(progress);
    },
  }).then(
    (services) => {
      lifecycle.ready(services);
      return services;
    },
    (error: unknown) => {
      lifecycle.failed(error instanceof Error ? error.message : String(error));
      throw error;
    },
  );
  ready.catch(() => {});
  let closing: Promise<number> | undefined;
  return {
    url,
    app,
    ready,
    close(graceMs = config.drainMs) {
      closing ??= closeAll(app, lifecycle, ready, loading, graceMs);
      return closing;
    },
  };
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
  const aborted = await lifecycle.drain(graceMs);
  await app.close();
  await services?.close(aborted > 0 ? 0 : graceMs);
  return aborted;
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
