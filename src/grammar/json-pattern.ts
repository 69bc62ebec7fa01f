/**
 * From the regular expression of a JSON string's value to one of the text between its quotes. xgrammar matches a schema's
 * `pattern` against that text, where quotes, backslashes and control characters must be escaped: left as it is, `^.*$`
 * would allow a bare quote, and the answer would not be JSON.
 * Matches the whole value, so anchors around it go. Knows the syntax of JavaScript's expressions with the flag u.
 */
import { type CodePoints, complement, contains, difference, type Range, union } from './code-points.js';

/** Why a pattern cannot be enforced, as the end of a sentence. */
export class PatternNotEnforceable extends Error {}

const of = (characters: string): CodePoints =>
  union(Array.from(characters, (each): Range => [each.codePointAt(0) as number, each.codePointAt(0) as number]));
const DIGITS: CodePoints = [[0x30, 0x39]];
const WORD = union([...DIGITS, [0x41, 0x5a], [0x61, 0x7a], ...of('_')]);
const BLANKS = union([...of('\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'), [0x2000, 0x200a]]);
const SETS: Readonly<Record<string, CodePoints>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: BLANKS,
  S: complement(BLANKS),
};
const DOT = complement(of('\n\r\u2028\u2029'));
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { 0: 0, t: 9, n: 10, v: 11, f: 12, r: 13 };
/** What must not stand bare between the quotes of a JSON string. */
const BARRED = union([[0, 0x1f], ...of('"\\')]);
/** Characters with a short escape, and the letter behind its backslash. */
const SHORT_ESCAPES: readonly (readonly [number, string])[] = [
  [0x22, '"'],
  [0x5c, '\\'],
  [0x08, 'b'],
  [0x0c, 'f'],
  [0x0a, 'n'],
  [0x0d, 'r'],
  [0x09, 't'],
];

/**
 * @param pattern an expression that JavaScript takes with the flag u
 * @throws PatternNotEnforceable
 */
export function patternOfJsonText(pattern: string): string {
  return `(?:${new Reader(pattern).read()})`;
}

class Reader {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;
  /** Nothing but anchors was read since the beginning of an alternative. */
  #atStart = true;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  read(): string {
    const made: string[] = [];
    while (this.#at < this.#pattern.length) made.push(this.#element());
    return made.join('');
  }

  #element(): string {
    const start = this.#at;
    const next = this.#take();
    const atStart = this.#atStart;
    this.#atStart = next === '|' || (next === '^' && atStart);
    switch (next) {
      case '^':
        if (this.#depth > 0 || !atStart) throw inside('^');
        return '';
      case '$':
        if (this.#depth > 0 || (this.#at < this.#pattern.length && this.#pattern[this.#at] !== '|')) throw inside('$');
        return '';
      case '(':
        return this.#group();
      case ')':
        this.#depth--;
        return next;
      case '|':
      case '*':
      case '+':
      case '?':
        return next;
      case '{': {
        const end = this.#pattern.indexOf('}', this.#at) + 1;
        const counts = this.#pattern.slice(start, end);
        this.#at = end;
        return counts;
      }
      case '[':
        return textOf(this.#class());
      case '.':
        return textOf(DOT);
      case '\\':
        return textOf(this.#escaped());
      default:
        return textOf(of(next));
    }
  }

  #group(): string {
    this.#depth++;
    const head = /^\?(?:[:=!]|<[=!]|<[^>]*>|[a-z-]*:)/u.exec(this.#pattern.slice(this.#at))?.[0];
    if (head !== undefined && /[=!]$/u.test(head))
      throw new PatternNotEnforceable('looks ahead or behind, which is not supported');
    if (head !== undefined && /^\?[a-z-]/u.test(head))
      throw new PatternNotEnforceable('changes flags, which is not supported');
    this.#at += head?.length ?? 0;
    return '(?:';
  }

  #class(): CodePoints {
    const negated = this.#pattern[this.#at] === '^';
    if (negated) this.#at++;
    const parts: Range[] = [];
    while (this.#pattern[this.#at] !== ']') {
      const first = this.#classMember();
      const isRange = this.#pattern[this.#at] === '-' && this.#pattern[this.#at + 1] !== ']';
      if (!isRange) parts.push(...first);
      else {
        this.#at++;
        parts.push([first[0]?.[0] as number, this.#classMember()[0]?.[0] as number]);
      }
    }
    this.#at++;
    return negated ? complement(union(parts)) : union(parts);
  }

  #classMember(): CodePoints {
    const next = this.#take();
    if (next !== '\\') return of(next);
    if (this.#pattern[this.#at] !== 'b') return this.#escaped();
    this.#at++;
    return of('\b');
  }

  /** What follows a backslash. */
  #escaped(): CodePoints {
    const letter = this.#take();
    if (letter in SETS) return SETS[letter] as CodePoints;
    if (letter in CONTROL_ESCAPES) return of(String.fromCharCode(CONTROL_ESCAPES[letter] as number));
    if (letter === 'x') return of(String.fromCharCode(this.#hex(2)));
    if (letter === 'u') return this.#unicode();
    if (letter === 'c') return of(String.fromCharCode((this.#take().codePointAt(0) as number) & 31));
    if (/[bB]/u.test(letter)) throw new PatternNotEnforceable('has a word boundary, which is not supported');
    if (/[1-9k]/u.test(letter)) throw new PatternNotEnforceable('refers to a group, which is not supported');
    if (/[pP]/u.test(letter)) throw new PatternNotEnforceable(`has a class \\${letter}{}, which is not supported`);
    return of(letter);
  }

  #unicode(): CodePoints {
    if (this.#pattern[this.#at] === '{') {
      const end = this.#pattern.indexOf('}', this.#at);
      const codePoint = Number.parseInt(this.#pattern.slice(this.#at + 1, end), 16);
      this.#at = end + 1;
      return of(String.fromCodePoint(codePoint));
    }
    const unit = this.#hex(4);
    const isPair = unit >= 0xd800 && unit < 0xdc00 && /^\\u[dD][c-fC-F]/u.test(this.#pattern.slice(this.#at));
    if (!isPair) return of(String.fromCharCode(unit));
    this.#at += 2;
    return of(String.fromCharCode(unit, this.#hex(4)));
  }

  #hex(digits: number): number {
    const text = this.#pattern.slice(this.#at, this.#at + digits);
    this.#at += digits;
    return Number.parseInt(text, 16);
  }

  /** The next character. */
  #take(): string {
    const next = String.fromCodePoint(this.#pattern.codePointAt(this.#at) as number);
    this.#at += next.length;
    return next;
  }
}

/** An expression of one character of the set, bare or escaped. */
function textOf(set: CodePoints): string {
  const bare = difference(set, BARRED).map(([first, last]) => `${hex(first)}-${hex(last)}`);
  const letters = SHORT_ESCAPES.filter(([codePoint]) => contains(set, codePoint)).map(([, letter]) =>
    hex(letter.codePointAt(0) as number),
  );
  const forms = [
    ...(bare.length === 0 ? [] : [`[${bare.join('')}]`]),
    ...(letters.length === 0 ? [] : [`\\\\[${letters.join('')}]`]),
  ];
  if (forms.length === 0) throw new PatternNotEnforceable('has a class without a character that can be written');
  return forms.length === 1 && bare.length > 0 ? (forms[0] as string) : `(?:${forms.join('|')})`;
}

function hex(codePoint: number): string {
  return `\\u{${codePoint.toString(16)}}`;
}

function inside(anchor: string): PatternNotEnforceable {
  return new PatternNotEnforceable(`has ${anchor} inside, which is not supported`);
}
