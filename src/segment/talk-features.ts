/**
 * What may tell that a meeting goes on to another topic, seen from each boundary: words and speakers of the windows on
 * both sides at widths up to 200 units, who takes the floor and was silent before, how long turns are, and phrases by
 * which people open, close and hand over. Topics of meetings are long, and the network, which has seen few meetings,
 * learns their words by heart; these numbers hold no word of any meeting. Training reads the same numbers through
 * write-features.ts. Any change here needs new trees (talk-trees.ts).
 */
import { type Pace, unhurried } from '../text/pace.js';
import { slidingCohesion, smoothed, type UnitBags } from './lexical-cohesion.js';
import { type SpeakerLabel, speakerBags } from './speaker-labels.js';
import type { TextUnit } from './text-units.js';

const COHESION_WIDTHS = [5, 10, 20, 50, 100, 200] as const;
const SHARE_WIDTHS = [10, 30, 100] as const;
const LENGTH_WIDTHS = [1, 3, 10, 30] as const;
const CUE_WIDTH = 5;
/** Units for which a silence is counted. */
const LONGEST_SILENCE = 200;
/** UTF-16 units from the beginning and the end of the text that are told apart. */
const EDGE = 8000;
/** UTF-16 units of a unit in which phrases are looked for. */
const CUE_TEXT = 480;

/** Classes of phrases that move a meeting on. They are of English; in other languages the rest has to do. */
const CUES = [
  /\b(?:agenda|next|mov(?:e|ing) on|go on to|get on to|turn to|(?:first|last|another|other) (?:item|topic|thing|question|issue|point|business)|item (?:number|one|two|three|four|five|six|\d+))\b/,
  /\b(?:let's|let us|shall we|we (?:can|should|could|will|want to|need to) (?:start|begin|move|talk|go|look|discuss)|we'll (?:start|begin|move|talk|go|look|discuss)|(?:want|wanted|like|going) to (?:talk|discuss|start|begin|go|ask|turn|move|present|show)|talk about|questions? (?:about|from|on|for)|tell us|discuss)\b/,
  /\b(?:you're next|your turn|over to you|go ahead|do you want to|would you like to|call (?:on|upon)|invite|the floor|hand over|welcome|presentation|honou?rable|minister|the member|mr|mrs|ms|chair|committee)\b/,
  /\b(?:thank|thanks|that's (?:it|all|about it|good|great)|any (?:other |more )?(?:questions|comments)|anything else|sounds good|very much|great|perfect|done|wrap|finish|finished|summary|summari[sz]e)\b/,
  /^(?:okay|ok|right|alright|all right|so|now|well|anyway|good|um|uh|yeah|and|but)\b/,
  /^(?:okay|ok|right|alright|all right|so|now|well|anyway)\b[^a-z]{0,6}(?:um|uh|mm)?[^a-z]{0,6}(?:so|now|then|well|next|let|let's|we|i|the)\b/,
  /\?$/,
] as const;

/** Behind each unit, in this order: see the columns in `talkFeatures`. */
export const TALK_FEATURES =
  3 * COHESION_WIDTHS.length + 2 + 4 * SHARE_WIDTHS.length + 2 * LENGTH_WIDTHS.length + 4 * CUES.length + 2;

export interface TalkParts {
  text: string;
  units: readonly TextUnit[];
  /** Who speaks in each unit. [units] */
  labels: readonly SpeakerLabel[];
  /** Words of each unit. [units] */
  wordCounts: ArrayLike<number>;
  bags: UnitBags;
}

/**
 * @param pace told of the units, for each few columns
 * @returns numbers about the boundary behind each unit, the last one too. [units, TALK_FEATURES]
 */
export function talkFeatures(parts: TalkParts, pace: Pace = unhurried): Float32Array {
  const { text, units, labels, wordCounts, bags } = parts;
  const columns: ArrayLike<number>[] = [];
  const speakerWords = speakerBags(labels, wordCounts);
  for (const width of COHESION_WIDTHS) {
    const cosines = smoothed(slidingCohesion(bags, width));
    columns.push(cosines, depths(cosines, 2 * width), slidingCohesion(speakerWords, width));
    pace(units.length);
  }
  const speakers = carriedSpeakers(labels);
  columns.push(...floorChanges(speakers));
  for (const width of SHARE_WIDTHS) columns.push(...speechShares(speakers, wordCounts, width));
  pace(units.length);
  for (const width of LENGTH_WIDTHS) columns.push(...windowSums(wordCounts, width).map((sums) => sums.map(Math.log1p)));
  const said = units.map((unit, index) => plainSpeech(text, unit, labels[index] as SpeakerLabel));
  for (const cue of CUES) {
    const found = Float64Array.from(said, (words) => Number(cue.test(words)));
    columns.push(
      found,
      Float64Array.from(found, (_, at) => found[at + 1] ?? 0),
      ...windowSums(found, CUE_WIDTH),
    );
  }
  columns.push(Float64Array.from(units, ({ end }) => Math.min(1, end / EDGE)));
  columns.push(Float64Array.from(units, ({ end }) => Math.min(1, (text.length - end) / EDGE)));
  const values = new Float32Array(units.length * TALK_FEATURES);
  for (const [column, numbers] of columns.entries()) {
    for (let at = 0; at < units.length; at += 1) values[at * TALK_FEATURES + column] = numbers[at] as number;
  }
  return values;
}

/**
 * How deep the valley is in which each value lies: what the highest values within `reach` on either side lie above it
 * (Hearst 1997, TextTiling, section 4, with a bounded reach).
 */
function depths(values: Float64Array, reach: number): Float64Array {
  const before = highestBefore(values, reach);
  const behind = highestBefore(values.toReversed(), reach).toReversed();
  return values.map((value, at) => (before[at] as number) + (behind[at] as number) - 2 * value);
}

/** Highest value among each and the `reach` before it. Each value enters and leaves a queue once. */
function highestBefore(values: Float64Array, reach: number): Float64Array {
  const queue = new Int32Array(values.length);
  let first = 0;
  let count = 0;
  return values.map((value, at) => {
    while (count > first && (values[queue[count - 1] as number] as number) <= value) count -= 1;
    queue[count] = at;
    count += 1;
    if ((queue[first] as number) < at - reach) first += 1;
    return values[queue[first] as number] as number;
  });
}

/** Number of the speaker of each unit, from 1: that of its label, or of the last one. 0 before the first label. [units] */
function carriedSpeakers(labels: readonly SpeakerLabel[]): Int32Array {
  const numbers = new Map<number, number>();
  let last = 0;
  return Int32Array.from(labels, ({ speaker }) => {
    if (speaker !== 0) {
      last = numbers.get(speaker) ?? numbers.size + 1;
      numbers.set(speaker, last);
    }
    return last;
  });
}

/** Whether another speaks next, and the logarithm of the units since that one last spoke. */
function floorChanges(speakers: Int32Array): Float64Array[] {
  const last = new Map<number, number>();
  const changes = new Float64Array(speakers.length);
  const silences = new Float64Array(speakers.length);
  for (const [at, speaker] of speakers.entries()) {
    last.set(speaker, at);
    const next = speakers[at + 1] ?? speaker;
    changes[at] = Number(next !== speaker);
    const since = at + 1 - (last.get(next) ?? Number.NEGATIVE_INFINITY);
    silences[at] = Math.log1p(Math.min(LONGEST_SILENCE, since));
  }
  return [changes, silences];
}

/** Shares of the words in the windows before and behind: of the speaker who is next, and of the one before. Four columns. */
function speechShares(speakers: Int32Array, words: ArrayLike<number>, width: number): Float64Array[] {
  const count = speakers.length;
  const highest = speakers.reduce((most, speaker) => Math.max(most, speaker), 0);
  const sides = [new Float64Array(highest + 1), new Float64Array(highest + 1)] as const;
  const totals = [0, 0];
  const put = (side: 0 | 1, unit: number, sign: number) => {
    if (unit < 0 || unit >= count) return;
    const said = sign * (words[unit] as number);
    const speaker = speakers[unit] as number;
    sides[side][speaker] = (sides[side][speaker] as number) + said;
    totals[side] = (totals[side] as number) + said;
  };
  const columns = Array.from({ length: 4 }, () => new Float64Array(count));
  for (let unit = 0; unit < width; unit += 1) put(1, unit, 1);
  for (let at = 0; at < count; at += 1) {
    put(1, at, -1);
    put(0, at, 1);
    put(1, at + width, 1);
    put(0, at - width, -1);
    const current = speakers[at] as number;
    const next = speakers[at + 1] ?? current;
    for (const [column, speaker] of [next, next, current, current].entries()) {
      const side = (column % 2) as 0 | 1;
      const share = (sides[side][speaker] as number) / Math.max(1, totals[side] as number);
      (columns[column] as Float64Array)[at] = share;
    }
  }
  return columns;
}

/** Sums over the last `width` units up to each, and over as many behind it. */
function windowSums(values: ArrayLike<number>, width: number): [Float64Array, Float64Array] {
  const count = values.length;
  const sums = new Float64Array(count + 1);
  for (let at = 0; at < count; at += 1) sums[at + 1] = (sums[at] as number) + (values[at] as number);
  const between = (from: number, to: number) =>
    (sums[Math.min(count, to)] as number) - (sums[Math.max(0, from)] as number);
  const places = Float64Array.from({ length: count }, (_, at) => at + 1);
  return [places.map((at) => between(at - width, at)), places.map((at) => between(at, at + width))];
}

/** What a unit says in small letters, without a transcriber's marks ("{vocalsound}") and spaces before apostrophes. */
function plainSpeech(text: string, unit: TextUnit, label: SpeakerLabel): string {
  return text
    .slice(label.textStart, Math.min(unit.contentEnd, label.textStart + CUE_TEXT))
    .toLowerCase()
    .replace(/\{\w{0,32}\}/g, ' ')
    .replace(/\s+(?=['’])/g, '')
    .replaceAll('’', "'")
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .trimEnd();
}
