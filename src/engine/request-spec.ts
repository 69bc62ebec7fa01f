/**
 * Turns a request of the HTTP thread into what the worker schedules: keys for blocks and sinks, the tail, the times.
 * Knows plans and keys; whether the request may run is the host's to say.
 */
import type { Engine, GenerateRequest } from './engine.js';
import type { RequestSpec, SinkSpec } from './sequence.js';

const NO_TOKENS = new Int32Array();

/**
 * @param submittedMs time of submission, in the clock of both threads
 * @param anySeed     uint32, used where the request names no seed
 */
export function buildRequestSpec(
  { id, plan, sampling, cacheSalt, deadlineMs }: GenerateRequest,
  blockKey: Engine['blockKey'],
  submittedMs: number,
  anySeed: number,
): RequestSpec {
  const full = plan.attention === 'full';
  const { sinkTokenIds, finalTokenIds } = plan;
  return {
    id,
    attention: plan.attention,
    sinks: full ? undefined : sinkSpec(sinkTokenIds, blockKey, cacheSalt),
    blocks: plan.blocks.map(({ tokenIds, kind }) => ({
      key: blockKey(tokenIds, sinkTokenIds, cacheSalt),
      tokenIds,
      kind,
    })),
    tailTokenIds: full
      ? joined([sinkTokenIds, ...plan.blocks.map(({ tokenIds }) => tokenIds), finalTokenIds])
      : finalTokenIds,
    sampling,
    seed: (sampling.seed ?? anySeed) >>> 0,
    submittedMs,
    ...(deadlineMs === undefined ? {} : { deadlineMs: submittedMs + deadlineMs }),
  };
}

/** The sinks as a block of their own; its key is no block's, since sinks stand at position 0. */
export function sinkSpec(tokenIds: Int32Array, blockKey: Engine['blockKey'], cacheSalt?: string): SinkSpec | undefined {
  if (tokenIds.length === 0) return undefined;
  return { key: `sinks:${blockKey(tokenIds, NO_TOKENS, cacheSalt)}`, tokenIds };
}

/** Pages that a request takes at worst, alone in the pool: equal blocks share theirs. */
export function pagesNeeded(spec: RequestSpec, pageTokens: number): number {
  const pagesFor = (tokens: number) => Math.ceil(tokens / pageTokens);
  let pages = pagesFor(spec.tailTokenIds.length + spec.sampling.maxTokens);
  if (spec.attention === 'full') return pages;
  pages += pagesFor(spec.sinks?.tokenIds.length ?? 0);
  const lengths = new Map(spec.blocks.map(({ key, tokenIds }) => [key, tokenIds.length]));
  for (const length of lengths.values()) pages += pagesFor(length);
  return pages;
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
