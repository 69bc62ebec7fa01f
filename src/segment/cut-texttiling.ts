/**
 * TextTiling (Hearst 1997) over the units of the text: shared words of the windows before and behind each boundary,
 * smoothed, and how deep each valley lies below the peaks beside it (section 4). Windows reach half a target length.
 */
import { cutByStrengths, standardized } from './cut-by-strengths.js';
import type { Cut } from './cut-structural.js';
import { slidingCohesion } from './lexical-cohesion.js';
import { splitUnits, type TextUnit } from './text-units.js';
import { visitWords } from './text-words.js';

/** Shorter words are left out: there is no list of stop words for every language. */
const LEAST_LETTERS = 4;
/** Words of a unit that are looked at. */
const MOST_WORDS = 4096;
/** About so many UTF-16 units make a token. */
const TOKEN_CHARACTERS = 4;

export const cutTextTiling: Cut = (tokens, limits) => {
  const { text } = tokens;
  const units = splitUnits(text);
  const width = Math.max(2, Math.round((limits.targetTokens * TOKEN_CHARACTERS * units.length) / (2 * text.length)));
  const scores = smooth(slidingCohesion(bagsOf(text, units), width));
  const strengths = standardized(depths(scores));
  return cutByStrengths(tokens, [{ units, strengthsOf: () => strengths }], limits);
};

function bagsOf(text: string, units: readonly TextUnit[]) {
  const numbers = new Map<number, number>();
  const words: number[] = [];
  const offsets = new Int32Array(units.length + 1);
  for (const [index, unit] of units.entries()) {
    visitWords(text, unit.contentStart, unit.contentEnd, MOST_WORDS, (word) => {
      if (word.end - word.start < LEAST_LETTERS && text.charCodeAt(word.start) < 0x2e80) return;
      const number = numbers.get(word.identity) ?? numbers.size;
      numbers.set(word.identity, number);
      words.push(number);
    });
    offsets[index + 1] = words.length;
  }
  return { offsets, words: Int32Array.from(words), weights: new Int32Array(numbers.size).fill(1) };
}

/** Mean of three. */
function smooth(scores: Float64Array): Float64Array {
  return scores.map((score, at) => (score + (scores[at - 1] ?? score) + (scores[at + 1] ?? score)) / 3);
}

/** Sum of the climbs from each boundary to the nearest peaks on its left and right. Linear in the number of them. */
function depths(scores: Float64Array): Float64Array {
  const left = climbs(scores);
  const right = climbs(scores.toReversed()).reverse();
  return left.map((climb, at) => climb + (right[at] as number));
}

function climbs(scores: Float64Array): Float64Array {
  const climb = new Float64Array(scores.length);
  for (let at = 1; at < scores.length; at += 1) {
    const step = (scores[at - 1] as number) - (scores[at] as number);
    climb[at] = step >= 0 ? step + (climb[at - 1] as number) : 0;
  }
  return climb;
}
