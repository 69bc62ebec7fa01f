/** The setup that a worker starts with, and its first messages. Knows shapes only. */
import type { ImportedModel } from '../../model/imported-model.js';
import type { EngineDevice } from '../../model/session-options.js';

export interface SchedulerPolicy {
  /** Most new tokens per step, >= maxRunning. */
  maxBatchTokens: number;
  /** Most prefill tokens in a step in which others decode: this bounds their time between tokens. */
  mixedPrefillTokens: number;
  /** Most ingestion tokens per step. */
  ingestTokens: number;
  /** Ingestion gets a slice of `ingestSliceTokens` in every n-th step of generation, so that it never starves. */
  ingestEverySteps: number;
  ingestSliceTokens: number;
  /** Most requests that run at once. */
  maxRunning: number;
}

export interface WorkerSetup {
  model: ImportedModel;
  /** Threads for matrix products. */
  threads: number;
  /** The GPU to run on; absent: the CPU. */
  device?: EngineDevice;
  /** The KV pool; absent if it is made after the model was loaded. */
  pool?: WorkerPool;
  pageTokens: number;
  /** The probe's own pool; absent for models that have no probe. Its last page is scratch. */
  probe?: { poolId: number; pages: number };
  policy: SchedulerPolicy;
  /** Whether tokens are proposed by prompt lookup, if the worker finds that a row never depends on the others. */
  promptLookup: boolean;
  /** Counters that both threads read, see `shared-counters.ts`. */
  counters: SharedArrayBuffer;
}

export interface WorkerPool {
  id: number;
  /** Pages that sequences and blocks may use. The page after them is scratch. */
  pages: number;
}

/** A worker without a pool says this when its model is loaded. The answer is a pool. */
export interface WorkerLoaded {
  loaded: true;
}

/** A worker says this when it takes commands. Later messages are `EngineNews`. */
export interface WorkerReady {
  ready: true;
  /** Rows of a step are padded to a multiple of this. Undefined: no padding keeps results independent of the batch. */
  rowMultiple: number | undefined;
}
