/**
 * Cuts the new text of a document that replaces another one. Where the text is the same in front of and behind the change,
 * the old cuts stay, and with them the blocks that are cached. Only what lies between is cut anew.
 * Knows spans and texts. The segmenter cuts; `ingest-document.ts` knows what is replaced.
 */
import type { Segment, SegmentContext, SegmentOptions } from '../segment/segmenter.js';
import type { DocumentRecord } from './document-record.js';
import type { Segmentation } from './segmentation.js';

export type Cut = Pick<Segment, 'start' | 'end' | 'tokens' | 'tokenIds'>;

/** What there is of the document now. */
export type CutBefore = Pick<DocumentRecord, 'text' | 'segments' | 'cutName'>;

/** A change that leaves less than this share of the text alone is a new text. */
const LEAST_KEPT = 0.5;
/** What is cut anew is at least so much of an ordinary block, or it takes a neighbour in. */
const LEAST_PART = 0.5;
/** Characters that are compared at once. */
const STEP = 4096;

/**
 * @param before what the new text replaces; undefined if nothing
 * @param maxSegments more than this are cut as a whole, so that the segmenter says so
 * @returns spans that cover the text exactly once, in order
 * @throws what the segmenter throws
 */
export async function cutAgain(
  segment: Segmentation,
  before: CutBefore | undefined,
  text: string,
  options: SegmentOptions,
  maxSegments: number,
  context: SegmentContext,
): Promise<readonly Cut[]> {
  const whole = () => segment(text, options, context);
  const rule = segment.nameOf?.(options);
  if (before === undefined || before.text === text || rule === undefined || before.cutName !== rule) return whole();
  const { front, back } = unchanged(before, text);
  const moved = text.length - before.text.length;
  const mean = before.text.length / before.segments.length;
  const startOf = () => front.at(-1)?.end ?? 0;
  const endOf = () => (back[0]?.start ?? before.text.length) + moved;
  // A crumb between two blocks would stay one.
  const isCrumb = () => endOf() - startOf() < LEAST_PART * mean || text.slice(startOf(), endOf()).trim() === '';
  while (endOf() > startOf() && isCrumb() && front.length + back.length > 0) {
    if (front.length > 0) front.pop();
    else back.shift();
  }
  const [start, end] = [startOf(), endOf()];
  if (end - start > (1 - LEAST_KEPT) * text.length) return whole();
  const between = end > start ? await segment(text.slice(start, end), options, context) : [];
  const spans: Cut[] = [
    ...front,
    ...between.map((span) => shifted(span, start)),
    ...back.map((span) => shifted(span, moved)),
  ];
  return spans.length > maxSegments ? whole() : spans;
}

/** Segments that lie wholly in front of the change, and wholly behind it. No character is in both. */
function unchanged({ text: old, segments }: CutBefore, text: string): { front: Cut[]; back: Cut[] } {
  const most = Math.min(old.length, text.length);
  const prefix = equalLength(most, (from, to) => old.slice(from, to) === text.slice(from, to));
  const suffix = equalLength(most - prefix, (from, to) => tail(old, from, to) === tail(text, from, to));
  return {
    front: segments.filter(({ end }) => end <= prefix),
    back: segments.filter(({ start }) => start >= old.length - suffix && start >= prefix),
  };
}

const tail = (text: string, from: number, to: number) => text.slice(text.length - to, text.length - from);

/** The greatest length for which `equal` holds of 0..length. */
function equalLength(most: number, equal: (from: number, to: number) => boolean): number {
  let length = 0;
  for (let step = STEP; step >= 1; step = step > 1 ? step >> 1 : 0) {
    while (length + step <= most && equal(length, length + step)) length += step;
  }
  return length;
}

function shifted({ start, end, ...rest }: Cut, by: number): Cut {
  return { start: start + by, end: end + by, ...rest };
}
