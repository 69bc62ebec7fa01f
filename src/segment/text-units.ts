/**
 * The units between which the trained segmenter may cut: lines, or the sentences of long lines; hard-wrapped prose is
 * joined to paragraphs first, a code fence is one unit, empty lines belong to the unit before them.
 * Each decision looks at a few lines around, so text added far away changes nothing.
 */
import { isSpace, splitSentences } from '../text/split-sentences.js';
import { type Line, type LineKind, textLines } from './text-lines.js';

export interface TextUnit {
  start: number;
  /** Behind the unit and the empty lines and spaces that follow it: the next unit's start. */
  end: number;
  /** Without the white space around it. */
  contentStart: number;
  contentEnd: number;
  kind: LineKind;
  /** Whether the unit begins a line. */
  opensLine: boolean;
  /** Empty lines before it. */
  blankLines: number;
  /** Columns of white space before it; a tab counts four. */
  indent: number;
}

/** Lines up to this many UTF-16 units stay whole. */
const WHOLE_LINE = 240;
/** Lines looked at on each side to tell whether prose is hard-wrapped. */
const WRAP_REACH = 8;
const WRAP_NARROWEST = 50;
const WRAP_WIDEST = 120;
/** Share of the lines around that must end because the next word would not fit. */
const WRAP_SHARE = 0.6;
/** More units than this are joined in pairs, fours and so on: no text needs them, and work must stay bounded. */
const MOST_UNITS = 1 << 17;

interface Run {
  start: number;
  end: number;
  kind: LineKind;
  blankLines: number;
}

/** @returns units in order that cover the text; empty for an empty text. Linear in the text's length. */
export function splitUnits(text: string): TextUnit[] {
  const units: TextUnit[] = [];
  for (const run of paragraphs(text)) addUnits(units, text, run);
  const first = units[0];
  if (first) first.start = 0;
  else if (text.length > 0) units.push(emptyUnit(text.length));
  for (const [index, unit] of units.entries()) unit.end = units[index + 1]?.start ?? text.length;
  return thinned(units);
}

/** Lines, with wrapped ones joined. */
function paragraphs(text: string): Run[] {
  const lines: (Line & { blankLines: number })[] = [];
  let blankLines = 0;
  for (const line of textLines(text)) {
    if (line.kind === 'empty') blankLines += 1;
    else {
      lines.push({ ...line, blankLines });
      blankLines = 0;
    }
  }
  const wraps = wrappedBreaks(text, lines);
  const runs: Run[] = [];
  for (const [index, line] of lines.entries()) {
    const last = runs.at(-1);
    if (last && wraps[index - 1]) last.end = line.end;
    else runs.push({ ...line });
  }
  return runs;
}

/** For each line, 1 where its break only wraps a sentence that goes on in the next line. */
function wrappedBreaks(text: string, lines: readonly (Line & { blankLines: number })[]): Uint8Array {
  const full = new Uint8Array(lines.length);
  const counted = new Uint8Array(lines.length);
  const widths = new Int32Array(lines.length);
  for (const [index, line] of lines.entries()) {
    widths[index] = line.kind === 'prose' ? Math.min(contentEnd(text, line.start, line.end) - line.start, 1 << 20) : 0;
  }
  for (let index = 0; index + 1 < lines.length; index += 1) {
    const next = lines[index + 1] as Line & { blankLines: number };
    const width = widths[index] as number;
    if (width === 0 || next.kind !== 'prose' || next.blankLines > 0) continue;
    counted[index] = 1;
    const widest = maximum(widths, index - WRAP_REACH, index + WRAP_REACH);
    if (widest < WRAP_NARROWEST || widest > WRAP_WIDEST || width < WRAP_NARROWEST / 2) continue;
    if (width + 1 + firstWordLength(text, next) > widest) full[index] = 1;
  }
  const wraps = new Uint8Array(lines.length);
  for (let index = 0; index + 1 < lines.length; index += 1) {
    if (!full[index]) continue;
    let wrapped = 0;
    let all = 0;
    for (let near = Math.max(0, index - WRAP_REACH); near <= index + WRAP_REACH && near < lines.length; near += 1) {
      all += counted[near] as number;
      wrapped += full[near] as number;
    }
    const line = lines[index] as Line;
    const last = text[contentEnd(text, line.start, line.end) - 1] ?? '';
    if (wrapped >= WRAP_SHARE * all && !/[.!?:;。！？]/.test(last)) wraps[index] = 1;
  }
  return wraps;
}

function maximum(values: Int32Array, from: number, to: number): number {
  let most = 0;
  for (let at = Math.max(0, from); at <= to && at < values.length; at += 1) most = Math.max(most, values[at] as number);
  return most;
}

function firstWordLength(text: string, line: Line): number {
  let at = line.start;
  while (at < line.end && isSpace(text.charCodeAt(at))) at += 1;
  const start = at;
  while (at < line.end && at - start < WRAP_WIDEST && !isSpace(text.charCodeAt(at))) at += 1;
  return at - start;
}

function addUnits(units: TextUnit[], text: string, run: Run): void {
  const end = contentEnd(text, run.start, run.end);
  const whole = end - run.start <= WHOLE_LINE || run.kind === 'fence' || run.kind === 'row';
  const spans = whole
    ? [{ start: 0, end: end - run.start }]
    : splitSentences(text.slice(run.start, end).replaceAll('\n', ' '));
  for (const [index, span] of spans.entries()) {
    const start = run.start + span.start;
    let contentStart = start;
    let indent = 0;
    while (contentStart < end && isSpace(text.charCodeAt(contentStart))) {
      indent += text.charCodeAt(contentStart) === 9 ? 4 : 1;
      contentStart += 1;
    }
    units.push({
      start,
      end: run.start + span.end,
      contentStart,
      contentEnd: contentEnd(text, contentStart, run.start + span.end),
      kind: run.kind,
      opensLine: index === 0,
      blankLines: index === 0 ? run.blankLines : 0,
      indent: index === 0 ? indent : 0,
    });
  }
}

function contentEnd(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isSpace(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function emptyUnit(length: number): TextUnit {
  return {
    start: 0,
    end: length,
    contentStart: 0,
    contentEnd: 0,
    kind: 'empty',
    opensLine: true,
    blankLines: 0,
    indent: 0,
  };
}

function thinned(units: TextUnit[]): TextUnit[] {
  if (units.length <= MOST_UNITS) return units;
  const size = 2 ** Math.ceil(Math.log2(units.length / MOST_UNITS));
  const joined: TextUnit[] = [];
  for (let at = 0; at < units.length; at += size) {
    const last = units[Math.min(at + size, units.length) - 1] as TextUnit;
    joined.push({ ...(units[at] as TextUnit), end: last.end, contentEnd: last.contentEnd });
  }
  return joined;
}
