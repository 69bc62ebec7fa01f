/**
 * The one interface behind which every segmenter stands (trained or heuristic): text in, spans out.
 * Knows characters and token counts; what is done with the spans is the caller's.
 */

export type SegmenterName =
  | 'auto'
  | 'structural'
  | 'fixed'
  | 'paragraphs'
  | 'recursive'
  | 'texttiling'
  | 'embedding'
  | 'semantic';

export interface SegmentOptions {
  segmenter?: SegmenterName;
  /** Wanted mean block length in tokens (default 200). */
  targetTokens?: number;
  minTokens?: number;
  /** Hard maximum, always kept (default 512). */
  maxTokens?: number;
  /** 0 = finest, 1 = coarsest; instead of targetTokens. */
  granularity?: number;
}

/** Half-open span of UTF-16 offsets. Spans cover the text exactly once, in order; concatenated they are the text. */
export interface Segment {
  start: number;
  end: number;
  tokens: number;
  /** Strength of the boundary at `end`, 0..1 (1 at the end of the text). */
  boundaryScore: number;
}

export interface Segmenter {
  readonly name: Exclude<SegmenterName, 'auto'>;
  /** @throws BlockstitchError `segmentation_invalid` for options that contradict one another */
  segment(text: string, options: SegmentOptions): Promise<Segment[]>;
}
