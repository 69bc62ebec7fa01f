/**
 * What the HTTP thread and the worker say to one another. Plain data, structured-cloneable; typed arrays own their buffers.
 * Knows shapes only.
 */
import type { BlockKey, CacheTier } from '../../cache/block-store.js';
import type { ErrorCode } from '../../errors.js';
import type { ImportedModel } from '../../model/imported-model.js';
import type { EngineDevice } from '../../model/session-options.js';
import type { GenerateEvent } from '../engine.js';
import type { IngestSpec } from '../schedule/ingest-queue.js';
import type { SchedulerPolicy } from '../schedule/scheduler.js';
import type { RequestSpec } from '../schedule/sequence.js';

/** What a worker is started with. */
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

export type EngineCommand =
  | { type: 'submit'; request: RequestSpec }
  | { type: 'cancel'; id: string }
  | { type: 'ingest'; spec: IngestSpec }
  | { type: 'cancelIngest'; jobId: string }
  /** The tiers below answered for a block that was asked for; its pages are filled when `tier` is given. */
  | { type: 'settled'; handle: number; tier: Exclude<CacheTier, 'pool'> | undefined }
  /** A block's pages were copied out. */
  | { type: 'copied'; handle: number }
  | { type: 'evict'; callId: number; keys: readonly BlockKey[] | undefined }
  | { type: 'close' };

/** A block whose pages are to be filled, or copied out. */
export interface PageTransfer {
  handle: number;
  key: BlockKey;
  pages: Int32Array;
  tokens: number;
}

export interface SaveOrder extends PageTransfer {
  /** Somebody waits until it is durable. */
  durable: boolean;
  /** Give its lease back once it is saved. */
  leased: boolean;
}

export type RequestEvent =
  | { type: 'admitted' }
  | GenerateEvent
  | { type: 'failed'; code: ErrorCode; details: Record<string, string | number> };

/** Everything that happened in one turn of the worker's loop, in one message. */
export interface EngineNews {
  events: { id: string; event: RequestEvent }[];
  ingested: { jobId: string; index: number; key: BlockKey; origin: CacheTier | 'computed'; save: boolean }[];
  failedJobs: { jobId: string; reason: string }[];
  loads: PageTransfer[];
  saves: SaveOrder[];
  /** Handles of leased blocks that were given up. */
  abandoned: number[];
  /** In order: blocks that became findable in the pool; with tokens 0, no longer are. */
  findable: { key: BlockKey; tokens: number }[];
  evicted: { callId: number; dropped: number }[];
}

/** First message of a worker. Later ones are `EngineNews`. */
export interface WorkerReady {
  ready: true;
  /** Rows of a step are padded to a multiple of this; undefined: results depend on the batch whatever the padding. */
  rowMultiple: number | undefined;
}

export const noNews = (): EngineNews => ({
  events: [],
  ingested: [],
  failedJobs: [],
  loads: [],
  saves: [],
  abandoned: [],
  findable: [],
  evicted: [],
});

export function hasNews(news: EngineNews): boolean {
  return Object.values(news).some((list: readonly unknown[]) => list.length > 0);
}
