/**
 * Takes forbidden tokens out of a row of logits, as a grammar asks. Knows bits: one per token, from the lowest bit of
 * the first word on, 1 = allowed.
 */

/**
 * Sets the logits of forbidden tokens to -Infinity.
 *
 * @param row     float32 [vocab], changed in place
 * @param allowed int32 [ceil(vocab / 32)]
 */
export function maskRow(row: Float32Array, allowed: Int32Array): void {
  for (let word = 0; word * 32 < row.length; word++) {
    const bits = allowed[word] as number;
    if (bits === -1) continue;
    const first = word * 32;
    const end = Math.min(first + 32, row.length);
    if (bits === 0) row.fill(Number.NEGATIVE_INFINITY, first, end);
    else {
      for (let id = first; id < end; id++) {
        if (((bits >>> (id - first)) & 1) === 0) row[id] = Number.NEGATIVE_INFINITY;
      }
    }
  }
}

export function isAllowed(allowed: Int32Array, tokenId: number): boolean {
  return (((allowed[tokenId >> 5] as number) >>> (tokenId & 31)) & 1) === 1;
}
