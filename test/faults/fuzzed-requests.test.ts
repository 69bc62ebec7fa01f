/** Random request bodies, valid ones, nearly valid ones and wild ones: always a documented answer, never a leaked page; a valid one is served. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.js';
import { type DemoServer, type ErrorAnswer, startDemoServer } from '../support/demo-server.js';

const PATHS = ['/v1/chat/completions', '/v1/completions', '/v1/documents', '/v1/segment'] as const;
const RUNS = 200;
let demo: DemoServer;
/** Error codes that the OpenAPI document promises, by path. */
let promised: Map<string, Set<string>>;

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', ' ', 'The fair is held in Lima.', '<|im_end|>', '\u0000', 'a'.repeat(3000), '😀\u200d😀'),
);
const number = fc.oneof(
  fc.double({ noNaN: false }),
  fc.integer(),
  fc.constantFrom(0, -1, 1, 1e308, -1e308, 2 ** 53, 0.5),
);
const junk = fc.jsonValue({ maxDepth: 3 });

/** A valid value mostly, else anything. */
const or = (valid: fc.Arbitrary<unknown>) => fc.oneof({ arbitrary: valid, weight: 40 }, { arbitrary: junk, weight: 1 });
const within = (min: number, max: number) =>
  fc.oneof({ arbitrary: fc.double({ min, max, noNaN: true }), weight: 20 }, { arbitrary: number, weight: 1 });
const whole = (min: number, max: number) =>
  fc.oneof({ arbitrary: fc.integer({ min, max }), weight: 20 }, { arbitrary: number, weight: 1 });
const sampling = {
  model: or(fc.constant('demo')),
  max_tokens: or(fc.integer({ min: 1, max: 3 })),
  temperature: within(0, 2),
  top_p: within(0.01, 1),
  top_k: whole(-1, 50),
  min_p: within(0, 1),
  seed: whole(0, 100),
  n: or(fc.integer({ min: 1, max: 2 })),
  stop: or(fc.oneof(text, fc.array(text, { maxLength: 3 }))),
  logit_bias: or(fc.dictionary(fc.nat({ max: 1050 }).map(String), within(-100, 100), { maxKeys: 3 })),
  presence_penalty: within(-2, 2),
  repetition_penalty: within(0.1, 10),
  stop_token_ids: or(fc.array(fc.nat({ max: 2000 }), { maxLength: 3 })),
  attention: or(fc.constantFrom('block', 'full', { mode: 'block' })),
  cache_salt: or(text),
  stream: or(fc.boolean()),
  stream_options: or(fc.constantFrom({ include_usage: true }, {})),
};
const segmentation = or(
  fc.oneof(
    fc.record({ target_tokens: whole(8, 100), max_tokens: whole(100, 200) }),
    fc.record({ granularity: within(0, 1) }),
    fc.record(
      { segmenter: text, target_tokens: number, min_tokens: number, max_tokens: number, granularity: number },
      { requiredKeys: [] },
    ),
  ),
);
const message = fc.record({
  role: or(fc.constantFrom('system', 'user', 'assistant', 'tool', 'developer')),
  content: or(
    fc.oneof(
      fc.constant('Who hosts the fair?'),
      text,
      fc.array(fc.record({ type: fc.constant('text'), text }), { maxLength: 2 }),
    ),
  ),
});
const document = fc.oneof(
  fc.record({ text: fc.constantFrom('The fair is held in Lima.', 'Tolefi is a baker.') }),
  fc.record({ id: text, title: text, text: or(text) }, { requiredKeys: [] }),
);
const tool = fc.record({
  type: or(fc.constant('function')),
  function: fc.record(
    {
      name: or(fc.constantFrom('find', 'add')),
      description: or(text),
      parameters: or(
        fc.oneof(
          fc.record({ type: or(fc.constant('object')), properties: fc.dictionary(text, fc.jsonValue()) }),
          fc.constant({ type: 'object', properties: { q: { type: 'string' } }, required: ['q'] }),
        ),
      ),
      strict: or(fc.boolean()),
    },
    { requiredKeys: ['name'] },
  ),
});
const bodies: Record<(typeof PATHS)[number], fc.Arbitrary<unknown>> = {
  '/v1/chat/completions': fc.record(
    {
      ...sampling,
      messages: or(fc.array(message, { maxLength: 3 })),
      documents: or(fc.array(document, { maxLength: 3 })),
      segmentation,
      logprobs: or(fc.boolean()),
      top_logprobs: or(fc.integer({ min: 0, max: 20 })),
      tools: or(fc.array(tool, { maxLength: 3 })),
      tool_choice: or(fc.constantFrom('none', 'auto', 'required', { type: 'function', function: { name: 'find' } })),
      parallel_tool_calls: or(fc.boolean()),
    },
    { requiredKeys: ['messages', 'max_tokens'] },
  ),
  '/v1/completions': fc.record(
    {
      ...sampling,
      prompt: or(fc.oneof(text, fc.array(fc.nat({ max: 1100 }), { maxLength: 20 }))),
      blocks: or(fc.array(text, { maxLength: 3 })),
      logprobs: or(fc.integer({ min: 0, max: 20 })),
    },
    { requiredKeys: ['prompt', 'max_tokens'] },
  ),
  '/v1/documents': fc.record(
    {
      id: or(text),
      title: or(text),
      text: or(text),
      metadata: or(fc.dictionary(text, text, { maxKeys: 3 })),
      segmentation,
      cache_salt: or(text),
      background: or(fc.boolean()),
    },
    { requiredKeys: ['text'] },
  ),
  '/v1/segment': fc.record(
    { text: or(text), segmentation, include_text: or(fc.boolean()) },
    { requiredKeys: ['text'] },
  ),
};

const words = fc.constantFrom('Who hosts the fair?', 'The fair is held in Lima.', 'Tolefi is a baker.', '😀\u200d😀');
const cut = fc.oneof(
  fc.record({ target_tokens: fc.integer({ min: 8, max: 100 }), max_tokens: fc.integer({ min: 100, max: 200 }) }),
  fc.record({ granularity: fc.double({ min: 0, max: 1, noNaN: true }) }),
);
const reals = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const wellSampled = {
  model: fc.constant('demo'),
  temperature: reals(0, 2),
  top_p: reals(0.01, 1),
  top_k: fc.integer({ min: -1, max: 50 }),
  min_p: reals(0, 1),
  seed: fc.integer({ min: 0, max: 100 }),
  n: fc.integer({ min: 1, max: 2 }),
  stop: fc.oneof(words, fc.array(words, { minLength: 1, maxLength: 3 })),
  logit_bias: fc.dictionary(fc.nat({ max: 900 }).map(String), reals(-100, 100), { maxKeys: 3 }),
  presence_penalty: reals(-2, 2),
  repetition_penalty: reals(0.1, 10),
  attention: fc.constantFrom('block', 'full', { mode: 'block' }),
  cache_salt: words,
};
const shortly = { max_tokens: fc.integer({ min: 1, max: 3 }) };
const valid: Record<(typeof PATHS)[number], fc.Arbitrary<unknown>> = {
  '/v1/chat/completions': fc.record(
    {
      ...{ ...wellSampled, ...shortly },
      messages: words.map((content) => [{ role: 'user', content }]),
      documents: fc.array(fc.record({ title: words, text: words }, { requiredKeys: ['text'] }), { maxLength: 3 }),
      segmentation: cut,
      logprobs: fc.boolean(),
    },
    { requiredKeys: ['messages', 'max_tokens'] },
  ),
  '/v1/completions': fc.record(
    { ...wellSampled, ...shortly, prompt: words, blocks: fc.array(words, { maxLength: 3 }) },
    { requiredKeys: ['prompt', 'max_tokens'] },
  ),
  '/v1/documents': fc.record(
    {
      ...{ text: words, title: words, segmentation: cut, cache_salt: words, background: fc.boolean() },
      id: fc.uuid(),
      metadata: fc.dictionary(fc.constantFrom('a', 'b', 'é'), words),
    },
    { requiredKeys: ['text'] },
  ),
  '/v1/segment': fc.record({ text: words, segmentation: cut, include_text: fc.boolean() }, { requiredKeys: ['text'] }),
};

beforeAll(async () => {
  demo = await startDemoServer();
  const response = await fetch(`${demo.url}/openapi.json`);
  const { paths } = (await response.json()) as {
    paths: Record<string, { post?: { responses: Record<string, { description: string }> } }>;
  };
  promised = new Map(
    Object.entries(paths).map(([path, { post }]) => {
      const descriptions = Object.values(post?.responses ?? {}).map(({ description }) => description);
      return [path, new Set(descriptions.join().match(/[a-z_0-9]+/g))];
    }),
  );
});
afterAll(async () => {
  await demo.close();
});

async function send(path: string, body: string): Promise<number> {
  const response = await fetch(`${demo.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const answer = await response.text();
  if (response.status < 300) return response.status;
  const { error } = JSON.parse(answer) as ErrorAnswer;
  expect(promised.get(path)).toContain(error.code);
  expect(response.status).toBe(ERRORS[error.code as ErrorCode].status);
  expect(error.type).toBe(ERRORS[error.code as ErrorCode].type);
  // The server's own fault is never the answer to what a client sent.
  expect(response.status, answer).toBeLessThan(500);
  expect(error.message).not.toMatch(/^$|undefined|\[object/);
  expect(answer).not.toMatch(/at .*\.[jt]s:\d+/);
  return response.status;
}

describe.each(PATHS)('POST %s', (path) => {
  test('serves every valid body drawn, and holds no page afterwards', async () => {
    await fc.assert(
      fc.asyncProperty(valid[path], async (body) => {
        expect(await send(path, JSON.stringify(body)), JSON.stringify(body)).toBeLessThan(300);
      }),
      { numRuns: RUNS },
    );
    await demo.idle();
  });

  test('answers every body drawn as documented, and holds no page afterwards', async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(bodies[path], async (body) => {
        if ((await send(path, JSON.stringify(body))) >= 400) refused++;
      }),
      // A body that nobody takes comes first: how many others are refused is chance.
      { numRuns: RUNS, examples: [[{}]] },
    );
    expect(refused).toBeGreaterThan(0);
    await demo.idle();
  });
});

test('bodies damaged byte by byte are answered as documented', async () => {
  const sent = Buffer.from(
    JSON.stringify({
      messages: [{ role: 'user', content: 'Wo? 😀' }],
      documents: [{ title: 'x', text: 'Lima.\n' }],
      max_tokens: 1,
      logit_bias: { '5': -1.5e1 },
    }),
  );
  const damage = fc.array(fc.tuple(fc.nat({ max: sent.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat({ max: sent.length }), async (changes, length) => {
      const bytes = Buffer.from(sent.subarray(0, length % 3 === 0 ? length : sent.length));
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      await send('/v1/chat/completions', bytes as unknown as string);
    }),
    { numRuns: RUNS },
  );
  await demo.idle();
});
