/** Fixed blocks have the length that is asked for, whatever a tokenizer makes of spaces: comparisons at equal length rest on it. */
import { expect, it } from 'vitest';
import { CUTS } from '../../../src/segment/cuts.js';
import { readLimits } from '../../../src/segment/segment-limits.js';
import { SpanTokens } from '../../../src/segment/span-tokens.js';
import { createTextService } from '../../../src/text/text-service.js';
import { directoryOf, KINDS } from '../../support/tokenizer-fixtures.js';

const SENTENCE = 'The river carries sand and small stones to the wide plain, where it slows down and lets them fall. ';
const TARGET = 100;

it.each(KINDS)('with the %s tokenizer', async (kind) => {
  const service = await createTextService({ checkpointDir: directoryOf(kind) });
  const tokens = new SpanTokens(SENTENCE.repeat(40), service.tokenizer);
  const cut = CUTS.fixed(tokens, readLimits({ targetTokens: TARGET, maxTokens: 2 * TARGET }));
  await service.close();
  const whole = cut.slice(0, -1).map((segment) => segment.tokens);
  expect(whole.length).toBeGreaterThan(20);
  expect(whole.reduce((sum, each) => sum + each, 0) / whole.length).toBeGreaterThan(0.85 * TARGET);
  // Two words that are counted apart can have a token more or less together.
  expect(Math.max(...whole)).toBeLessThanOrEqual(1.05 * TARGET);
});
