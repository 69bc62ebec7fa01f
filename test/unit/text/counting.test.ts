/** Counting tokens is tokenizing without the ids; splitting without objects gives the same words. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchPieces, splitIsolated } from '../../../src/text/pattern.js';
import { readTokenizerDefinition } from '../../../src/text/read-tokenizer.js';
import { Tokenizer } from '../../../src/text/tokenizer.js';
import { directoryOf, KINDS, TEXTS } from '../../support/tokenizer-fixtures.js';

const texts = fc.oneof(
  fc.constantFrom(...Object.values(TEXTS)),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.string({
    unit: fc.constantFrom('a', ' ', '\n', '\r', '.', '1', '<|im_end|>', 'é', '中', '\u0301', "'s"),
    maxLength: 60,
  }),
);

describe.each(KINDS)('the %s tokenizer', (kind) => {
  it('counts as many tokens as it makes, and tells of every character', async () => {
    const tokenizer = new Tokenizer(await readTokenizerDefinition(directoryOf(kind)));
    fc.assert(
      fc.property(texts, fc.boolean(), (given, parseControl) => {
        const text = given.toWellFormed();
        let read = 0;
        const ids = tokenizer.encode(text, {
          parseControl,
          pace: (characters) => {
            read += characters;
          },
        });
        expect(tokenizer.count(text, { parseControl })).toBe(ids.length);
        // Added tokens are found, not read word by word.
        if (kind === 'gpt2') expect(read).toBeLessThanOrEqual(text.length);
        if (kind === 'gpt2' && !/[<[]|wort/.test(text)) expect(read).toBe(text.length);
      }),
      { numRuns: 200 },
    );
  });

  it('stops where the pace ends it', async () => {
    const tokenizer = new Tokenizer(await readTokenizerDefinition(directoryOf(kind)));
    const pace = () => {
      throw new Error('enough');
    };
    expect(() => tokenizer.encode('word '.repeat(5000), { pace })).toThrow('enough');
    expect(() => tokenizer.count('word', { pace })).toThrow('enough');
  });
});

describe('splitting a text into words', () => {
  it.each([
    ['one that matches everything', / ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu],
    ['one with gaps', /\p{L}+/gu],
    ['one with empty matches', /\p{L}*/gu],
    ['one that looks back', /(?<=\s)\S+|\s+|\S/gu],
    ['one with alternatives of a case', /(?:'[sS])|\p{L}+|\P{L}/gu],
  ])('gives the pieces of its matches: %s', (_, pattern) => {
    fc.assert(
      fc.property(texts, (given) => {
        const text = given.toWellFormed();
        expect(splitIsolated(text, pattern)).toEqual(matchPieces(text, pattern).map((piece) => piece.text));
      }),
      { numRuns: 200 },
    );
  });
});
