/** The tiers as clients name them: the store goes by its brand. Knows names only. */
import { CACHE_TIERS, type CacheTier, type StoreBrand } from '../cache/tiers.js';

export type WireTier = Exclude<CacheTier, 'store'> | StoreBrand;

/** @param brand the store in use; without one, nothing comes from it */
export function wireOrigin(origin: CacheTier, brand: StoreBrand | undefined): WireTier;
export function wireOrigin(origin: CacheTier | 'computed', brand: StoreBrand | undefined): WireTier | 'computed';
export function wireOrigin(origin: CacheTier | 'computed', brand: StoreBrand | undefined): WireTier | 'computed' {
  return origin === 'store' ? (brand ?? 'lmdb') : origin;
}

/** The tiers that a list of names means. A brand that is not in use means none. Without a list: every tier. */
export function tiersNamed(names: readonly string[] | undefined, brand: StoreBrand | undefined): Set<CacheTier> {
  return new Set(CACHE_TIERS.filter((tier) => names?.includes(tier === 'store' ? (brand ?? '') : tier) ?? true));
}
