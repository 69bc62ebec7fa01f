/** Tokens that a grammar forbids are never chosen; among the others the choice is that of the definition. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GREEDY } from '../../../../src/engine/engine.js';
import { Sampler } from '../../../../src/engine/sampling/sampler.js';
import { isAllowed, maskRow } from '../../../../src/engine/sampling/token-mask.js';
import { uniform } from '../../../../src/engine/sampling/token-random.js';
import { adjustedRow, drawnTokens, rowOf } from '../../../support/reference-sampling.js';

const VOCAB = 75;
const rows = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: VOCAB, maxLength: VOCAB });
const masks = fc.array(fc.boolean(), { minLength: VOCAB, maxLength: VOCAB }).filter((bits) => bits.includes(true));

function wordsOf(bits: readonly boolean[]): Int32Array {
  const words = new Int32Array(Math.ceil(VOCAB / 32));
  for (const [id, bit] of bits.entries()) if (bit) words[id >> 5] = (words[id >> 5] as number) | (1 << (id & 31));
  return words;
}

test('a mask takes out exactly the forbidden tokens', () => {
  fc.assert(
    fc.property(rows, masks, (values, bits) => {
      const row = Float32Array.from(values);
      const words = wordsOf(bits);
      maskRow(row, words);
      for (const [id, bit] of bits.entries()) {
        expect(row[id]).toBe(bit ? Math.fround(values[id] as number) : Number.NEGATIVE_INFINITY);
        expect(isAllowed(words, id)).toBe(bit);
      }
    }),
  );
});

const samplings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1, 1.7),
  topP: fc.constantFrom(1, 0.6),
  topK: fc.constantFrom(0, 3, 70),
  minP: fc.constantFrom(0, 0.1),
  repetitionPenalty: fc.constantFrom(1, 1.4),
});

test('a choice is that of the definition over the allowed tokens, with penalties and limits', () => {
  fc.assert(
    fc.property(rows, masks, samplings, fc.nat(1000), (values, bits, drawn, seed) => {
      const full = Float32Array.from(values);
      const sampling = { ...GREEDY, ...drawn };
      const prompt = [1, 40, 74];
      const sampler = new Sampler(sampling, seed, [Int32Array.from(prompt)], { constrained: true, graphDraws: true });
      expect(sampler.needed).toEqual({ topK: 1, fullRow: true });
      const { tokenId } = sampler.next(rowOf(full, 1), wordsOf(bits));
      const masked = adjustedRow(full, sampling, prompt, []);
      for (const [id, bit] of bits.entries()) if (!bit) masked[id] = Number.NEGATIVE_INFINITY;
      expect(bits[tokenId]).toBe(true);
      if (sampling.temperature === 0) expect(masked[tokenId]).toBe(Math.max(...masked));
      else expect(drawnTokens(masked, sampling, uniform(seed, 0))).toContain(tokenId);
    }),
    { numRuns: 400 },
  );
});
