/**
 * Turns a request of the HTTP thread into what the worker schedules: keys for blocks and sinks, the tail, the times.
 * Knows plans and keys; whether the request may run is the host's to say.
 */
import type { Engine, GenerateRequest } from '../engine.js';
import { repairBudget } from '../repair/repair-plan.js';
import type { RequestSpec, SinkSpec } from '../schedule/sequence.js';
import { joined } from '../wire/int32-list.js';

const NO_TOKENS = new Int32Array();

/**
 * @param submittedMs time of submission, in the clock of both threads
 * @param anySeed     uint32, used where the request names no seed
 */
export function buildRequestSpec(
  { id, plan, repair, sampling, cacheSalt, deadlineMs }: GenerateRequest,
  blockKey: Engine['blockKey'],
  submittedMs: number,
  anySeed: number,
): RequestSpec {
  const full = plan.attention === 'full' || (repair !== undefined && repair.share >= 1);
  const repaired = !full && repair !== undefined && repair.share > 0;
  const { sinkTokenIds, finalTokenIds } = plan;
  return {
    id,
    attention: full ? 'full' : 'block',
    sinks: full ? undefined : sinkSpec(sinkTokenIds, blockKey, cacheSalt),
    blocks: plan.blocks.map(({ tokenIds, kind }) => ({
      key: blockKey(tokenIds, sinkTokenIds, cacheSalt),
      tokenIds,
      kind,
    })),
    tailTokenIds: full
      ? joined([sinkTokenIds, ...plan.blocks.map(({ tokenIds }) => tokenIds), finalTokenIds])
      : finalTokenIds,
    ...(repaired ? { repair } : {}),
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
  if (spec.repair === undefined) return pages;
  const inOrder = spec.blocks.map(({ tokenIds }) => tokenIds.length);
  pages += repairBudget(inOrder, spec.repair.share, pageTokens);
  return pages;
}
