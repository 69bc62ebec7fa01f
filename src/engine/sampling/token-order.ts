/**
 * Float32 logits as integers in the same order, for buckets and binary searches. Both zeros are one number.
 * Knows the bits of IEEE 754 binary32 only.
 */

const floats = new Float32Array(1);
const words = new Int32Array(floats.buffer);

/** Integer of the smallest logit, -Infinity; +Infinity's is its negative. */
export const LOWEST_ORDER = -0x7f800000;

/** @param value a float32, not NaN @returns an integer that is greater for a greater float */
export function orderOf(value: number): number {
  floats[0] = value;
  const word = words[0] as number;
  const sign = word >> 31;
  // The magnitude, with its sign: one's complement plus one where the sign is -1, and no negative zero.
  return ((word & 0x7fffffff) ^ sign) - sign;
}

/** The float32 of an order; the inverse of `orderOf`. */
export function logitOf(order: number): number {
  words[0] = order >= 0 ? order : -order | 0x80000000;
  return floats[0] as number;
}
