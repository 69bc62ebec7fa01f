/**
 * Whether a text is talk, by its first lines: they name who speaks, or they are short as turns of a chat and ask as
 * often. No words are read, so this holds in every language.
 */
import type { TalkParts } from './talk-features.js';

type Lines = Pick<TalkParts, 'text' | 'units' | 'labels'>;

/** Units that are looked at. What is added behind them changes nothing. */
const SAMPLE_UNITS = 512;
/** Share of the lines that have to name a speaker. */
const LABELLED = 0.6;
/** With fewer speakers it is a chat or an interview. */
const LEAST_SPEAKERS = 3;
/** A chat without names has so many lines, of so many UTF-16 units at most on average. */
const LEAST_LINES = 4;
const LONGEST_LINE = 160;
/** So large a share of its lines ends with a question mark, and no larger one stands behind an empty line. */
const LEAST_QUESTIONS = 0.08;
const MOST_APART = 0.2;
const QUESTION_MARK = /[?？؟]/;

/** Whether people talk in the text: most lines name a speaker, or they are those of a chat. */
export function isTalk(part: Lines): boolean {
  return namedSpeakers(part) > 0 || isChat(part);
}

/** Whether most lines name who speaks, and three people or more do. */
export function isMeeting(part: Pick<Lines, 'units' | 'labels'>): boolean {
  return namedSpeakers(part) >= LEAST_SPEAKERS;
}

/** @returns how many speakers the lines name; 0 where most of them name none */
function namedSpeakers({ units, labels }: Pick<Lines, 'units' | 'labels'>): number {
  const speakers = new Set<number>();
  let lines = 0;
  let named = 0;
  for (let at = 0; at < Math.min(units.length, SAMPLE_UNITS); at += 1) {
    if (!units[at]?.opensLine) continue;
    const speaker = labels[at]?.speaker ?? 0;
    lines += 1;
    if (speaker === 0) continue;
    named += 1;
    speakers.add(speaker);
  }
  return named >= LABELLED * lines ? speakers.size : 0;
}

function isChat({ text, units }: Lines): boolean {
  let lines = 0;
  let questions = 0;
  let apart = 0;
  let length = 0;
  for (const [at, unit] of units.slice(0, SAMPLE_UNITS).entries()) {
    length += unit.contentEnd - unit.contentStart;
    lines += Number(unit.opensLine);
    apart += Number(unit.opensLine && unit.blankLines > 0);
    const closesLine = units[at + 1]?.opensLine ?? true;
    questions += Number(closesLine && QUESTION_MARK.test(text.charAt(unit.contentEnd - 1)));
  }
  if (lines < LEAST_LINES) return false;
  return length <= LONGEST_LINE * lines && questions >= LEAST_QUESTIONS * lines && apart <= MOST_APART * lines;
}
