/**
 * Random numbers for sampling: a pure function of (seed, index), so that a request draws the same numbers alone or in
 * a batch, and again after preemption. Knows integers only.
 */

/** Finalizer of MurmurHash3 (Austin Appleby, public domain): a bijection of uint32 with good avalanche. */
function mix(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Keeps the key of a seed apart from the seed's own hash. */
const SALT = mix(0x7f4a7c15);

/**
 * @param seed  uint32, as in `RequestSpec`; only the low 32 bits of another number count
 * @param index number of the draw in its request, uint32
 * @returns a double in [0, 1) with 53 random bits
 */
export function uniform(seed: number, index: number): number {
  const key = mix(mix(seed ^ 0x9e3779b9) ^ SALT);
  const first = mix(key ^ mix(index * 2 + 1));
  const second = mix(mix(key + 0x6a09e667) ^ mix(index * 2 + 2));
  return ((first >>> 5) * 2 ** 26 + (second >>> 6)) / 2 ** 53;
}
