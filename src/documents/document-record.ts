/** A document as the registry keeps it: its text, how it was cut, and the keys of its blocks. Data only. */
import type { SegmentOptions } from '../segment/segmenter.js';

export interface DocumentRecord {
  id: string;
  title?: string;
  text: string;
  /** Given by the client, returned as it was. */
  metadata?: Record<string, string>;
  /** Blocks cached under this salt; the document is visible only to requests that give the same one. */
  cacheSalt?: string;
  segmentation: SegmentOptions;
  /** Unix time, seconds. */
  createdAt: number;
  /** How the text was cut, half-open character spans that cover it. */
  segments: { start: number; end: number; tokens: number }[];
  /** In order; a segment of white space alone may have no block. */
  blocks: RecordBlock[];
}

export interface RecordBlock {
  hash: string;
  tokens: number;
  /** Character offsets in `text`, half open. */
  start: number;
  end: number;
}

export interface RecordPage {
  records: DocumentRecord[];
  hasMore: boolean;
}
