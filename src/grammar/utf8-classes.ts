/**
 * Mends character classes in EBNF. xgrammar takes a positive class for one byte, whatever code points it names: `[一-龥]`
 * would allow any byte up to 0xa5. Here such a class becomes a rule over the bytes of its characters.
 * Knows EBNF as xgrammar prints it: no comments, each class and string on one line.
 */
import { type CodePoints, complement, type Range, union, utf8Sequences } from './code-points.js';

const STRING_OR_CLASS = /"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]/gu;
const CHARACTER =
  /\\x(?<hex2>[0-9a-fA-F]{1,2})|\\u(?<hex4>[0-9a-fA-F]{4})|\\U(?<hex8>[0-9a-fA-F]{8})|\\(?<letter>.)|(?<plain>.)/suy;
const ESCAPES: Readonly<Record<string, number>> = { 0: 0, a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, e: 27 };
const LAST_ASCII = 0x7f;

/** @throws Error if a class has no character */
export function withUtf8Classes(ebnf: string): string {
  const rules = new Map<string, string>();
  let prefix = 'utf8_class_';
  while (ebnf.includes(prefix)) prefix += '_';
  const text = ebnf.replace(STRING_OR_CLASS, (element) => {
    if (element.startsWith('"')) return element;
    const negated = element[1] === '^';
    const named = rangesIn(element.slice(negated ? 2 : 1, -1));
    // xgrammar takes these as they are meant.
    if (named.every(([, last]) => last <= LAST_ASCII)) return element;
    const set = negated ? complement(named) : named;
    const known = negatedAscii(set);
    if (known !== undefined) return known;
    const body = bodyOf(set);
    const rule = rules.get(body) ?? `${prefix}${rules.size}`;
    rules.set(body, rule);
    return rule;
  });
  return [text, ...Array.from(rules, ([body, rule]) => `${rule} ::= ${body}`)].join('\n');
}

function rangesIn(content: string): CodePoints {
  const ranges: Range[] = [];
  let at = 0;
  const next = (): number => {
    CHARACTER.lastIndex = at;
    const groups = CHARACTER.exec(content)?.groups ?? {};
    at = CHARACTER.lastIndex;
    const { hex2, hex4, hex8, letter, plain } = groups;
    const hex = hex2 ?? hex4 ?? hex8;
    if (hex !== undefined) return Number.parseInt(hex, 16);
    if (letter !== undefined) return ESCAPES[letter] ?? (letter.codePointAt(0) as number);
    return plain?.codePointAt(0) as number;
  };
  while (at < content.length) {
    const first = next();
    if (content[at] === '-' && at + 1 < content.length) {
      at++;
      ranges.push([first, next()]);
    } else ranges.push([first, first]);
  }
  return union(ranges);
}

/** The class `[^...]` over ASCII, if the set holds everything beyond it: xgrammar's shortest form. */
function negatedAscii(set: CodePoints): string | undefined {
  const missing = complement(set);
  if (missing.length === 0 || missing.some(([, last]) => last > LAST_ASCII)) return undefined;
  return `[^${missing.map(([first, last]) => `${byte(first)}-${byte(last)}`).join('')}]`;
}

function bodyOf(set: CodePoints): string {
  if (set.length === 0) throw new Error('a character class allows no character');
  const sequences = utf8Sequences(set).map((bytes) => bytes.map(byteClass).join(' '));
  return sequences.map((sequence) => `(${sequence})`).join(' | ');
}

/** A byte that stands alone is named twice: xgrammar would take `[\xc3]` for the character U+00C3. */
function byteClass([first, last]: Range): string {
  return first === last ? `[${byte(first)}${byte(first)}]` : `[${byte(first)}-${byte(last)}]`;
}

function byte(value: number): string {
  return `\\x${value.toString(16).padStart(2, '0')}`;
}
