/**
 * Which blocks a sentence of an answer quotes: those that share most of its words, rare words before common ones (inverse
 * document frequency over the request's blocks; Spärck Jones 1972). The question's words count a little, so that among
 * blocks that hold a short answer the one about the question comes first. No attention is read: it works for every block
 * wherever it was computed. Knows texts only.
 */
import { splitSentences } from '../../text/split-sentences.js';

export interface CitedBlock {
  /** Index in the report's `blocks`. */
  block: number;
  /** Share of the sentence's words that the block has, weighted; above 0 and at most 1. */
  score: number;
}

export interface Citation {
  /** UTF-16 offsets of the sentence in the answer. */
  start: number;
  end: number;
  /** Best first, at most `MOST_CITED`. */
  blocks: CitedBlock[];
}

const MOST_CITED = 3;
/** A block that has less of the sentence than this is not cited. */
const LEAST_SCORE = 0.3;
/** Nor is one that has less than this share of what the best block has. */
const LEAST_OF_BEST = 0.8;
const QUESTION_WEIGHT = 0.15;

/**
 * @param blocks text of each block of the report; undefined for those of the template
 * @returns one for each sentence that quotes a block, in order
 */
export function citationsOf(answer: string, question: string, blocks: readonly (string | undefined)[]): Citation[] {
  const words = blocks.map((text) => (text === undefined ? undefined : new Set(wordsOf(text))));
  const count = words.filter((each) => each !== undefined).length;
  const rarity = (word: string) => {
    const holding = words.filter((each) => each?.has(word)).length;
    return holding === 0 ? 0 : Math.log(1 + count / holding);
  };
  const asked = weighted(wordsOf(question), rarity);
  return splitSentences(answer).flatMap(({ start, end }) => {
    const said = weighted(wordsOf(answer.slice(start, end)), rarity);
    const unknown = new Set(wordsOf(answer.slice(start, end)).filter((word) => rarity(word) === 0)).size;
    const scored = words
      .map((each, block) => {
        const own = shareOf(said, each, unknown * Math.log(1 + count));
        return { block, score: own, rank: own + QUESTION_WEIGHT * shareOf(asked, each, 0) };
      })
      .filter(({ score }) => score >= LEAST_SCORE)
      .sort((a, b) => b.rank - a.rank || a.block - b.block);
    const best = scored[0]?.rank ?? 0;
    const cited = scored.filter(({ rank }) => rank >= LEAST_OF_BEST * best).slice(0, MOST_CITED);
    if (cited.length === 0) return [];
    const length = answer.slice(start, end).trimEnd().length;
    return [
      { start, end: start + length, blocks: cited.map(({ block, score }) => ({ block, score: rounded(score) })) },
    ];
  });
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function weighted(words: readonly string[], rarity: (word: string) => number): Map<string, number> {
  return new Map([...new Set(words)].map((word) => [word, rarity(word)]));
}

/** @param unknown weight of the words that no block has */
function shareOf(
  weights: ReadonlyMap<string, number>,
  words: ReadonlySet<string> | undefined,
  unknown: number,
): number {
  let [all, shared] = [unknown, 0];
  for (const [word, weight] of weights) {
    all += weight;
    if (words?.has(word)) shared += weight;
  }
  return all === 0 ? 0 : shared / all;
}

function rounded(score: number): number {
  return Math.round(score * 1000) / 1000;
}
