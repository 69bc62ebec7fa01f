/**
 * The messages between the HTTP thread and the worker. Plain data that can be cloned; typed arrays own their buffers.
 * Knows shapes only.
 */
import type { MessagePort } from 'node:worker_threads';
import type { BlockKey, BlockSelection, CacheTier, LowerTier } from '../../cache/tiers.js';
import type { ErrorCode } from '../../errors.js';
import type { GrammarLine } from '../../grammar/mask-link.js';
import type { GenerateEvent } from '../engine.js';
import type { Handle, IngestSpec, RequestSpec } from './specs.js';

export type EngineCommand =
  | { type: 'submit'; request: RequestSpec }
  | { type: 'cancel'; handle: Handle }
  | { type: 'ingest'; spec: IngestSpec }
  | { type: 'cancelIngest'; handle: Handle }
  /** The cache's answer for a block. If `tier` is given, its pages are filled. */
  | { type: 'settled'; stay: number; tier: LowerTier | undefined; took?: LoadTimes }
  /** A block's pages were copied out. */
  | { type: 'copied'; stay: number }
  /** The answer has the same `call` and comes after every order that was given before. */
  | { type: 'forget'; call: number; selection: BlockSelection; tiers: ReadonlySet<CacheTier> }
  /** The line to a (new) grammar thread. It goes with the message. */
  | { type: 'grammars'; port: MessagePort; line: GrammarLine }
  | { type: 'close' };

/** Commands about requests and blocks. */
export type CoreCommand = Exclude<EngineCommand, { type: 'close' | 'grammars' }>;

/** Of one block, in milliseconds. */
export interface LoadTimes {
  /** Until the tiers had answered, with the value if they have it. */
  findMs: number;
  /** Then, until its pages were filled. */
  loadMs: number;
}

/** An order to fill a block's pages, or to copy them out. */
export interface PageTransfer {
  /** Number of the block's stay in the pool. A later stay of the same key has another number. */
  stay: number;
  key: BlockKey;
  pages: Int32Array;
  tokens: number;
}

export interface LoadOrder extends PageTransfer {
  /** An ingestion asks: it waits for a replica that computes the block, however long that takes. */
  patient: boolean;
}

export interface SaveOrder extends PageTransfer {
  /** Somebody waits until the block is durable. */
  durable: boolean;
  /** Tiers that were told to forget the block since its computation began. */
  forgotten: readonly LowerTier[];
}

export type RequestEvent =
  | { type: 'admitted' }
  | GenerateEvent
  | { type: 'failed'; code: ErrorCode; details: Record<string, string | number> };

/** One block of an ingestion that is ready in the pool. */
export interface IngestedBlock {
  handle: Handle;
  index: number;
  key: BlockKey;
  origin: CacheTier | 'computed';
  /** Whether its save was ordered: it is durable when that is done. */
  save: boolean;
  /** 0 unless it was computed for this ingestion. */
  prefillMs: number;
}

/** Everything that happened in one turn of the worker's loop, in one message. */
export interface EngineNews {
  events: { handle: Handle; event: RequestEvent }[];
  ingested: IngestedBlock[];
  failedIngests: { handle: Handle; reason: string }[];
  loads: LoadOrder[];
  saves: SaveOrder[];
  /** Stays of blocks that were given up while this engine held the right to compute them. */
  abandoned: number[];
  /** In order: blocks that became findable in the pool. With `tokens` 0: blocks that no longer are. */
  findable: { key: BlockKey; tokens: number }[];
  /** Calls of `forget` that were carried out. */
  forgotten: number[];
}

export const noNews = (): EngineNews => ({
  events: [],
  ingested: [],
  failedIngests: [],
  loads: [],
  saves: [],
  abandoned: [],
  findable: [],
  forgotten: [],
});

export function hasNews(news: EngineNews): boolean {
  return Object.values(news).some((list: readonly unknown[]) => list.length > 0);
}
