/**
 * Which blocks a sentence of an answer quotes: those that share most of its words, rare words before common ones (inverse
 * document frequency over the request's blocks; Spärck Jones 1972). The question's words count a little, so that among
 * blocks that hold a short answer the one about the question comes first. No attention is read: it works for every block
 * wherever it was computed. Knows texts only.
 */
import { splitSentences } from '../../text/split-sentences.js';
import type { Steps } from '../loop-turns.js';

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

const WORD = /[\p{L}\p{N}]+/gu;

/**
 * @param blocks text of each block of the report; undefined for those of the template
 * @returns one for each sentence that quotes a block, in order
 */
export function citationsOf(answer: string, question: string, blocks: readonly (string | undefined)[]): Citation[] {
  const steps = citationSteps(answer, question, blocks);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** The same, a word or less at a time: a long answer over many blocks is more work than one turn of an event loop. */
export function* citationSteps(
  answer: string,
  question: string,
  blocks: readonly (string | undefined)[],
): Steps<Citation[]> {
  const holders = yield* blocksByWord(blocks);
  const count = blocks.filter((text) => text !== undefined).length;
  const rarity = (holding: number) => Math.log(1 + count / holding);
  /** Each block's share of the text's words, weighted. @param missed counts what no block has like the rarest word */
  function* shares(text: string, missed: boolean): Steps<Map<number, number>> {
    const shared = new Map<number, number>();
    const unknown = missed ? rarity(1) : 0;
    let all = 0;
    for (const word of yield* distinctWords(text)) {
      const holding = holders.get(word) ?? [];
      const weight = holding.length === 0 ? unknown : rarity(holding.length);
      all += weight;
      for (const block of holding) shared.set(block, (shared.get(block) ?? 0) + weight);
      yield;
    }
    for (const [block, weight] of shared) shared.set(block, weight / all);
    return shared;
  }
  const asked = yield* shares(question, false);
  const citations: Citation[] = [];
  for (const { start, end } of splitSentences(answer)) {
    const sentence = answer.slice(start, end).trimEnd();
    const cited = bestOf(yield* shares(sentence, true), asked);
    if (cited.length > 0) citations.push({ start, end: start + sentence.length, blocks: cited });
    yield;
  }
  return citations;
}

function bestOf(said: ReadonlyMap<number, number>, asked: ReadonlyMap<number, number>): CitedBlock[] {
  const scored = [...said]
    .filter(([, score]) => score >= LEAST_SCORE)
    .map(([block, score]) => ({ block, score, rank: score + QUESTION_WEIGHT * (asked.get(block) ?? 0) }))
    .sort((a, b) => b.rank - a.rank || a.block - b.block);
  const best = scored[0]?.rank ?? 0;
  return scored
    .filter(({ rank }) => rank >= LEAST_OF_BEST * best)
    .slice(0, MOST_CITED)
    .map(({ block, score }) => ({ block, score: rounded(score) }));
}

/** Which blocks have a word, ascending. */
function* blocksByWord(blocks: readonly (string | undefined)[]): Steps<Map<string, number[]>> {
  const holders = new Map<string, number[]>();
  for (const [block, text] of blocks.entries()) {
    for (const word of yield* distinctWords(text ?? '')) {
      const known = holders.get(word);
      if (known) known.push(block);
      else holders.set(word, [block]);
    }
  }
  return holders;
}

function* distinctWords(text: string): Steps<Set<string>> {
  const words = new Set<string>();
  for (const [word] of text.toLowerCase().matchAll(WORD)) {
    words.add(word);
    yield;
  }
  return words;
}

function rounded(score: number): number {
  return Math.min(1, Math.round(score * 1000) / 1000);
}
