/**
 * Who speaks in a unit, if the text says so at the beginning of a line: "Name:", "Name Surname :", "<nick>", "[nick]".
 * A label counts only if it comes again nearby, so "Note:" in prose is not one.
 */
import { isSpace } from '../text/split-sentences.js';
import type { UnitBags } from './lexical-cohesion.js';
import type { TextUnit } from './text-units.js';
import { hashOf } from './text-words.js';

export interface SpeakerLabel {
  /** Hash of the label, 0 for none. */
  speaker: number;
  /** The same as the label before. */
  isSame: boolean;
  /** Among the labels of the last few units. */
  isRecent: boolean;
  /** Whether the unit before had a label. */
  openedByPrevious: boolean;
  /** Units since this speaker's last one, at most 16. */
  distance: number;
  /** Where the unit's own text begins, behind the label. */
  textStart: number;
}

const PATTERN =
  /^(?:\[?\(?\d{1,2}:\d{2}(?::\d{2})?\)?\]?\s+)?(?:<([^<>\n]{1,32})>|([\p{L}\p{N}][\p{L}\p{N} .'’_()-]{0,38}?)\s?[:：])(?=\s|$)/u;
/** Units on each side in which the label has to come again. */
const REACH = 24;
const RECENT = 16;
/** So many units without a label still belong to the last speaker. */
const CARRIED = 24;
const MOST_SHARE = 8;

export function speakerLabels(text: string, units: readonly TextUnit[]): SpeakerLabel[] {
  const speakers = new Float64Array(units.length);
  const ends = new Int32Array(units.length);
  for (const [index, unit] of units.entries()) {
    if (!unit.opensLine || unit.kind === 'fence' || unit.kind === 'row') continue;
    const found = PATTERN.exec(text.slice(unit.contentStart, Math.min(unit.contentEnd, unit.contentStart + 56)));
    if (!found) continue;
    speakers[index] = hashOf((found[1] ?? found[2] ?? '').trim());
    ends[index] = unit.contentStart + found[0].length;
  }
  const labels: SpeakerLabel[] = [];
  let previous = 0;
  for (const [index, unit] of units.entries()) {
    const speaker = speakers[index] as number;
    const label: SpeakerLabel = {
      speaker: 0,
      isSame: false,
      isRecent: false,
      openedByPrevious: index > 0 && (labels[index - 1] as SpeakerLabel).speaker !== 0,
      distance: RECENT,
      textStart: unit.contentStart,
    };
    if (speaker !== 0 && comesAgain(speakers, index)) {
      label.speaker = speaker;
      label.isSame = speaker === previous;
      for (let back = 1; back <= RECENT && index - back >= 0; back += 1) {
        if (speakers[index - back] !== speaker) continue;
        label.distance = back;
        label.isRecent = true;
        break;
      }
      let at = ends[index] as number;
      while (at < unit.contentEnd && isSpace(text.charCodeAt(at))) at += 1;
      label.textStart = at;
      previous = speaker;
    }
    labels.push(label);
  }
  return labels;
}

/**
 * The speakers of units as bags, so that slidingCohesion can compare windows by who speaks in them. A unit counts by
 * the root of its length.
 *
 * @param wordCounts [units]
 */
export function speakerBags(labels: readonly SpeakerLabel[], wordCounts: ArrayLike<number>): UnitBags {
  const numbers = new Map<number, number>();
  const offsets = new Int32Array(labels.length + 1);
  const words: number[] = [];
  let speaker = 0;
  let since = 0;
  for (const [index, label] of labels.entries()) {
    since += 1;
    if (label.speaker !== 0) {
      speaker = label.speaker;
      since = 0;
    }
    if (speaker !== 0 && since <= CARRIED) {
      const number = numbers.get(speaker) ?? numbers.size;
      numbers.set(speaker, number);
      const share = Math.min(MOST_SHARE, 1 + Math.floor(Math.sqrt(wordCounts[index] as number)));
      for (let count = 0; count < share; count += 1) words.push(number);
    }
    offsets[index + 1] = words.length;
  }
  return { offsets, words: Int32Array.from(words), weights: new Int32Array(numbers.size).fill(1) };
}

function comesAgain(speakers: Float64Array, index: number): boolean {
  const to = Math.min(speakers.length - 1, index + REACH);
  for (let at = Math.max(0, index - REACH); at <= to; at += 1) {
    if (at !== index && speakers[at] === speakers[index]) return true;
  }
  return false;
}
