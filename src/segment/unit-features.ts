/**
 * What the trained segmenter sees of a text: for each unit its words as rows of the embedding table, and a vector of
 * plain features (lengths, punctuation, speaker, layout, lexical cohesion and change of speakers around its end).
 * This is the only implementation: training reads the same numbers through write-features.ts. Everything is local to a
 * unit and its neighbours. Any change here needs a new FEATURE_VERSION and a newly trained model.
 */
import { carriedWords, slidingCohesion, type UnitBags } from './lexical-cohesion.js';
import { type SpeakerLabel, speakerBags, speakerLabels } from './speaker-labels.js';
import type { TextUnit } from './text-units.js';
import { visitWords } from './text-words.js';
import type { WordVocabulary } from './word-vocabulary.js';

export const FEATURE_VERSION = 3;
/** Units on each side of the windows in which shared words are looked for. */
const COHESION_WIDTHS = [2, 6, 16, 48] as const;
/** The same for who speaks. */
const SPEAKER_WIDTHS = [8, 24, 72] as const;
/** Units on the near and the far side of a boundary, for words that are carried over it. */
const CARRIED = { near: 2, far: 24 } as const;
const PLAIN_FEATURES = 40;
const WINDOW_FEATURES = COHESION_WIDTHS.length + SPEAKER_WIDTHS.length;
/** The last three: cosine of the units on both sides alone, and the words carried over, seen from both sides. */
export const FEATURES = PLAIN_FEATURES + WINDOW_FEATURES + 3;
/** Words read of one unit at most. */
const MOST_WORDS = 96;
/** Below this rarity a word says nothing about the topic. */
const LEAST_IDF = 40;

export interface UnitFeatures {
  /** Rows of the embedding table, all units one after another. [words] */
  rows: Int32Array;
  /** Where each unit's words begin in `rows`. [units + 1] */
  offsets: Int32Array;
  /** [units, FEATURES] */
  values: Float32Array;
  /** Words that say something of the topic, for cohesion at any width. */
  bags: UnitBags;
  /** Who speaks. [units] */
  labels: SpeakerLabel[];
  /** Words read of each unit. [units] */
  wordCounts: Int32Array;
}

export function unitFeatures(text: string, units: readonly TextUnit[], vocabulary: WordVocabulary): UnitFeatures {
  const labels = speakerLabels(text, units);
  const { rows, offsets, bags, wordCounts } = readWords(text, units, labels, vocabulary);
  const values = new Float32Array(units.length * FEATURES);
  let previousIndent = 0;
  for (const [index, unit] of units.entries()) {
    const at = index * FEATURES;
    plainFeatures(text, unit, labels[index] as SpeakerLabel, wordCounts[index] as number, values, at);
    values[at + 6] = Math.max(-1, Math.min(1, (unit.indent - previousIndent) / 8));
    if (unit.opensLine) previousIndent = unit.indent;
    const next = units[index + 1];
    values[at + 38] = next ? Number(next.opensLine) : 1;
    values[at + 39] = next ? Math.min(next.blankLines, 3) / 3 : 1;
  }
  const speakers = speakerBags(labels, wordCounts);
  const windows = [
    ...COHESION_WIDTHS.map((width) => ({ bags, width })),
    ...SPEAKER_WIDTHS.map((width) => ({ bags: speakers, width })),
  ];
  for (const [column, window] of windows.entries()) {
    if (window.bags.words.length === 0) continue;
    const cosines = slidingCohesion(window.bags, window.width);
    for (let index = 0; index < units.length; index += 1) {
      values[index * FEATURES + PLAIN_FEATURES + column] = cosines[index] as number;
    }
  }
  const carried = [
    slidingCohesion(bags, 1),
    carriedWords(bags, CARRIED.near, CARRIED.far, true),
    carriedWords(bags, CARRIED.near, CARRIED.far, false),
  ];
  for (const [column, shares] of carried.entries()) {
    for (let index = 0; index < units.length; index += 1) {
      values[index * FEATURES + PLAIN_FEATURES + WINDOW_FEATURES + column] = shares[index] as number;
    }
  }
  return { rows, offsets, values, bags, labels, wordCounts };
}

function readWords(
  text: string,
  units: readonly TextUnit[],
  labels: readonly SpeakerLabel[],
  vocabulary: WordVocabulary,
): { rows: Int32Array; offsets: Int32Array; bags: UnitBags; wordCounts: Int32Array } {
  const rows: number[] = [];
  const offsets = new Int32Array(units.length + 1);
  const wordCounts = new Int32Array(units.length);
  const numbers = new Map<number, number>();
  const bagOffsets = new Int32Array(units.length + 1);
  const words: number[] = [];
  const weights: number[] = [];
  for (const [index, unit] of units.entries()) {
    const start = (labels[index] as SpeakerLabel).textStart;
    wordCounts[index] = visitWords(text, start, unit.contentEnd, MOST_WORDS, (word) => {
      const row = vocabulary.rowOf(word.shape);
      if (row >= 0) rows.push(row);
      else {
        rows.push(vocabulary.sharedRow(word.shape), vocabulary.sharedRow(word.prefix));
        rows.push(vocabulary.sharedRow(word.suffix));
      }
      const idf = word.isPunctuation ? 0 : vocabulary.idfOf(row);
      if (idf < LEAST_IDF) return;
      let number = numbers.get(word.identity);
      if (number === undefined) {
        number = numbers.size;
        numbers.set(word.identity, number);
        weights.push(idf);
      }
      words.push(number);
    });
    // Every unit has a row, so that means are defined: row of the empty word, the first shared one.
    if (rows.length === offsets[index]) rows.push(vocabulary.words);
    offsets[index + 1] = rows.length;
    bagOffsets[index + 1] = words.length;
  }
  const bags = { offsets: bagOffsets, words: Int32Array.from(words), weights: Int32Array.from(weights) };
  return { rows: Int32Array.from(rows), offsets, bags, wordCounts };
}

/** Feature numbers are fixed: see docs/segmenter.md. */
function plainFeatures(
  text: string,
  unit: TextUnit,
  label: SpeakerLabel,
  words: number,
  values: Float32Array,
  at: number,
): void {
  const { contentStart, contentEnd, kind } = unit;
  const length = contentEnd - contentStart;
  const first = text[label.textStart] ?? '';
  const last = text[contentEnd - 1] ?? '';
  const counts = countCharacters(text, label.textStart, Math.min(contentEnd, label.textStart + 2048));
  const total = Math.max(1, counts.total);
  values[at] = Math.log1p(length) / 6;
  values[at + 1] = Math.log1p(words) / 4;
  values[at + 2] = Number(unit.opensLine);
  values[at + 3] = Math.min(unit.blankLines, 3) / 3;
  values[at + 4] = Number(unit.blankLines > 0);
  values[at + 5] = Math.log1p(unit.indent) / 3;
  values[at + 7] = Number(/^\p{Lu}/u.test(first));
  values[at + 8] = Number(/^\p{Ll}/u.test(first));
  values[at + 9] = Number(/^\p{N}/u.test(first));
  values[at + 10] = Number('"“‘(['.includes(first) && first !== '');
  values[at + 11] = Number(kind === 'item');
  values[at + 12] = Number(kind === 'heading');
  values[at + 13] = Number(kind === 'row');
  values[at + 14] = Number(kind === 'code');
  values[at + 15] = Number(kind === 'fence');
  values[at + 16] = Number(kind === 'rule');
  values[at + 17] = Number('.。।'.includes(last) && last !== '');
  values[at + 18] = Number('?？؟'.includes(last) && last !== '');
  values[at + 19] = Number('!！'.includes(last) && last !== '');
  values[at + 20] = Number(':：'.includes(last) && last !== '');
  values[at + 21] = Number(',;{–—-\\'.includes(last) && last !== '');
  values[at + 22] = Number('})]'.includes(last) && last !== '');
  values[at + 23] = Number(counts.questions > 0);
  values[at + 24] = Number(label.speaker !== 0);
  values[at + 25] = Number(label.isSame);
  values[at + 26] = Number(label.isRecent);
  values[at + 27] = counts.upper / total;
  values[at + 28] = counts.digits / total;
  values[at + 29] = counts.marks / total;
  values[at + 30] = counts.wide / total;
  values[at + 31] = Number(counts.lower === 0 && counts.upper > 1);
  values[at + 32] = Number(words > 0 && words <= 8 && !/[.!?,;:]/.test(last));
  values[at + 33] = Number(/^(?:\/\/|#|\/\*|\*|--|;;|%|"""|''')/.test(text.slice(contentStart, contentStart + 3)));
  values[at + 34] = Number(/^\s*[[(<]?\d{1,4}[-:./]\d{2}/.test(text.slice(contentStart, contentStart + 12)));
  values[at + 35] = Number(unit.indent === 0);
  values[at + 36] = Number(label.openedByPrevious);
  values[at + 37] = Math.min(1, label.distance / 16);
}

interface CharacterCounts {
  total: number;
  upper: number;
  lower: number;
  digits: number;
  marks: number;
  wide: number;
  questions: number;
}

function countCharacters(text: string, start: number, end: number): CharacterCounts {
  const counts = { total: end - start, upper: 0, lower: 0, digits: 0, marks: 0, wide: 0, questions: 0 };
  for (let at = start; at < end; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x61 && unit <= 0x7a) counts.lower += 1;
    else if (unit >= 0x41 && unit <= 0x5a) counts.upper += 1;
    else if (unit >= 0x30 && unit <= 0x39) counts.digits += 1;
    else if (unit > 0x7f) {
      counts.wide += 1;
      if (unit === 0xff1f || unit === 0x61f) counts.questions += 1;
    } else if (unit > 0x20) {
      counts.marks += 1;
      if (unit === 0x3f) counts.questions += 1;
    }
  }
  return counts;
}
