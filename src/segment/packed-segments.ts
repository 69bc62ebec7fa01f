/** Segments as they cross threads: five arrays, however many segments there are. */
import { apart, type IdLists, joined } from '../text/id-buffer.js';
import type { Segment } from './segmenter.js';

/** The segments' ids, where each ends, the strength there, and whether it is a seam. */
export interface PackedSegments extends IdLists {
  ends: Int32Array<ArrayBuffer>;
  scores: Float64Array<ArrayBuffer>;
  seams: Uint8Array<ArrayBuffer>;
}

export function packed(segments: readonly Segment[]): PackedSegments {
  return {
    ...joined(segments.map(({ tokenIds }) => tokenIds ?? new Int32Array())),
    ends: Int32Array.from(segments, ({ end }) => end),
    scores: Float64Array.from(segments, ({ boundaryScore }) => boundaryScore),
    seams: Uint8Array.from(segments, ({ seam }) => (seam ? 1 : 0)),
  };
}

export function unpacked(segments: PackedSegments): Segment[] {
  const { ends, scores, seams } = segments;
  return apart(segments).map((tokenIds, at) => ({
    start: ends[at - 1] ?? 0,
    end: ends[at] as number,
    tokens: tokenIds.length,
    tokenIds,
    boundaryScore: scores[at] as number,
    ...(seams[at] === 1 ? { seam: true as const } : {}),
  }));
}
