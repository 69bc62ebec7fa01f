/**
 * Sets of Unicode code points as ranges, and as the byte ranges of their UTF-8 form.
 * Knows numbers, not patterns or grammars.
 */

/** First and last code point, both included. */
export type Range = readonly [first: number, last: number];
/** Ascending, apart from one another. */
export type CodePoints = readonly Range[];

export const LAST_CODE_POINT = 0x10ffff;
/** Halves of UTF-16 pairs: no characters, and without a UTF-8 form. */
const SURROGATES: Range = [0xd800, 0xdfff];
/** The last code points of one, two and three bytes. */
const LAST_OF_WIDTH = [0x7f, 0x7ff, 0xffff];

export function union(ranges: Iterable<Range>): CodePoints {
  const joined: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((one, other) => one[0] - other[0])) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

/** All characters but these. */
export function complement(set: CodePoints): CodePoints {
  const rest: Range[] = [];
  let from = 0;
  for (const [first, last] of union([...set, SURROGATES])) {
    if (first > from) rest.push([from, first - 1]);
    from = last + 1;
  }
  if (from <= LAST_CODE_POINT) rest.push([from, LAST_CODE_POINT]);
  return rest;
}

export function difference(set: CodePoints, taken: CodePoints): CodePoints {
  return complement(union([...complement(set), ...taken]));
}

export function contains(set: CodePoints, codePoint: number): boolean {
  return set.some(([first, last]) => first <= codePoint && codePoint <= last);
}

/**
 * The UTF-8 form of a set: a text is one of its characters if, for one of the sequences, each byte lies in its range.
 * Splits ranges until all bytes but the first varying one are free (Thompson's construction, as in Rust's utf8-ranges).
 */
export function utf8Sequences(set: CodePoints): (readonly Range[])[] {
  return difference(set, [SURROGATES]).flatMap(([first, last]) => sequencesOf(first, last));
}

function sequencesOf(first: number, last: number): (readonly Range[])[] {
  const split = (at: number) => [...sequencesOf(first, at), ...sequencesOf(at + 1, last)];
  for (const width of LAST_OF_WIDTH) if (first <= width && last > width) return split(width);
  if (last > 0x7f) {
    for (let bits = 6; bits <= 18; bits += 6) {
      const low = 2 ** bits - 1;
      if (first >> bits === last >> bits) break;
      if ((first & low) !== 0) return split(first | low);
      if ((last & low) !== low) return split(last - (last & low) - 1);
    }
  }
  const ends = Buffer.from(String.fromCodePoint(last));
  return [Array.from(Buffer.from(String.fromCodePoint(first)), (byte, index): Range => [byte, ends[index] as number])];
}
