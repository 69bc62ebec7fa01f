/**
 * No number of a client makes the server work without end. Every numeric field of every route gets random numbers, and
 * the work for each is counted.
 */
import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';
import { numbersFor, numericFields } from '../../support/numeric-fields.js';

const RUNS = 60;
const MOST_CHOICES = 2;
const MOST_TOKENS = 8;
const MOST_BYTES = 50_000;
/** Refusals that only the running server can know: its settings, its model, what else is in the request. */
const AT_RUN_TIME = /more than the limit of|ids go from|needs `logprobs|contradict|context length|reaches/;

const fields = await numericFields();
const { app, engine, services } = await fakeApp({ maxTokens: MOST_TOKENS, maxChoices: MOST_CHOICES });
engine.answer = 'x'.repeat(1000);
let cut = 0;
const { segment } = services;
services.segment = (...given) => {
  cut += 1;
  return segment(...given);
};

describe('every number of the API', () => {
  it('is found by walking the OpenAPI document', () => {
    const names = fields.map(({ name }) => name);
    for (const name of [
      'POST /v1/chat/completions max_tokens',
      'POST /v1/chat/completions logit_bias{}',
      'POST /v1/chat/completions logit_bias{name}',
      'POST /v1/chat/completions attention.repair.share',
      'POST /v1/chat/completions segmentation.target_tokens',
      'POST /v1/completions prompt[]',
      'POST /v1/documents segmentation.granularity',
      'GET /v1/documents ?limit',
    ]) {
      expect(names).toContain(name);
    }
  });

  it.each(fields.map((field) => [field.name, field] as const))(
    '%s has bounds that the schema names',
    (_name, field) => {
      const { minimum, exclusiveMinimum, maximum } = field.schema;
      expect(minimum ?? exclusiveMinimum).toBeGreaterThanOrEqual(-(2 ** 53) + 1);
      expect(maximum).toBeLessThanOrEqual(2 ** 53 - 1);
    },
  );

  it.each(fields.map((field) => [field.name, field] as const))(
    '%s, however large, is bounded work',
    async (_, field) => {
      const valid = field.bodySchema === undefined ? undefined : Compile(field.bodySchema as never);
      await fc.assert(
        fc.asyncProperty(numbersFor(field), async (value) => {
          const { url, body } = field.request(value);
          const before = { requests: engine.requests.length, cut, tokens: engine.statistics().generatedTokens };
          const response = await app.inject({
            method: field.method as 'POST',
            url,
            ...(body ? { payload: body } : {}),
          });
          const { statusCode, payload } = response;
          expect(statusCode === 200 || (statusCode >= 400 && statusCode < 500), `${statusCode} ${payload}`).toBe(true);
          expect(engine.requests.length - before.requests).toBeLessThanOrEqual(MOST_CHOICES);
          expect(engine.statistics().generatedTokens - before.tokens).toBeLessThanOrEqual(MOST_CHOICES * MOST_TOKENS);
          expect(cut - before.cut).toBeLessThanOrEqual(1);
          expect(payload.length).toBeLessThan(MOST_BYTES);
          // What the schema refuses is refused, and what it takes is refused only for what no schema can know.
          if (valid === undefined || body === undefined) return;
          if (!valid.Check(JSON.parse(JSON.stringify(body)))) expect(statusCode).toBe(400);
          else if (statusCode !== 200) expect(response.json().error.message).toMatch(AT_RUN_TIME);
        }),
        { numRuns: RUNS },
      );
    },
  );
});
