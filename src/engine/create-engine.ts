/**
 * Puts an engine together on the HTTP thread: addon, KV pool, counters, worker. Call it before anything loads
 * onnxruntime-node (the addon must come first).
 * Knows how the parts fit together, not what they do.
 */
import type { BlockCache } from '../cache/block-cache.js';
import { blockKey } from '../cache/block-key.js';
import type { GrammarService } from '../grammar/grammar-service.js';
import { loadAddon } from '../kernels/load-addon.js';
import type { KvDtype } from '../kernels/native-addon.js';
import type { ImportedModel } from '../model/imported-model.js';
import type { EngineDevice } from '../model/session-options.js';
import type { Engine } from './engine.js';
import { EngineHost } from './host/engine-host.js';
import { EnginePool } from './host/engine-pool.js';
import type { EngineLogger } from './host/worker-life.js';
import { workerStarter } from './host/worker-link.js';
import { SharedCounters } from './wire/shared-counters.js';
import type { SchedulerPolicy } from './wire/worker-setup.js';

export interface EngineOptions {
  model: ImportedModel;
  /** Where blocks are kept; several engines may share it. */
  cache: BlockCache;
  kvDtype: KvDtype;
  /** Size of the KV pool in bytes, at least two pages. 0 takes 1 GiB of host memory, or the free memory of a GPU. */
  kvMemoryBytes: number;
  /** The GPU to run on; absent: the CPU. */
  device?: EngineDevice;
  /** Threads for matrix products, >= 1. */
  threads: number;
  /** Logs worker starts and ends; silent by default. */
  logger?: EngineLogger;
  policy?: Partial<SchedulerPolicy>;
  /**
   * Whether tokens are proposed by prompt lookup. Answers are the same, so it is off where that is not certain: on GPUs,
   * and where the rounding of a row depends on other rows. Default: false.
   */
  promptLookup?: boolean;
  /** Where grammars of requests are followed; absent: there are none. */
  grammars?: Pick<GrammarService, 'addEngine'>;
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

/**
 * @throws BlockstitchError `native_unavailable`, `config_invalid` (the pool is too small, or there is no memory for
 *   it), or the error that kept the worker from starting
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { model, kvDtype, kvMemoryBytes, threads, pageTokens = 16 } = options;
  const addon = loadAddon();
  const { layers, kvHeads, headDim } = model.config;
  const shape = { pageTokens, layers, kvHeads, headDim, dtype: kvDtype };
  const onDevice = options.device === undefined ? {} : { device: options.device.number };
  const pool = new EnginePool({ addon, shape: { ...shape, ...onDevice }, kvMemoryBytes });
  // One layer deep, for the probes of repairs only. They compare with pages in host memory. One page is scratch.
  const probePages = Math.ceil(model.config.maxPositions / pageTokens);
  const probe =
    model.probePath === undefined || options.device !== undefined
      ? undefined
      : { poolId: addon.createPool({ ...shape, layers: 1, pages: probePages + 1 }), pages: probePages };
  const destroyPool = () => {
    pool.destroy();
    if (probe !== undefined) addon.destroyPool(probe.poolId);
  };
  const counters = new SharedCounters();
  const policy = { ...POLICY, ...options.policy };
  policy.maxBatchTokens = Math.max(policy.maxBatchTokens, policy.maxRunning);
  try {
    return await EngineHost.start({
      addon,
      pool,
      pageTokens,
      contextTokens: model.config.maxPositions,
      vocabSize: model.config.vocabSize,
      canProbe: probe !== undefined,
      maxRunning: policy.maxRunning,
      maxQueue: options.maxQueue ?? 256,
      maxSavingBytes: MAX_SAVING_BYTES,
      cache: options.cache,
      counters,
      blockKey: (tokenIds, sinkTokenIds, scope) =>
        blockKey({
          fingerprint: model.fingerprint,
          kvDtype,
          sinkTokenIds,
          tokenIds,
          ...(scope === undefined ? {} : { scope }),
        }),
      startWorker: workerStarter(
        {
          model,
          threads,
          ...(options.device === undefined ? {} : { device: options.device }),
          ...(pool.sizedByModel ? {} : { pool: pool.make() }),
          pageTokens,
          ...(probe === undefined ? {} : { probe }),
          policy,
          promptLookup: options.promptLookup ?? false,
          counters: counters.buffer,
        },
        () => pool.make(),
      ),
      ...(options.grammars === undefined ? {} : { grammars: options.grammars }),
      logger: options.logger ?? SILENT,
      destroyPool,
    });
  } catch (error) {
    destroyPool();
    throw error;
  }
}
