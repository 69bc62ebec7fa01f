/**
 * Lines of a text with what they look like: prose, headings, list items, table rows, code, whole code fences.
 * Works on any language; does not know sentences or tokens.
 */
import { isSpace } from '../text/split-sentences.js';

export type LineKind = 'empty' | 'prose' | 'heading' | 'rule' | 'item' | 'row' | 'code' | 'fence';

export interface Line {
  start: number;
  /** Behind the line break. */
  end: number;
  kind: LineKind;
}

/** A longer line always counts as prose, so that no pattern runs over megabytes. */
const LONGEST_MARKED_LINE = 4096;

/** Lines that cover the text, in order; a code fence with all that it holds is one line. */
export function* textLines(text: string): Generator<Line> {
  let start = 0;
  while (start < text.length) {
    const end = lineEnd(text, start);
    const fence = end - start < LONGEST_MARKED_LINE ? /^ {0,3}(`{3,}|~{3,})/.exec(text.slice(start, end)) : null;
    if (fence?.[1]) {
      const fenceEnd = endOfFence(text, end, fence[1]);
      yield { start, end: fenceEnd, kind: 'fence' };
      start = fenceEnd;
    } else {
      yield { start, end, kind: kindOf(text, start, end) };
      start = end;
    }
  }
}

function endOfFence(text: string, from: number, opening: string): number {
  let start = from;
  while (start < text.length) {
    const end = lineEnd(text, start);
    const closing = /^ {0,3}(`{3,}|~{3,})\s*$/.exec(text.slice(start, Math.min(end, start + 256)));
    if (closing?.[1]?.startsWith(opening)) return end;
    start = end;
  }
  return text.length;
}

function lineEnd(text: string, start: number): number {
  const at = text.indexOf('\n', start);
  return at < 0 ? text.length : at + 1;
}

function kindOf(text: string, start: number, end: number): LineKind {
  let first = start;
  while (first < end && isSpace(text.charCodeAt(first))) first += 1;
  if (first === end) return 'empty';
  if (end - start > LONGEST_MARKED_LINE) return 'prose';
  const line = text.slice(start, end).trimEnd();
  if (/^ {0,3}#{1,6}\s/.test(line)) return 'heading';
  if (/^ {0,3}(?:-{3,}|\*{3,}|_{3,}|={3,})$/.test(line)) return 'rule';
  if (/^\s*\|.*\||^[^\t]+\t[^\t]*\t/.test(line)) return 'row';
  if (/^\s*(?:[-*+•‣◦]|\p{N}{1,3}[.)]|\p{L}[.)])\s/u.test(line)) return 'item';
  if (/^(?: {4}|\t)|[{};]$|^[)}\]]/.test(line)) return 'code';
  return 'prose';
}
