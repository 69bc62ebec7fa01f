/**
 * The passages that an application has put into a message by its own template, and where the rest of the message begins:
 * the question behind the last passage. What numbers a passage ("[2]", "Document 3:") and white space at its ends stay
 * outside, so a passage is the same text wherever it stands. So does an instruction in front of the first passage.
 */
import type { Segment } from './segmenter.js';
import type { TextSpan } from './span-tokens.js';

export interface PromptPassages {
  /** In order, apart from one another, without white space at their ends. */
  passages: TextSpan[];
  /** How they were found: where passages were joined, or by the lengths of blocks. */
  by: 'seams' | 'lengths';
  /** UTF-16 units at the text's start that are its instruction; 0 if it has none. */
  instruction: number;
}

/** The question has no more UTF-16 units than this; a longer rest is taken apart at its last paragraph. */
const LONGEST_QUESTION = 1200;
/** A last part longer than this is a passage, if the question stands in another message. */
const LONGEST_CLOSING = 160;
/** What is no longer than this in front of the passages is an instruction, whatever it says. */
const SHORT_INSTRUCTION = 80;
/** Up to this it has a colon at its end, numbered passages behind it, or it speaks of a prompt's parts. */
const LONGEST_INSTRUCTION = 800;
/** Up to this it has both. What is longer is a text, and the order of a text stays. */
const LONGEST_ANNOUNCED = 4000;
const PROMPT_WORDS =
  /\b(answer|question|query|context|document|source|passage|excerpt|information|following|below|cite)/giu;
/** An instruction has so many different ones. */
const LEAST_PROMPT_WORDS = 2;
/** So many lines have to be counted before the count is believed. */
const LEAST_COUNTED = 3;
/** Signs, one word or two, a number, as they stand in front of a passage: "Document 3:", "[2]", `<doc id="4">`. */
const NUMBERED =
  /^(?:[^\p{L}\p{N}\n]{0,12}(?:\p{L}[\p{L}_-]{0,23}(?: \p{L}[\p{L}_-]{0,23})?)?[^\p{L}\p{N}\n]{0,3}\p{N}{1,3})(?![\p{L}\p{N}]|[.,]\p{N})[^\p{L}\p{N}\s]{0,4}/u;
/** A number's mark is never longer, in UTF-16 units; so it never ends inside a character. */
const LONGEST_MARK = 160;
/** A line of nothing but one sign, again and again. The white space in it ends no line, so each is read once. */
const RULE = /^[^\S\n\r\u2028\u2029]*(([-=_*#~+])\2{2,})[^\S\n\r\u2028\u2029]*(?:\r?\n|$)/gm;
/** Where a line's first sign stands, in front of it. */
const LINE = /^[^\S\n\r\u2028\u2029]*(?=\S)/gm;
const RULE_AT_END = /(?:^|\n)[^\S\n]*([-=_*#~+])\1{2,}\s*$/;
/** Branches of a switch and lines of a listing are counted, and are no passages. */
const BRANCH_OR_LINE = /^(?:case\b|[^\p{L}\p{N}]*(?:line|ln|l)[^\p{L}\p{N}]*\p{N})/iu;
/** Behind a name with a number in code ("part1"): it gets a type or a value, is called, indexed or used. */
const CODE_BEHIND = /^(?:\s*(?::\s*[\p{L}\p{N}_<>[\]|, ]{1,40})?[-+*/%&|^?:]?=(?!=)|[([;]|\.\p{L}|->)/u;
/** "[1] = " sets an element. */
const ELEMENT_BEHIND = /^[\])>}]\s*=(?!=)/;
const LONGEST_BEHIND = 80;
/** Counted lines without brackets are so long together with what follows them, on average: shorter ones are steps, or code. */
const LEAST_COUNTED_LENGTH = 80;
/** A number between brackets needs no like of it to be a mark. */
const BRACKETED = /^[[(<{]\p{N}{1,3}[\])>}]/u;

/**
 * @param segments of the whole text, with seams if the segmenter sees any
 * @param holdsQuestion whether the question stands at the end of this text
 * @returns undefined if there is no passage
 */
export function promptPassages(
  text: string,
  segments: readonly Segment[],
  holdsQuestion: boolean,
): PromptPassages | undefined {
  const seen = segments.filter(({ seam }) => seam).map(({ end }) => end);
  const seams = withRules(text, inOrder([...seen, ...countedLines(text)]));
  const by = seams.length > 0 ? 'seams' : 'lengths';
  const ends = by === 'seams' ? [...seams, text.length] : segments.map(({ end }) => end);
  const rest = restStart(text, seams, holdsQuestion);
  const parts = ends
    .map((end, at) => trimmed(text, { start: ends[at - 1] ?? 0, end: Math.min(end, rest) }))
    .filter(({ start, end }) => start < end);
  const passages = by === 'seams' ? withoutInstruction(text, parts) : parts;
  const apart = withoutNumbers(text, passages).filter(({ start, end }) => start < end);
  const first = passages[0]?.start ?? 0;
  const instruction = /\S/.test(text.slice(0, first)) ? first : 0;
  return apart.length === 0 ? undefined : { passages: apart, by, instruction };
}

/** Behind each line of signs that stands in a prompt more than once, there is a seam too. */
function withRules(text: string, seams: readonly number[]): number[] {
  if (seams.length === 0) return [];
  const places = new Map<string, number[]>();
  for (const match of text.matchAll(RULE)) {
    added(places, match[1] as string, match.index + match[0].length);
  }
  const rules = [...places.values()].filter((same) => same.length > 1).flat();
  return inOrder([...seams, ...rules]);
}

/** Where lines begin that an application has counted: one mark, with a number that grows by one from line to line. */
function countedLines(text: string): number[] {
  const counted = new Map<string, { at: number; number: number; isCode: boolean }[]>();
  for (const line of text.matchAll(LINE)) {
    const at = line.index + line[0].length;
    const mark = numberAt(text, { start: at, end: text.length });
    if (mark === undefined || BRANCH_OR_LINE.test(mark) || !(/\p{L}/u.test(mark) || BRACKETED.test(mark))) continue;
    added(counted, masked(mark), { at, number: Number(/\p{N}+/u.exec(mark)?.[0]), isCode: isCode(text, at, mark) });
  }
  return [...counted.values()]
    .filter((same) => same.length >= LEAST_COUNTED && (isBracketed(text, same) || isLong(same)))
    .filter((same) => same.filter((line) => line.isCode).length <= same.length / 2)
    .filter((same) =>
      same.every(({ number }, at) => at === 0 || number === (same[at - 1] as { number: number }).number + 1),
    )
    .flatMap((same) => same.map(({ at }) => at));
}

/** @param mark at the place, with its number */
function isCode(text: string, at: number, mark: string): boolean {
  const digits = /\p{N}+/u.exec(mark);
  if (digits === null) return false;
  const end = at + digits.index + digits[0].length;
  const behind = text.slice(end, end + LONGEST_BEHIND);
  const isName = /[\p{L}_]$/u.test(mark.slice(0, digits.index));
  return isName ? CODE_BEHIND.test(behind) : ELEMENT_BEHIND.test(behind);
}

function isBracketed(text: string, [first]: readonly { at: number }[]): boolean {
  return first !== undefined && BRACKETED.test(text.slice(first.at, first.at + LONGEST_MARK));
}

/** The last one is not measured: the question follows it. */
function isLong(counted: readonly { at: number }[]): boolean {
  const length = (counted.at(-1)?.at ?? 0) - (counted[0]?.at ?? 0);
  return length >= LEAST_COUNTED_LENGTH * (counted.length - 1);
}

function added<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const known = lists.get(key);
  if (known) known.push(value);
  else lists.set(key, [value]);
}

/** Each once, without the start of the text. */
function inOrder(places: readonly number[]): number[] {
  return [...new Set(places)].filter((place) => place > 0).sort((a, b) => a - b);
}

/** @returns where the question begins; the text's length if it is elsewhere */
function restStart(text: string, seams: readonly number[], holdsQuestion: boolean): number {
  const lastSeam = seams.at(-1);
  const length = text.length - (lastSeam ?? 0);
  if (!holdsQuestion) return lastSeam !== undefined && length <= LONGEST_CLOSING ? lastSeam : text.length;
  if (lastSeam !== undefined && length <= LONGEST_QUESTION && !isNumberedLike(text, seams)) return lastSeam;
  const end = text.trimEnd().length;
  const from = Math.max(lastSeam ?? 0, end - LONGEST_QUESTION);
  const paragraph = lastMatchEnd(text.slice(from, end), /\n[^\S\n]*\n/g);
  const line = paragraph ?? lastMatchEnd(text.slice(from, end), /\n/g);
  const sentence = line ?? lastMatchEnd(text.slice(from, end), /[.!?…。！？][)"'”]*\s+/g);
  return from + (sentence ?? 0);
}

/** Whether a passage begins at the last seam: the number there has the mark of the one before. */
function isNumberedLike(text: string, seams: readonly number[]): boolean {
  const [before, last] = seams
    .slice(-2)
    .map((start) => numberAt(text, trimmed(text, { start, end: Math.min(text.length, start + LONGEST_MARK) })));
  return last !== undefined && before !== undefined && masked(last) === masked(before);
}

function lastMatchEnd(text: string, pattern: RegExp): number | undefined {
  let end: number | undefined;
  for (const match of text.matchAll(pattern)) end = match.index + match[0].length;
  return end;
}

/**
 * An instruction stands in front of numbered passages without a number, is short, ends with a colon, or speaks of a prompt's
 * parts in English. A long one does two of these, and a very long first part is none: moving it would tear a text apart.
 */
function withoutInstruction(text: string, parts: readonly TextSpan[]): readonly TextSpan[] {
  const [first, ...others] = parts;
  if (first === undefined || others.length === 0) return parts;
  if (!instructs(text, first, others)) return parts;
  // The line that announces the passages may be a part of its own.
  const [second, ...later] = others;
  const announces = second !== undefined && later.length > 0 && text.slice(second.start, second.end).endsWith(':');
  return announces ? later : others;
}

function instructs(text: string, first: TextSpan, others: readonly TextSpan[]): boolean {
  const shown = text.slice(first.start, first.end);
  if (shown.length <= SHORT_INSTRUCTION) return true;
  if (shown.length > LONGEST_ANNOUNCED) return false;
  const numbered = others.filter((part) => numberAt(text, part) !== undefined).length;
  const isNumbered = numberAt(text, first) !== undefined;
  const announces = shown.endsWith(':') || (!isNumbered && numbered > others.length / 2);
  if (announces && shown.length <= LONGEST_INSTRUCTION) return true;
  if (isNumbered || (!announces && shown.length > LONGEST_INSTRUCTION)) return false;
  const words = new Set([...shown.matchAll(PROMPT_WORDS)].map(([word]) => word.toLowerCase()));
  return words.size >= LEAST_PROMPT_WORDS;
}

/** Takes off each passage's number, if another one has the same mark with a number of its own. */
function withoutNumbers(text: string, passages: readonly TextSpan[]): TextSpan[] {
  const marks = passages.map((part) => numberAt(text, part));
  const alike = new Map<string, number>();
  for (const mark of marks) {
    if (mark !== undefined) alike.set(masked(mark), (alike.get(masked(mark)) ?? 0) + 1);
  }
  return passages.map((part, at) => {
    const mark = marks[at];
    if (mark === undefined || ((alike.get(masked(mark)) ?? 0) < 2 && !BRACKETED.test(mark))) return part;
    return trimmed(text, { start: part.start + mark.length, end: part.end });
  });
}

function numberAt(text: string, { start, end }: TextSpan): string | undefined {
  return NUMBERED.exec(text.slice(start, Math.min(end, start + LONGEST_MARK)))?.[0];
}

function masked(mark: string): string {
  return mark.replace(/\p{N}+/gu, '0');
}

function trimmed(text: string, { start, end }: TextSpan): TextSpan {
  const shown = text.slice(start, end);
  const body = shown.replace(RULE_AT_END, '').trimEnd();
  const left = body.length - body.trimStart().length;
  return { start: start + left, end: start + body.length };
}
