/**
 * Puts an engine together on the HTTP thread: addon, KV pool, counters, worker. Call it before anything loads
 * onnxruntime-node (the addon must come first).
 * Knows how the parts fit; what they do is theirs.
 */
import { blockKey } from '../blocks/block-key.js';
import type { BlockRepository } from '../blocks/block-store.js';
import { BlockstitchError } from '../errors.js';
import { loadAddon } from '../kernels/load-addon.js';
import type { KvDtype } from '../kernels/native-addon.js';
import type { ImportedModel } from '../model/imported-model.js';
import type { Engine } from './engine.js';
import { EngineHost, type EngineLogger } from './engine-host.js';
import type { SchedulerPolicy } from './scheduler.js';
import { SharedCounters } from './shared-counters.js';
import { workerStarter } from './worker-link.js';

export interface EngineOptions {
  model: ImportedModel;
  repository: BlockRepository;
  kvDtype: KvDtype;
  /** Size of the KV pool in bytes; two pages at least. */
  kvMemoryBytes: number;
  /** Threads for matrix products, >= 1. */
  threads: number;
  /** Told of what the engine survived; silent by default. */
  logger?: EngineLogger;
  policy?: Partial<SchedulerPolicy>;
  /** Requests that may wait. */
  maxQueue?: number;
  /** Token slots per page, a positive multiple of 16. */
  pageTokens?: number;
}

const MAX_SAVING_BYTES = 256 * 1024 * 1024;

const SILENT: EngineLogger = { info: () => {}, error: () => {} };

const POLICY: SchedulerPolicy = {
  maxBatchTokens: 512,
  mixedPrefillTokens: 256,
  ingestTokens: 512,
  ingestEverySteps: 8,
  ingestSliceTokens: 64,
  maxRunning: 32,
};

/** @throws BlockstitchError `native_unavailable`, `config_invalid` (pool too small), or what kept the worker from starting */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { model, kvDtype, kvMemoryBytes, threads, pageTokens = 16 } = options;
  const addon = loadAddon();
  const { layers, kvHeads, headDim } = model.config;
  const shape = { pageTokens, layers, kvHeads, headDim, dtype: kvDtype };
  const sample = addon.createPool({ ...shape, pages: 1 });
  const pageBytes = addon.pageBytes(sample);
  addon.destroyPool(sample);
  // One page is scratch, for padding rows.
  const pages = Math.floor(kvMemoryBytes / pageBytes) - 1;
  if (pages < 1) {
    const reason = `${kvMemoryBytes} bytes hold fewer than two pages of ${pageBytes} bytes`;
    throw new BlockstitchError('config_invalid', { setting: '--kv-memory', reason });
  }
  const poolId = addon.createPool({ ...shape, pages: pages + 1 });
  // One layer deep, touched only by the probes of repairs; one page is scratch.
  const probePages = Math.ceil(model.config.maxPositions / pageTokens);
  const probe =
    model.probePath === undefined
      ? undefined
      : { poolId: addon.createPool({ ...shape, layers: 1, pages: probePages + 1 }), pages: probePages };
  const destroyPool = () => {
    addon.destroyPool(poolId);
    if (probe !== undefined) addon.destroyPool(probe.poolId);
  };
  const counters = new SharedCounters();
  const policy = { ...POLICY, ...options.policy };
  policy.maxBatchTokens = Math.max(policy.maxBatchTokens, policy.maxRunning);
  try {
    return await EngineHost.start({
      addon,
      poolId,
      pages,
      pageTokens,
      pageBytes,
      contextTokens: model.config.maxPositions,
      canProbe: probe !== undefined,
      maxRunning: policy.maxRunning,
      maxQueue: options.maxQueue ?? 256,
      maxSavingBytes: MAX_SAVING_BYTES,
      repository: options.repository,
      counters,
      blockKey: (tokenIds, sinkTokenIds, cacheSalt) =>
        blockKey({
          fingerprint: model.fingerprint,
          kvDtype,
          sinkTokenIds,
          tokenIds,
          ...(cacheSalt === undefined ? {} : { cacheSalt }),
        }),
      startWorker: workerStarter({
        model,
        threads,
        poolId,
        pages,
        pageTokens,
        ...(probe === undefined ? {} : { probe }),
        policy,
        counters: counters.buffer,
      }),
      logger: options.logger ?? SILENT,
      destroyPool,
    });
  } catch (error) {
    destroyPool();
    throw error;
  }
}
