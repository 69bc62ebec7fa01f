/**
 * Whole numbers between bounds. xgrammar's own ranges are wrong from three digits on (106 to 193 takes 100), so a bounded
 * number goes through it as a constant, a mark, which becomes a rule of EBNF afterwards.
 * Knows digits, marks and EBNF as xgrammar prints it.
 */

const MARK = /"\\"blockstitch integer from (-?\d+|any) to (-?\d+|any)\\""/g;

/** Stands for a number of a schema. A bound that is absent is open. */
export function rangeMark(from: number | undefined, to: number | undefined): { const: string } {
  return { const: `blockstitch integer from ${from ?? 'any'} to ${to ?? 'any'}` };
}

/** The grammar with a rule in place of each mark. */
export function withRanges(ebnf: string): string {
  const rules = new Map<string, string>();
  let prefix = 'integer_range_';
  while (ebnf.includes(prefix)) prefix += '_';
  const text = ebnf.replace(MARK, (_mark, from: string, to: string) => {
    const bound = (word: string) => (word === 'any' ? undefined : Number(word));
    const body = rangeBody(bound(from), bound(to));
    const rule = rules.get(body) ?? `${prefix}${rules.size}`;
    rules.set(body, rule);
    return rule;
  });
  return [text, ...Array.from(rules, ([body, rule]) => `${rule} ::= ${body}`)].join('\n');
}

/** @param from at most `to`; both safe whole numbers, or open */
export function rangeBody(from: number | undefined, to: number | undefined): string {
  const parts: string[] = [];
  if (from === undefined || from < 0) {
    const most = from === undefined ? undefined : -from;
    const least = to === undefined || to >= -1 ? 1 : -to;
    parts.push(...natural(least, most).map((digits) => `("-" ${grouped(digits)})`));
  }
  if (to === undefined || to >= 0) parts.push(...natural(Math.max(0, from ?? 0), to).map((digits) => `(${digits})`));
  return parts.join(' | ');
}

/** Numbers from `from`, 0 or more, to `to`, written without zeros in front. */
function natural(from: number, to: number | undefined): string[] {
  const first = String(from);
  const last = to === undefined ? '9'.repeat(first.length) : String(to);
  const parts: string[] = [];
  for (let length = first.length; length <= last.length; length++) {
    const low = length === first.length ? first : `1${'0'.repeat(length - 1)}`;
    const high = length === last.length ? last : '9'.repeat(length);
    parts.push(between(low, high));
  }
  if (to === undefined) parts.push(`[1-9] ${digits(first.length)} [0-9]*`);
  return parts;
}

/** Numbers of equally many digits. */
function between(low: string, high: string): string {
  const count = low.length;
  if (/^0*$/.test(low) && /^9*$/.test(high)) return digits(count);
  const [first, last] = [Number(low[0]), Number(high[0])];
  if (first === last)
    return count === 1 ? digit(first) : `${digit(first)} ${grouped(between(low.slice(1), high.slice(1)))}`;
  const parts: string[] = [];
  const lowIsFull = /^0*$/.test(low.slice(1));
  const highIsFull = /^9*$/.test(high.slice(1));
  const [from, to] = [lowIsFull ? first : first + 1, highIsFull ? last : last - 1];
  if (!lowIsFull) parts.push(`${digit(first)} ${grouped(between(low.slice(1), '9'.repeat(count - 1)))}`);
  if (from <= to) parts.push(`[${from}-${to}] ${digits(count - 1)}`.trim());
  if (!highIsFull) parts.push(`${digit(last)} ${grouped(between('0'.repeat(count - 1), high.slice(1)))}`);
  return parts.map((part) => `(${part})`).join(' | ');
}

function digit(value: number): string {
  return `"${value}"`;
}

function digits(count: number): string {
  return Array.from({ length: count }, () => '[0-9]').join(' ');
}

function grouped(body: string): string {
  return `(${body})`;
}
