/**
 * The words of this room. No I/O: pure rooms may import them.
 *
 * Words: block = a run of tokens computed once; key = the name of its KV; tier = a place where its KV may be (pool =
 * pages of an engine, host = memory of this process, store = LMDB or Redis); brand = which store it is; forget = drop
 * blocks from the tiers named, and let no operation that began before put them back.
 */
import type { KvDtype } from '../kernels/native-addon.js';

/** 64 lower-case hex digits; the first 16 name the tenant (see `block-key.ts`). */
export type BlockKey = string;

/** From nearest to farthest. */
export const CACHE_TIERS = ['pool', 'host', 'store'] as const;
export type CacheTier = (typeof CACHE_TIERS)[number];
/** The tiers below the pool. */
export type LowerTier = Exclude<CacheTier, 'pool'>;

/** Which store the tier `store` is: for reports only. */
export type StoreBrand = 'lmdb' | 'redis';

/** Who shares blocks: requests of equal scopes do, others never. Both parts are empty if nobody is told apart. */
export interface CacheScope {
  /** Id of the tenant, made from its API key. */
  tenant: string;
  /** The client's own division within the tenant. A secret: keys hold its hash; nothing stores or logs it as it is. */
  salt: string;
}

/** The scope of everybody: no API key, no salt. */
export const COMMON_SCOPE: Readonly<CacheScope> = { tenant: '', salt: '' };

/** The blocks that a forget drops: some keys, or all keys that begin with a prefix (a tenant's tag; '' for all). */
export type BlockSelection = { keys: readonly BlockKey[] } | { prefix: string };

/** @returns whether a selection covers a key */
export function covering(selection: BlockSelection): (key: BlockKey) => boolean {
  if ('prefix' in selection) return (key) => key.startsWith(selection.prefix);
  const keys = new Set(selection.keys);
  return (key) => keys.has(key);
}

/** Shape of every block of one model; part of the stored header and checked on load. */
export interface BlockShape {
  /** Hex SHA-256 of config, weights and weight format of the imported model. */
  fingerprint: string;
  layers: number;
  kvHeads: number;
  headDim: number;
  dtype: KvDtype;
}

/** One block's KV, `payload` laid out `[layer][k|v][kv head][token][dim]` (int8: float32 scales behind it). */
export interface BlockValue {
  tokens: number;
  payload: Uint8Array;
  /** CRC-32 of the payload, if somebody has taken it. */
  crc32?: number;
}

export interface TierStatistics {
  entries: number;
  bytes: number;
  hits: number;
  misses: number;
  /** Values that a check refused (checksum, header, key, fingerprint). */
  corrupt: number;
  loadedBytes: number;
  loadSeconds: number;
}

export interface CacheStatistics {
  host: TierStatistics;
  store?: TierStatistics & {
    brand: StoreBrand;
    breaker: 'closed' | 'open' | 'half-open';
    failures: number;
    /** Blocks that were computed although the store had them, because computing was measured to be faster. */
    passedOver: number;
    /** Blocks that went to make room, since the start, if the store makes room by itself and says so. */
    evicted: number;
    /** Loads that were given up because they took as long as computing. */
    late: number;
  };
}
