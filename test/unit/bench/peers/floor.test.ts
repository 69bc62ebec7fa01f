/** The floor of a question over known documents, against sums done by hand. */
import { expect, test } from 'vitest';
import { questionFloor } from '../../../../bench/peers/floor.js';

/** Linear layers of 2 x (4 x 2 x (2 x 2 + 2 x 1) + 3 x 4 x 8) = 288 weights, a head of 40. */
const MODEL = { layers: 2, hiddenSize: 4, intermediateSize: 8, vocabSize: 10, heads: 2, kvHeads: 1, headDim: 2 };
const FAST = 1e12;

test('slow memory: every weight is read once, every key and value twice a byte', () => {
  const ceilings = { readBytesPerSecond: 1000, byteOperationsPerSecond: FAST, attentionOperationsPerSecond: FAST };
  const { linearMs, attentionMs, totalMs } = questionFloor(MODEL, ceilings, 3, 100);
  expect(linearMs).toBeCloseTo(288 + 40);
  expect(attentionMs).toBeCloseTo(2 * 2 * 2 * 100 * 1 * 2);
  expect(totalMs).toBe(linearMs + attentionMs);
});

test('slow products: rows times weights, and the head for one row', () => {
  const ceilings = { readBytesPerSecond: FAST, byteOperationsPerSecond: 1000, attentionOperationsPerSecond: 2000 };
  const { linearMs, attentionMs } = questionFloor(MODEL, ceilings, 3, 100);
  expect(linearMs).toBeCloseTo(2 * (3 * 288 + 40));
  expect(attentionMs).toBeCloseTo((2 * 2 * 3 * 2 * 100 * 2 * 2) / 2);
});
