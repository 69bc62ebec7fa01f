/**
 * Cuts text into sentences, or lines where the text is made of lines (code, lists, tables, verse), in one pass and
 * without knowing the language: stops of many scripts, common Latin abbreviations, initials, decimals, soft-wrapped
 * prose. Spans cover the text exactly; white space behind a sentence belongs to it.
 */

/** Half-open span of UTF-16 offsets. */
export interface Span {
  start: number;
  end: number;
}

/**
 * Stops that end a sentence without white space behind them: CJK full stops, Indic dandas, Khmer, Burmese, Ethiopic.
 */
const WIDE_STOPS = new Set('。！？｡．‼⁇⁈⁉।॥።፧؟۔។။༎');
const STOPS = new Set('.!?…');
const CLOSERS = new Set('"\'”’»›)]}」』）】》〉〕｝］＂＇');
const ABBREVIATIONS = new Set(
  (
    'mr mrs ms dr prof sr jr st rev hon gen col lt sgt capt gov sen rep pres e.g i.e eg ie vs etc cf al ca viz approx ' +
    'fig figs eq eqs sec ch vol no nos pp p ed eds est dept univ inc ltd co corp jan feb mar apr jun jul aug sep sept ' +
    'oct nov dec mon tue wed thu fri sat sun a.m p.m u.s u.k u.n z.b bzw usw d.h ggf evtl nr str bd hr fr m mme mlle ' +
    'ex art av env p.ex sra dña núm pág ej tel int min max avg rel'
  ).split(' '),
);
const LONGEST_ABBREVIATION = 8;

/** A line of this length that ends in the middle of a sentence counts as wrapped prose. */
const WRAPPED_LINE_CHARACTERS = 45;

/** @returns spans in order that cover the text; empty for an empty text. Linear in the text's length. */
export function splitSentences(text: string): Span[] {
  const spans: Span[] = [];
  let start = 0;
  let lineStart = 0;
  let at = 0;
  const cut = (end: number) => {
    const stop = skipSpace(text, end);
    spans.push({ start, end: stop });
    start = stop;
    at = stop;
    const lineBreak = text.slice(end - 1, stop).lastIndexOf('\n');
    if (lineBreak >= 0) lineStart = end + lineBreak;
  };
  at = skipSpace(text, 0);
  while (at < text.length) {
    const character = text[at] as string;
    if (character === '\n') {
      if (endsLine(text, lineStart, at)) cut(at + 1);
      else {
        at += 1;
        lineStart = at;
      }
    } else if (WIDE_STOPS.has(character)) cut(skipClosers(text, at + 1));
    else if (STOPS.has(character)) {
      const end = skipClosers(text, at + 1);
      if (endsSentence(text, at, end)) cut(end);
      else at = end;
    } else at += 1;
  }
  if (start < text.length) spans.push({ start, end: text.length });
  return spans;
}

/** Whether a line break ends a unit: an empty line always does, another one unless the line looks wrapped. */
function endsLine(text: string, lineStart: number, lineEnd: number): boolean {
  if (lineEnd - lineStart < WRAPPED_LINE_CHARACTERS) return true;
  const last = text[text[lineEnd - 1] === '\r' ? lineEnd - 2 : lineEnd - 1] ?? '';
  if (!/[\p{L}\p{N},\-–—"”’)]/u.test(last)) return true;
  // After a wrapped line, the next one begins with a word at the margin.
  return !/^["“‘(]?[\p{L}\p{N}]/u.test(text.slice(lineEnd + 1, lineEnd + 4)) || isMarked(text, lineEnd + 1);
}

/** Whether a line begins like an item of a numbered list ("3. ", "b) "). */
function isMarked(text: string, lineStart: number): boolean {
  return /^[\p{L}\p{N}]{1,3}[.)]\s/u.test(text.slice(lineStart, lineStart + 6));
}

/** @param stop offset of the stop @param end offset behind it and its closing quotes */
function endsSentence(text: string, stop: number, end: number): boolean {
  if (end < text.length && !isSpace(text.charCodeAt(end))) return false;
  // "Really?" she asked.
  if (text[stop] !== '.') return end === stop + 1 || !beginsLower(text, end);
  if (stop > 0 && text[stop - 1] === '.') return !beginsLower(text, end);
  if (isAbbreviation(text, stop)) return false;
  return !beginsLower(text, end);
}

function isAbbreviation(text: string, stop: number): boolean {
  let from = stop;
  while (from > 0 && stop - from <= LONGEST_ABBREVIATION && /[\p{L}.]/u.test(text[from - 1] as string)) from -= 1;
  const word = text.slice(from, stop);
  if (word.length > LONGEST_ABBREVIATION || word === '') return false;
  // An initial: one capital, as in "J. S. Bach".
  if (/^\p{Lu}$/u.test(word)) return true;
  return ABBREVIATIONS.has(word.toLowerCase());
}

function beginsLower(text: string, from: number): boolean {
  let at = from;
  let breaks = 0;
  while (at < text.length && isSpace(text.charCodeAt(at))) {
    if (text[at] === '\n') breaks += 1;
    at += 1;
    if (at - from > 64) return false;
  }
  return breaks < 2 && /^\p{Ll}/u.test(text.slice(at, at + 2));
}

function skipClosers(text: string, from: number): number {
  let at = from;
  while (at < text.length && (CLOSERS.has(text[at] as string) || STOPS.has(text[at] as string))) at += 1;
  while (at < text.length && WIDE_STOPS.has(text[at] as string)) at += 1;
  return at;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  let lineStart = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) {
    at += 1;
    if (text.charCodeAt(at - 1) === 0x0a) lineStart = at;
  }
  // Indentation belongs to the line that it indents.
  const seesLineStart = lineStart > from || text[from - 1] === '\n';
  return at < text.length && seesLineStart ? lineStart : at;
}

/** White space: Unicode's White_Space without zero-width spaces. */
export function isSpace(unit: number): boolean {
  return (
    unit === 0x20 ||
    (unit >= 0x09 && unit <= 0x0d) ||
    unit === 0x85 ||
    unit === 0xa0 ||
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}
