/** The numbers of test/unit/server/numbers.test.ts against the real engine and segmenters. Counts steps and tokens. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';
import { numbersFor, numericFields } from '../support/numeric-fields.js';

const RUNS = 12;
const MOST_CHOICES = 2;
const MOST_TOKENS = 4;
/** Prefill of the prompt, of its blocks and their repair, and one step a token. */
const MOST_STEPS = 24;

const fields = await numericFields();
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer({ maxTokens: MOST_TOKENS, maxChoices: MOST_CHOICES });
});
afterAll(() => demo.close());

describe('a real server', () => {
  test.each(fields.map((field) => [field.name, field] as const))(
    'does bounded work for any %s',
    async (_name, field) => {
      await fc.assert(
        fc.asyncProperty(numbersFor(field), async (value) => {
          const { url, body } = field.request(value);
          const before = demo.services.engine.statistics();
          const response = await fetch(`${demo.url}${url}`, {
            method: field.method,
            ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
          });
          const text = await response.text();
          expect(response.status === 200 || (response.status >= 400 && response.status < 500), text).toBe(true);
          await demo.idle();
          const after = demo.services.engine.statistics();
          expect(after.steps - before.steps).toBeLessThanOrEqual(MOST_STEPS);
          expect(after.generatedTokens - before.generatedTokens).toBeLessThanOrEqual(MOST_CHOICES * MOST_TOKENS);
        }),
        { numRuns: RUNS },
      );
    },
  );
});
