/**
 * The one interface behind which every segmenter stands (trained or heuristic): text in, spans with their tokens out.
 * Knows characters and tokens. The caller decides what is done with the spans.
 *
 * Words: unit = a sentence, line or fence between which the text may be cut; atom = the same for the structural
 * segmenter; strength = how much speaks for a boundary, as log-odds; stretch = the part of a text that one search for
 * boundaries looks at; target = the wanted mean length of blocks in tokens.
 */

import type { RunOptions } from '../text/text-threads.js';

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
  /** The text is a message that may hold passages: an empty line is easier believed to be a seam than in a document. */
  joined?: true;
}

/** Half-open span of UTF-16 offsets. Spans cover the text exactly once, in order; concatenated they are the text. */
export interface Segment {
  start: number;
  end: number;
  tokens: number;
  /** Ids of exactly this text, control tokens as text. */
  tokenIds?: Int32Array;
  /** Strength of the boundary at `end`, 0..1 (1 at the end of the text). */
  boundaryScore: number;
  /** Present if two passages of a prompt were joined at `end`, or a passage and the rest of the prompt. */
  seam?: true;
}

export interface SegmentContext extends RunOptions {
  /** Who asks. What is remembered for one tenant is never used for another, so times tell nothing. Default ''. */
  tenant?: string;
  /** Names the text in error messages. Default `text`. */
  param?: string;
}

export interface Segmenter {
  readonly name: Exclude<SegmenterName, 'auto'>;
  /**
   * @throws BlockstitchError `segmentation_invalid` for options that contradict one another, `text_not_encodable`,
   *   `invalid_request` for a token that the model does not have, `queue_full`
   */
  segment(text: string, options: SegmentOptions, context?: SegmentContext): Promise<Segment[]>;
}
