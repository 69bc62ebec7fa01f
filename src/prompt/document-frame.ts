/**
 * What a chat template puts around each document: a prefix (often the title's line) and a suffix. Learned once by
 * rendering three stand-in documents. If the frame is the same at every place, it becomes part of the document's first
 * and last block, so that a document gives the same blocks in any order. If it differs (numbered documents), the frame
 * is empty and the template's text stays in stretches between the documents.
 */
export interface DocumentFrame {
  /** Text with `TITLE_MARK` where the title goes. */
  prefix: string;
  suffix: string;
}

/** Stands for a document's title while stretches are compared. No template contains it. */
export const TITLE_MARK = '\uE000title\uE001';

export const EMPTY_FRAME: DocumentFrame = { prefix: '', suffix: '' };

/**
 * @param stretches of a rendering with three documents: head, first gap, second gap, rest
 * @returns the longest frame, on line borders, that each of the documents has around it
 */
export function learnFrame(stretches: readonly string[]): DocumentFrame {
  const [head, gap, secondGap, rest] = stretches;
  if (head === undefined || gap === undefined || rest === undefined || gap !== secondGap) return EMPTY_FRAME;
  const prefix = commonSuffix(head, gap);
  const suffix = commonPrefix(gap.slice(0, gap.length - prefix.length), rest);
  return { prefix, suffix };
}

/** Longest common suffix that starts a line in both, so that it does not take part of what comes before. */
function commonSuffix(head: string, gap: string): string {
  let length = 0;
  while (length < head.length && length < gap.length && head.at(-1 - length) === gap.at(-1 - length)) length += 1;
  const startsLine = (text: string, at: number) => at === 0 || text[at - 1] === '\n' || text[at - 1] === '>';
  while (length > 0 && !(startsLine(head, head.length - length) && startsLine(gap, gap.length - length))) length -= 1;
  return gap.slice(gap.length - length);
}

/** Longest common prefix that ends a line in both, or that is the whole gap. */
function commonPrefix(gap: string, rest: string): string {
  let length = 0;
  while (length < gap.length && gap[length] === rest[length]) length += 1;
  while (length > 0 && length < gap.length && gap[length - 1] !== '\n') length -= 1;
  return gap.slice(0, length);
}

/** The prefix with the title in its place. */
export function framePrefix(frame: DocumentFrame, title: string): string {
  return frame.prefix.replaceAll(TITLE_MARK, () => title);
}
