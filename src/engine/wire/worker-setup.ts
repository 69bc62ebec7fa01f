/** What a worker is started with, and its first words. Knows shapes only. */
import type { ImportedModel } from '../../model/imported-model.js';
import type { EngineDevice } from '../../model/session-options.js';

export interface SchedulerPolicy {
  /** New tokens per step at most, >= maxRunning. */
  maxBatchTokens: number;
  /** Prefill tokens per step at most while others decode in the same step: bounds their time between tokens. */
  mixedPrefillTokens: number;
  /** Ingestion tokens per step at most. */
  ingestTokens: number;
  /** Ingestion gets a slice of `ingestSliceTokens` in every n-th step of generation, so that it is never starved. */
  ingestEverySteps: number;
  ingestSliceTokens: number;
  /** Requests running at once at most. */
  maxRunning: number;
}

export interface WorkerSetup {
  model: ImportedModel;
  /** Threads for matrix products. */
  threads: number;
  /** The GPU to run on; absent: the CPU. */
  device?: EngineDevice;
  /** The KV pool; absent where it is made after the model was loaded. */
  pool?: WorkerPool;
  pageTokens: number;
  /** The probe's own pool; absent for models that have no probe. Its last page is scratch. */
  probe?: { poolId: number; pages: number };
  policy: SchedulerPolicy;
  /** Counters that both threads read, see `shared-counters.ts`. */
  counters: SharedArrayBuffer;
}

export interface WorkerPool {
  id: number;
  /** Pages that sequences and blocks may use; the page behind them is scratch. */
  pages: number;
}

/** What a worker without a pool says when its model is loaded; it is answered with a pool. */
export interface WorkerLoaded {
  loaded: true;
}

/** What a worker says when it takes commands. Later messages are `EngineNews`. */
export interface WorkerReady {
  ready: true;
  /** Rows of a step are padded to a multiple of this; undefined: results depend on the batch whatever the padding. */
  rowMultiple: number | undefined;
}
