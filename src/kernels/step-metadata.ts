/**
 * The int32 metadata tensor of one engine step: which rows belong to which sequence, which cached segments each
 * sequence attends to, and where its tail is written. The C++ side (kernels/src/step_metadata.h) reads the same layout.
 * Knows the layout only. The scheduler decides what goes in.
 *
 * Layout (int32, host memory):
 *   header   [0] layout version = 1   [1] pool id   [2] sequences S   [3] rows T (new tokens of all sequences)
 *            [4 .. 4+S-1] offset of each sequence's record from the start of the tensor
 *   record   [0] first row   [1] rows n (>= 1)   [2] tail position: local RoPE position of the tail's first token
 *            [3] tail past: tokens already in the tail   [4] tail pages P   [5] segments G
 *            [6 .. 6+P-1] tail pages, enough for past + n tokens
 *            then per segment: [length] [delta] [pages Q] [Q page numbers]
 * The new token j (0 <= j < n) of a sequence has local position tailPosition + tailPast + j. It attends to all tokens
 * of every segment, its query rotated at (local position - delta), and causally to the tail, with delta 0.
 */

/** Version of the layout above. */
export const STEP_METADATA_VERSION = 1;

/** What the kernel sees of one cached block. */
export interface Segment {
  pages: Int32Array;
  /** Tokens in the segment, >= 1; the last page may be partly filled. */
  length: number;
  /** p_i - k: how far right of its own local positions the block stands in this prompt (>= 0). */
  delta: number;
}

/** One sequence's share of a step. */
export interface StepSequence {
  /** New tokens in this step, >= 1. */
  rows: number;
  segments: readonly Segment[];
  tail: {
    pages: Int32Array;
    /** Local RoPE position of the tail's first token. */
    position: number;
    /** Tokens that the tail held before this step. */
    past: number;
  };
}

/**
 * Encodes one step.
 *
 * @param poolId pool that all page numbers refer to
 * @returns int32 tensor data as laid out above
 */
export function encodeStepMetadata(poolId: number, sequences: readonly StepSequence[]): Int32Array {
  let size = 4 + sequences.length;
  for (const sequence of sequences) {
    size += 6 + sequence.tail.pages.length;
    for (const segment of sequence.segments) size += 3 + segment.pages.length;
  }
  const metadata = new Int32Array(size);
  metadata[0] = STEP_METADATA_VERSION;
  metadata[1] = poolId;
  metadata[2] = sequences.length;
  let offset = 4 + sequences.length;
  let row = 0;
  for (const [index, sequence] of sequences.entries()) {
    const { tail, segments, rows } = sequence;
    metadata[4 + index] = offset;
    metadata[offset] = row;
    metadata[offset + 1] = rows;
    metadata[offset + 2] = tail.position;
    metadata[offset + 3] = tail.past;
    metadata[offset + 4] = tail.pages.length;
    metadata[offset + 5] = segments.length;
    offset += 6;
    metadata.set(tail.pages, offset);
    offset += tail.pages.length;
    for (const segment of segments) {
      metadata[offset] = segment.length;
      metadata[offset + 1] = segment.delta;
      metadata[offset + 2] = segment.pages.length;
      metadata.set(segment.pages, offset + 3);
      offset += 3 + segment.pages.length;
    }
    row += rows;
  }
  metadata[3] = row;
  return metadata;
}
