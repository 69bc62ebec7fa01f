/**
 * Segmentation options, checked and completed: every segmenter works to the same limits.
 * Granularity maps to a target length geometrically: 0 gives 48 tokens, 1 gives three quarters of the maximum.
 */
import { BlockstitchError } from '../errors.js';
import type { SegmentOptions } from './segmenter.js';

export interface SegmentLimits {
  targetTokens: number;
  minTokens: number;
  /** Hard maximum, always kept; at least 16, so that any character fits. */
  maxTokens: number;
  /** As given; segmenters with levels of their own read it directly. */
  granularity?: number;
  /** As given, while `minTokens` may come from the target. */
  givenMinTokens?: number;
  /** As given. */
  joined?: true;
}

export const DEFAULT_TARGET_TOKENS = 200;
export const DEFAULT_MAX_TOKENS = 512;
/** No option may be larger. No model's context is, so a larger number is a mistake. */
export const MOST_BLOCK_TOKENS = 1_048_576;
/** With a smaller maximum, one character (up to four bytes, and a prefix) might not fit. */
export const LEAST_MAX_TOKENS = 16;
const FINEST_TARGET_TOKENS = 48;
const COARSEST_SHARE = 0.75;
/** The minimum as a share of the target, if none is given. */
const MIN_SHARE = 0.25;

/** @throws BlockstitchError `segmentation_invalid` naming the options that contradict one another */
export function readLimits(options: SegmentOptions): SegmentLimits {
  const { granularity } = options;
  for (const name of ['targetTokens', 'minTokens', 'maxTokens'] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= MOST_BLOCK_TOKENS)) {
      throw invalid(`${snake(name)} must be a whole number of 1 to ${MOST_BLOCK_TOKENS}, not ${value}.`);
    }
  }
  if (granularity !== undefined && !(granularity >= 0 && granularity <= 1)) {
    throw invalid(`granularity must be between 0 and 1, not ${granularity}.`);
  }
  if (granularity !== undefined && options.targetTokens !== undefined) {
    throw invalid('granularity and target_tokens cannot be given together.');
  }
  const roomy = Math.max(DEFAULT_MAX_TOKENS, 2 * (options.targetTokens ?? 0));
  const maxTokens = options.maxTokens ?? Math.min(MOST_BLOCK_TOKENS, roomy);
  if (maxTokens < LEAST_MAX_TOKENS) throw invalid(`max_tokens must be at least ${LEAST_MAX_TOKENS}, not ${maxTokens}.`);
  const targetTokens = options.targetTokens ?? targetOf(granularity, maxTokens, options.minTokens ?? 1);
  if (targetTokens > maxTokens) throw invalid(`target_tokens ${targetTokens} is above max_tokens ${maxTokens}.`);
  const minTokens = options.minTokens ?? leastTokens(targetTokens);
  if (minTokens > targetTokens) throw invalid(`min_tokens ${minTokens} is above the target of ${targetTokens}.`);
  return {
    targetTokens,
    minTokens,
    maxTokens,
    ...(granularity === undefined ? {} : { granularity }),
    ...(options.minTokens === undefined ? {} : { givenMinTokens: options.minTokens }),
    ...(options.joined ? { joined: true } : {}),
  };
}

/** Target for a granularity, or the default; never outside what the other limits allow. Monotone in granularity. */
function targetOf(granularity: number | undefined, maxTokens: number, minTokens: number): number {
  const coarsest = coarsestTarget(maxTokens);
  const finest = finestTarget(maxTokens);
  const wanted =
    granularity === undefined
      ? Math.min(DEFAULT_TARGET_TOKENS, coarsest)
      : Math.round(finest * (coarsest / finest) ** granularity);
  return Math.min(maxTokens, Math.max(wanted, minTokens));
}

/** Target length at granularity 1. */
export function coarsestTarget(maxTokens: number): number {
  return Math.max(1, Math.floor(maxTokens * COARSEST_SHARE));
}

/** Target length at granularity 0. */
export function finestTarget(maxTokens: number): number {
  return Math.min(FINEST_TARGET_TOKENS, coarsestTarget(maxTokens));
}

/** The minimum for a target, if none is given. */
export function leastTokens(targetTokens: number): number {
  return Math.max(1, Math.floor(targetTokens * MIN_SHARE));
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function invalid(reason: string): BlockstitchError {
  return new BlockstitchError('segmentation_invalid', { reason }, { param: 'segmentation' });
}
