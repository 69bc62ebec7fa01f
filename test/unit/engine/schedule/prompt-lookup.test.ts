import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { StepLoad } from '../../../../src/engine/schedule/draft-rows.js';
import { MatchOdds } from '../../../../src/engine/schedule/match-odds.js';
import { LEAST_MATCH, NgramIndex } from '../../../../src/engine/schedule/ngram-index.js';
import { PromptLookup } from '../../../../src/engine/schedule/prompt-lookup.js';
import { Sequence } from '../../../../src/engine/schedule/sequence.js';
import { block, request, SAMPLING } from '../../../support/core-bench.js';

const ROW_SHARE = 0.25;
const ids = (...tokens: number[]) => Int32Array.from(tokens);

describe('an n-gram index', () => {
  const find = (text: number[], most = 3) => {
    const index = new NgramIndex(4);
    index.append(ids(...text));
    const match = index.find(most);
    return match && { tokens: [...match.tokens], length: match.length };
  };

  test('gives what followed the last tokens where they stood before', () => {
    expect(find([1, 2, 3, 4, 5, 9, 2, 3])).toEqual({ tokens: [4, 5, 9], length: 2 });
  });

  test('takes the longest agreement, and of equal ones the latest', () => {
    expect(find([7, 1, 2, 50, 8, 1, 2, 60, 7, 1, 2])).toEqual({ tokens: [50, 8, 1], length: 3 });
    expect(find([1, 2, 50, 0, 1, 2, 60, 0, 9, 1, 2])).toEqual({ tokens: [60, 0, 9], length: 2 });
  });

  test('goes on with a text that repeats itself', () => {
    expect(find([5, 1, 2, 1, 2], 5)).toEqual({ tokens: [1, 2, 1, 2, 1], length: 2 });
    expect(find([3, 3, 3, 3], 4)).toEqual({ tokens: [3, 3, 3, 3], length: 3 });
  });

  test('has nothing for tokens that are new, or for a text that is too short', () => {
    expect(find([1, 2, 3, 4])).toBeUndefined();
    expect(find([1, 2])).toBeUndefined();
    expect(find([])).toBeUndefined();
  });

  test('finds what a search from the end finds, however the text came', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(3), { maxLength: 9 }), { maxLength: 12 }), (parts) => {
        const index = new NgramIndex(8);
        const text: number[] = [];
        for (const part of parts) {
          index.append(ids(...part));
          text.push(...part);
          const match = index.find(4);
          // The longest agreement of an earlier place with the end, up to 16 tokens; the latest of the longest.
          let [best, length] = [-1, LEAST_MATCH - 1];
          for (let place = text.length - 1; place >= LEAST_MATCH; place--) {
            let agreed = 0;
            while (agreed < 16 && agreed < place && text[place - 1 - agreed] === text[text.length - 1 - agreed])
              agreed++;
            if (agreed > length) [best, length] = [place, agreed];
          }
          if (best < 0) expect(match).toBeUndefined();
          else expect([match?.length, match?.tokens[0]]).toEqual([length, text[best]]);
        }
      }),
    );
  });
});

describe('the odds of a match', () => {
  test('begin with those that were measured, and rise with its length', () => {
    const odds = new MatchOdds();
    const all = Array.from({ length: 20 }, (_, at) => odds.next(at + 2));
    expect(all).toEqual([...all].sort((a, b) => a - b));
    expect(all[0]).toBeCloseTo(0.4);
    expect(all.at(-1)).toBeCloseTo(0.95);
  });

  test('follow what the request does, and forget what it did long ago', () => {
    const odds = new MatchOdds();
    for (let times = 0; times < 100; times++) odds.observe(2, false);
    expect(odds.next(2)).toBeLessThan(0.1);
    expect(odds.next(3)).toBeCloseTo(0.6);
    for (let times = 0; times < 100; times++) odds.observe(2, true);
    expect(odds.next(2)).toBeGreaterThan(0.85);
  });
});

describe('prompt lookup', () => {
  const ALONE: StepLoad = { decoding: 1, rows: 1, expected: 0 };
  const quoting = (more: Partial<Parameters<typeof request>[2]> = {}) => {
    const sequence = new Sequence(
      request('quoting', [block(1, 40)], { sampling: { ...SAMPLING, maxTokens: 60 }, ...more }),
      0,
      16,
    );
    const text = block(1, 40).tokenIds;
    return { sequence, text, say: (...tokens: number[]) => sequence.tokens.append(ids(...tokens)) };
  };

  test('proposes the text of a stitched block from the second token of a quotation on', () => {
    const lookup = new PromptLookup(ROW_SHARE);
    const { sequence, text, say } = quoting();
    expect(lookup.propose(sequence, 8, ALONE).tokens).toHaveLength(0);
    say(text[10] as number);
    expect(lookup.propose(sequence, 8, ALONE).tokens).toHaveLength(0);
    say(text[11] as number);
    const { tokens, expected } = lookup.propose(sequence, 8, ALONE);
    expect(tokens.length).toBeGreaterThan(0);
    expect(tokens).toEqual(text.subarray(12, 12 + tokens.length));
    expect(expected).toBeLessThan(tokens.length);
  });

  const PREDICTED = ids(...Array.from({ length: 30 }, (_, at) => 300 + at));

  test('proposes a predicted answer from its first token on, behind a final block of any length', () => {
    for (const length of [1, 5, 40]) {
      const tailTokenIds = ids(...Array.from({ length }, (_, at) => 500 + at));
      const { sequence, say } = quoting({ predicted: PREDICTED, tailTokenIds });
      say(300);
      const { tokens } = new PromptLookup(ROW_SHARE).propose(sequence, 8, ALONE);
      expect(tokens.length).toBeGreaterThan(0);
      expect(tokens).toEqual(PREDICTED.subarray(1, 1 + tokens.length));
    }
  });

  test('comes back to a predicted answer behind what is new in the answer', () => {
    const lookup = new PromptLookup(ROW_SHARE);
    const { sequence, say } = quoting({ predicted: PREDICTED });
    say(300, 301, 302, 999);
    expect(lookup.propose(sequence, 8, ALONE).tokens).toHaveLength(0);
    say(304, 305);
    const { tokens } = lookup.propose(sequence, 8, ALONE);
    expect(tokens.length).toBeGreaterThan(0);
    expect(tokens).toEqual(PREDICTED.subarray(6, 6 + tokens.length));
  });

  test('prefers a predicted answer to documents that agree as far, and to the prompt under full attention', () => {
    for (const attention of ['block', 'full'] as const) {
      const { text } = quoting();
      const predicted = ids(text[10] as number, text[11] as number, 900, 901);
      const full = { attention, tailTokenIds: ids(...text, 500, 501) };
      const { sequence, say } = quoting({ predicted, ...(attention === 'full' ? full : {}) });
      say(7, text[10] as number, text[11] as number);
      expect(new PromptLookup(ROW_SHARE).propose(sequence, 2, ALONE).tokens[0]).toBe(900);
    }
  });

  test('proposes nothing before there is a token that was predicted', () => {
    const { sequence, say } = quoting({ predicted: PREDICTED });
    say(777);
    expect(new PromptLookup(ROW_SHARE).propose(sequence, 8, ALONE).tokens).toHaveLength(0);
  });

  test('proposes more the longer a quotation goes on, up to what is asked for', () => {
    const lookup = new PromptLookup(ROW_SHARE);
    const { sequence, text, say } = quoting();
    say(text[5] as number);
    const lengths: number[] = [];
    for (let at = 6; at < 26; at++) {
      say(text[at] as number);
      lengths.push(lookup.propose(sequence, 8, ALONE).tokens.length);
    }
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
    expect(lengths.at(-1)).toBe(8);
    expect(lookup.propose(sequence, 3, ALONE).tokens).toHaveLength(3);
  });

  test('proposes less beside many others, and more beside a prefill', () => {
    const { sequence, text, say } = quoting();
    say(...text.subarray(5, 10));
    const proposed = (load: Partial<StepLoad>) =>
      new PromptLookup(ROW_SHARE).propose(sequence, 8, { ...ALONE, ...load }).tokens.length;
    expect(proposed({ decoding: 32, rows: 32 })).toBeLessThan(proposed({}));
    expect(proposed({ decoding: 32, rows: 288 })).toBeGreaterThan(proposed({ decoding: 32, rows: 32 }));
  });

  test('stops where the answer keeps leaving the text, without a row spent, and comes back', () => {
    const lookup = new PromptLookup(ROW_SHARE);
    const { sequence, text, say } = quoting();
    let proposed = 0;
    // Two tokens of the text each time, then another word.
    for (let times = 0; times < 12; times++) {
      say(text[times] as number, text[times + 1] as number);
      proposed = lookup.propose(sequence, 8, ALONE).tokens.length;
      say(900 + times);
      lookup.propose(sequence, 8, ALONE);
    }
    expect(proposed).toBe(0);
    for (let at = 20; at < 36; at++) {
      say(text[at] as number);
      proposed = lookup.propose(sequence, 8, ALONE).tokens.length;
    }
    expect(proposed).toBe(8);
  });

  test('reads the whole prompt under full attention, once', () => {
    const whole = ids(1, 2, 3, 4, 5, 6, 7, 8, 2, 3);
    const { sequence } = quoting({ attention: 'full', sinks: undefined, tailTokenIds: whole });
    expect(new PromptLookup(ROW_SHARE).propose(sequence, 8, ALONE).tokens[0]).toBe(4);
  });
});
