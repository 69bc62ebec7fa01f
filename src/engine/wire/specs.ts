/**
 * Requests and ingestions as they cross to the worker: plain data, keyed by numbers that the host makes.
 * Knows shapes only.
 *
 * Words: handle = the number by which both threads name a request or an ingestion; label = the client's own name for
 * its request, for logs only; spec = all that the worker needs to know about a request; tail = the tokens that a
 * request computes for itself (final block and answer).
 */
import type { BlockKey } from '../../cache/tiers.js';
import type { GrammarId } from '../../grammar/mask-link.js';
import type { AttentionMode, PlanBlock } from '../../prompt/prompt-plan.js';
import type { RepairOptions, SamplingParams } from '../engine.js';

/** Unique within one host. No handle is used twice. */
export type Handle = number;

/** A block as a request names it. */
export interface BlockSpec {
  key: BlockKey;
  tokenIds: Int32Array;
  kind: PlanBlock['kind'];
}

/** The sinks as a block of their own, at position 0. They are computed once. */
export interface SinkSpec {
  key: BlockKey;
  tokenIds: Int32Array;
}

/** A request as the scheduler takes it. Times are milliseconds of one clock, shared by both threads. */
export interface RequestSpec {
  handle: Handle;
  attention: AttentionMode;
  sinks: SinkSpec | undefined;
  /** In prompt order. Under full attention they are only reported: their tokens are part of the tail. */
  blocks: readonly BlockSpec[];
  /** Block attention: the final block. Full attention: the whole prompt. Length >= 1. */
  tailTokenIds: Int32Array;
  /** Under block attention only, 0 < share < 1: the cached tokens that are computed again in context. */
  repair?: RepairOptions;
  sampling: SamplingParams;
  /** The grammar that the answer follows. */
  grammar?: GrammarId;
  /** Tokens that are likely to be in the answer: prompt lookup's alone. */
  predicted?: Int32Array;
  /** Seed of the request's random numbers, uint32. */
  seed: number;
  submittedMs: number;
  /** The time at which the request is given up. */
  deadlineMs?: number;
}

/** An ingestion as the scheduler takes it. */
export interface IngestSpec {
  handle: Handle;
  sinks: SinkSpec | undefined;
  /** `index` is the caller's own number of the block. */
  blocks: readonly (BlockSpec & { index: number })[];
}
