/**
 * Scores of free answers against accepted ones, and how sure a mean is. The same rules as training's `answer_scores.py`
 * (a test holds them equal). Knows texts and numbers only.
 */

/** Resamples of a bootstrap interval. */
const RESAMPLES = 2000;
const CONFIDENCE = 0.95;
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** A value with its 95% percentile bootstrap interval. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
}

/** Lower case, without articles and doubled white space, as SQuAD's scorer does it; ASCII punctuation becomes a blank. */
export function normalized(text: string): string {
  return read(text, ' ', false);
}

/**
 * 1 if the words of an accepted answer stand in the answer one behind another, else 0. Punctuation parts words or, as in
 * SQuAD's scorer, is nothing: "U.S." is in "the US", and "3,000" in "3000 people". Articles count where an accepted answer
 * has nothing else.
 */
export function contains(answer: string, accepted: readonly string[]): number {
  return accepted.some((each) => [' ', ''].some((punctuation) => hasWords(answer, each, punctuation))) ? 1 : 0;
}

function hasWords(answer: string, wanted: string, punctuation: string): boolean {
  const articles = read(wanted, punctuation, false) === '';
  const words = read(wanted, punctuation, articles);
  return words !== '' && ` ${read(answer, punctuation, articles)} `.includes(` ${words} `);
}

function read(text: string, punctuation: string, articles: boolean): string {
  const bare = text.toLowerCase().replace(PUNCTUATION, punctuation);
  const words = articles ? bare : bare.replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' ');
  return words.split(/\s+/).filter(Boolean).join(' ');
}

/** Best harmonic mean of word precision and recall over the accepted answers, 0 to 1. */
export function wordF1(answer: string, accepted: readonly string[]): number {
  const given = wordsOf(answer);
  return Math.max(0, ...accepted.map((each) => f1(given, wordsOf(each))));
}

function f1(given: readonly string[], wanted: readonly string[]): number {
  if (given.length === 0 || wanted.length === 0) return given.length === wanted.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of wanted) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    common += 1;
  }
  return (2 * common) / (given.length + wanted.length);
}

function wordsOf(text: string): string[] {
  const bare = normalized(text);
  return bare === '' ? [] : bare.split(' ');
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The middle value; of an even number the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[half] as number)
    : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}

/**
 * A statistic with its 95% percentile bootstrap interval over rows. The same rows always give the same interval.
 *
 * @param values one per row, at least one
 */
export function estimate(values: readonly number[], statistic: (values: readonly number[]) => number): Estimate {
  const random = seededRandom(values.length);
  const drawn = Array.from({ length: RESAMPLES }, () =>
    statistic(values.map(() => values[Math.floor(random() * values.length)] as number)),
  ).sort((a, b) => a - b);
  const edge = (1 - CONFIDENCE) / 2;
  const at = (share: number) => drawn[Math.floor(share * (RESAMPLES - 1))] as number;
  return { value: statistic(values), low: at(edge), high: at(1 - edge) };
}

/** A small generator with a seed (Tommy Ettinger's mulberry32, public domain): numbers from 0 to 1. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
