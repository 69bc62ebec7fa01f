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
