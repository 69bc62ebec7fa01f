/**
 * Prompt lookup: proposes the tokens that followed where the last tokens of an answer stood before, in the stitched blocks,
 * the final block, the answer that the client predicts or the answer itself. Answers over documents copy, so such tokens
 * often come out.
 * Knows which tokens are worth a row. `draft-rows.ts` finds them pages, the engine core verifies them.
 *
 * A token is proposed if the chance that it comes out is above its cost. The chance is measured per request, also while
 * nothing is proposed: each new token shows whether the lookup would have been right. With many requests in a step a row
 * costs the others more, so less is proposed.
 */
import type { DraftProposer, StepLoad } from './draft-rows.js';
import { MatchOdds } from './match-odds.js';
import { MOST_MATCH, NgramIndex, type NgramMatch } from './ngram-index.js';
import type { Sequence } from './sequence.js';
import { NO_DRAFT } from './step-plan.js';

/**
 * Time of a further row as a share of the time of a step with one row, by the form of the weights: a model of 135M
 * parameters on one and two threads. It need not be exact: too much costs little, too little costs a lot
 * (docs/decisions/085-prompt-lookup.md).
 */
export const ROW_SHARES = { int8: 0.12, fp32: 0.18, native: 0.22, int4: 0.3 } as const;

/** Answers are seldom longer; one that is costs a search some more places. */
const EXPECTED_TOKENS = 1024;

/** What is remembered of a request. */
interface Reader {
  index: NgramIndex;
  odds: MatchOdds;
  /** Tail tokens that the index has. */
  read: number;
  /** What was found last, before the tokens from `read` on. */
  guess: NgramMatch | undefined;
}

export class PromptLookup implements DraftProposer {
  readonly #readers = new WeakMap<Sequence, Reader>();
  readonly #rowShare: number;

  /** @param rowShare time of a further row as a share of the time of a step with one row, above 0 */
  constructor(rowShare: number) {
    this.#rowShare = rowShare;
  }

  propose(sequence: Sequence, most: number, load: StepLoad): { tokens: Int32Array; expected: number } {
    const reader = this.#readers.get(sequence) ?? open(sequence);
    this.#readers.set(sequence, reader);
    takeUp(reader, sequence.tokens.view(reader.read));
    reader.guess = reader.index.find(most);
    if (reader.guess === undefined) return { tokens: NO_DRAFT, expected: 0 };
    const { tokens, expected } = worth(reader.guess, reader.odds, load, this.#rowShare);
    return { tokens: reader.guess.tokens.subarray(0, tokens), expected };
  }
}

/**
 * How many tokens are worth their rows. With s the share of a step's time that a row costs, a step of R rows takes
 * 1 + s (R - 1) and gives A tokens. A row that gives one more with chance q is worth it if q / s > A / (1 + s (R - 1)).
 */
function worth({ tokens, length }: NgramMatch, odds: MatchOdds, load: StepLoad, rowShare: number) {
  let chance = 1;
  let expected = 0;
  let count = 0;
  for (; count < tokens.length; count++) {
    chance *= odds.next(length + count);
    const given = load.decoding + load.expected + expected;
    if (chance * (1 + rowShare * (load.rows + count - 1)) <= rowShare * given) break;
    expected += chance;
  }
  return { tokens: count, expected };
}

function open({ spec, tokens, promptTokens }: Sequence): Reader {
  const { predicted, tailTokenIds } = spec;
  const expected = Math.min(spec.sampling.maxTokens, EXPECTED_TOKENS);
  const index = new NgramIndex(promptTokens + (predicted?.length ?? 0) + expected);
  // Under full attention the tail has the whole prompt.
  if (spec.attention === 'block') for (const { tokenIds } of spec.blocks) index.append(tokenIds);
  const read = tokens.length;
  index.append(tailTokenIds);
  if (predicted !== undefined) {
    // It stands behind the prompt, as the answer will. The answer begins behind the same tokens, so it is found from its start.
    index.append(predicted);
    index.append(tailTokenIds.subarray(-MOST_MATCH));
  }
  index.append(tokens.view(tailTokenIds.length));
  return { index, odds: new MatchOdds(), read, guess: undefined };
}

/** Adds the tokens that came since, and notes whether they are those that were found. */
function takeUp(reader: Reader, fresh: Int32Array): void {
  const { guess, odds } = reader;
  if (guess !== undefined) {
    for (let at = 0; at < Math.min(fresh.length, guess.tokens.length); at++) {
      const hit = fresh[at] === guess.tokens[at];
      odds.observe(guess.length + at, hit);
      if (!hit) break;
    }
  }
  reader.index.append(fresh);
  reader.read += fresh.length;
}
