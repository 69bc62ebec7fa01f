/**
 * Cuts long messages into blocks for applications that put retrieved passages into them by their own templates. A passage
 * that was seen once is a hit wherever it stands next time. Knows which messages are cut; src/segment knows where.
 */
import type { MessagePassage } from '../../prompt/message-passages.js';
import type { AttentionMode } from '../../prompt/prompt-plan.js';
import { type PromptPassages, promptPassages } from '../../segment/prompt-passages.js';
import type { SegmentContext, SegmentOptions } from '../../segment/segmenter.js';
import { QueuePlace } from '../../text/text-threads.js';
import type { Services } from '../services.js';

/** Shorter texts are cheaper to prefill than to look up: a few hundred tokens. */
const LEAST_CHARACTERS = 1200;

/** What is to be cut, if anything. */
export interface AutoBlocks {
  attention: AttentionMode;
  /** The request's field. */
  wanted: boolean | undefined;
  segmentation: SegmentOptions;
}

/** How one message was cut, for the report. */
export interface CutMessage {
  message: number;
  passages: number;
  by: PromptPassages['by'];
  /** UTF-16 units in front of the passages that the prompt shows behind them. */
  moved: number;
}

export interface FoundPassages {
  passages: MessagePassage[];
  cut: CutMessage[];
}

const NONE: FoundPassages = { passages: [], cut: [] };

/**
 * Messages that alone are longer than the context stay whole, and so does one with more passages than `--max-blocks`.
 *
 * @param texts of the messages, in order; undefined for those that stay whole
 * @throws BlockstitchError what the segmenter throws
 */
export async function autoPassages(
  services: Pick<Services, 'segment' | 'autoBlocks' | 'config' | 'model'>,
  texts: readonly (string | undefined)[],
  { attention, wanted, segmentation }: AutoBlocks,
  context: SegmentContext,
): Promise<FoundPassages> {
  if (attention === 'full' || !(wanted ?? services.autoBlocks)) return NONE;
  const found: FoundPassages = { passages: [], cut: [] };
  // However many passages there are, the request has one place in the queue.
  const place = new QueuePlace();
  let tokens = 0;
  try {
    for (const [message, text] of texts.entries()) {
      if (text === undefined || text.length < LEAST_CHARACTERS) continue;
      const param = `messages[${message}].content`;
      const cut = (part: string, joined?: true) =>
        services.segment(part, { ...segmentation, ...(joined ? { joined } : {}) }, { ...context, place, param });
      const segments = await cut(text, true);
      tokens += segments.reduce((sum, segment) => sum + segment.tokens, 0);
      if (tokens > services.model.config.maxPositions) return NONE;
      const inside = promptPassages(text, segments, message === texts.length - 1);
      if (inside === undefined) continue;
      const { passages, by, instruction } = inside;
      if (found.passages.length + passages.length > services.config.maxBlocks) continue;
      // Each by itself: nothing beside a passage moves a cut inside it.
      const retrieved = by === 'seams' ? { retrieved: { instruction } } : {};
      for (const { start, end } of passages) {
        found.passages.push({ message, start, end, segments: await cut(text.slice(start, end)), ...retrieved });
      }
      found.cut.push({ message, passages: passages.length, by, moved: instruction });
    }
  } finally {
    place.leave();
  }
  return found;
}
