/**
 * Turns a request of the HTTP thread into what the worker schedules: keys for blocks and sinks, the tail, the times.
 * Knows plans and keys; the host decides whether the request may run.
 */
import type { CacheScope } from '../../cache/tiers.js';
import type { Engine, GenerateRequest } from '../engine.js';
import { repairBudget } from '../repair/repair-plan.js';
import { joined } from '../wire/int32-list.js';
import type { Handle, RequestSpec, SinkSpec } from '../wire/specs.js';

const NO_TOKENS = new Int32Array();

/**
 * @param handle      the host's own number of the request
 * @param submittedMs time of submission, in the clock of both threads
 * @param anySeed     uint32, for a request that names no seed
 */
export function buildRequestSpec(
  handle: Handle,
  { plan, repair, sampling, grammar, predicted, scope, deadlineMs }: GenerateRequest,
  blockKey: Engine['blockKey'],
  submittedMs: number,
  anySeed: number,
): RequestSpec {
  const full = plan.attention === 'full' || (repair !== undefined && repair.share >= 1);
  const repaired = !full && repair !== undefined && repair.share > 0;
  const { sinkTokenIds, finalTokenIds } = plan;
  return {
    handle,
    attention: full ? 'full' : 'block',
    sinks: full ? undefined : sinkSpec(sinkTokenIds, blockKey, scope),
    blocks: plan.blocks.map(({ tokenIds, kind }) => ({
      key: blockKey(tokenIds, sinkTokenIds, scope),
      tokenIds,
      kind,
    })),
    tailTokenIds: full
      ? joined([sinkTokenIds, ...plan.blocks.map(({ tokenIds }) => tokenIds), finalTokenIds])
      : finalTokenIds,
    ...(repaired ? { repair } : {}),
    sampling,
    ...(grammar === undefined ? {} : { grammar }),
    ...(predicted === undefined ? {} : { predicted }),
    seed: (sampling.seed ?? anySeed) >>> 0,
    submittedMs,
    ...(deadlineMs === undefined ? {} : { deadlineMs: submittedMs + deadlineMs }),
  };
}

/** The sinks as a block of their own. No block has such a key: it does not begin with a hex digit. */
export function sinkSpec(tokenIds: Int32Array, blockKey: Engine['blockKey'], scope?: CacheScope): SinkSpec | undefined {
  if (tokenIds.length === 0) return undefined;
  return { key: `sinks:${blockKey(tokenIds, NO_TOKENS, scope)}`, tokenIds };
}

/** Most pages that a request takes if it is alone in the pool. Equal blocks share theirs. */
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
