/**
 * Learned sink tokens at the edges of every block, where a checkpoint has them. They are tokens of the block: its key and
 * its KV cover them, and they count as tokens of the prompt. The final block has none.
 */

export interface BlockEdges {
  /** Ids in front of a block's own tokens. */
  start: Int32Array;
  /** Ids behind them. */
  end: Int32Array;
}

export const NO_EDGES: BlockEdges = { start: new Int32Array(0), end: new Int32Array(0) };

/** @returns `tokenIds` itself if there are no edges */
export function withEdges({ start, end }: BlockEdges, tokenIds: Int32Array): Int32Array {
  const around = start.length + end.length;
  if (around === 0) return tokenIds;
  const joined = new Int32Array(around + tokenIds.length);
  joined.set(start);
  joined.set(tokenIds, start.length);
  joined.set(end, start.length + tokenIds.length);
  return joined;
}
