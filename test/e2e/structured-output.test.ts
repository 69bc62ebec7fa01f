/** Structured output over HTTP: OpenAI's and vLLM's fields, streamed and not, several choices, and what is refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

let server: DemoServer;
beforeAll(async () => {
  server = await startDemoServer();
});
afterAll(() => server.close());

interface Answer {
  choices: { message: { content: string }; finish_reason: string; logprobs: { content: unknown[] } | null }[];
}

const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 12 },
    age: { type: 'integer', minimum: 0, maximum: 120 },
    city: { enum: ['Lima', 'Rasu'] },
  },
  required: ['name', 'age', 'city'],
  additionalProperties: false,
};
const jsonSchema = (schema: object) => ({ type: 'json_schema', json_schema: { name: 'person', strict: true, schema } });
const question = { messages: [{ role: 'user', content: 'Who lives in Lima?' }], max_tokens: 120 };

async function ask(fields: object): Promise<Answer['choices']> {
  const { status, json } = await server.post<Answer>('/v1/chat/completions', { ...question, ...fields });
  expect([status, json]).toMatchObject([200, {}]);
  return json.choices;
}

function expectPerson(text: string | undefined): void {
  const person = JSON.parse(text ?? '') as { name: string; age: number; city: string };
  expect(Object.keys(person)).toEqual(['name', 'age', 'city']);
  expect(person.name.length).toBeLessThanOrEqual(12);
  expect(person.age >= 0 && person.age <= 120).toBe(true);
  expect(['Lima', 'Rasu']).toContain(person.city);
}

describe('an answer of a schema', () => {
  test('parses and fits, greedy and drawn, in every choice', async () => {
    const [greedy] = await ask({ response_format: jsonSchema(PERSON), temperature: 0 });
    expectPerson(greedy?.message.content);
    expect(greedy?.finish_reason).toBe('stop');
    const drawn = await ask({ response_format: jsonSchema(PERSON), temperature: 1.5, n: 3, seed: 1, logprobs: true });
    for (const { message, logprobs } of drawn) {
      expectPerson(message.content);
      expect(logprobs?.content.length).toBeGreaterThan(3);
    }
    expect(new Set(drawn.map(({ message }) => message.content)).size).toBeGreaterThan(1);
  });

  test('is the same streamed, and beside requests without a schema, whose text does not change', async () => {
    const plain = { ...question, temperature: 0, max_tokens: 24 };
    const before = (await ask(plain))[0]?.message.content;
    const [beside, fitted] = await Promise.all([
      ask(plain),
      ask({ response_format: jsonSchema(PERSON), temperature: 0, repetition_penalty: 1.2 }),
    ]);
    expect(beside[0]?.message.content).toBe(before);
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...question,
        ...{ response_format: jsonSchema(PERSON), temperature: 0, repetition_penalty: 1.2, stream: true },
      }),
    });
    const pieces = (await response.text()).split('\n\n').flatMap((event) => {
      if (!event.startsWith('data: {')) return [];
      const chunk = JSON.parse(event.slice(6)) as { choices: { delta: { content?: string } }[] };
      return chunk.choices.map(({ delta }) => delta.content ?? '');
    });
    expect(pieces.length).toBeGreaterThan(5);
    expect(pieces.join('')).toBe(fitted[0]?.message.content);
  });

  test.each([
    ['an object', { response_format: { type: 'json_object' } }, /^\{/],
    ["vLLM's json", { structured_outputs: { json: { type: 'array', items: { type: 'null' }, maxItems: 2 } } }, /^\[/],
    ['json as text', { guided_json: '{"enum":[1,2]}' }, /^[12]$/],
    ['an expression', { structured_outputs: { regex: '(yes|no), [a-z]{3}' } }, /^(yes|no), [a-z]{3}$/],
    ['the old name of it', { guided_regex: 'x{3}' }, /^xxx$/],
    ['a choice', { structured_outputs: { choice: ['one', 'two "three"'] } }, /^(one|two "three")$/],
    ['the old name of a choice', { guided_choice: ['☕'] }, /^☕$/],
    ['a grammar', { guided_grammar: 'root ::= "a" [0-9]' }, /^a\d$/],
  ])('may be %s', async (_, fields, words) => {
    const [choice] = await ask({ ...fields, temperature: 0 });
    expect(choice?.message.content).toMatch(words);
  });

  test('may come from /v1/completions', async () => {
    const { json } = await server.post<{ choices: { text: string }[] }>('/v1/completions', {
      ...{ prompt: 'Lima: ', guided_choice: ['north', 'south'], max_tokens: 9 },
    });
    expect(['north', 'south']).toContain(json.choices[0]?.text);
  });
});

describe('a structure is refused', () => {
  test.each([
    [
      'for a keyword',
      { guided_json: { type: 'object', properties: { a: { not: {} } } } },
      'guided_json',
      /\/properties\/a\/not is not supported/,
    ],
    [
      'for an expression',
      { structured_outputs: { regex: '(?<=a)b' } },
      'structured_outputs.regex',
      /wrong or not supported/,
    ],
    ['for a grammar', { guided_grammar: 'root ::= x' }, 'guided_grammar', /"x" is not defined/],
    ['for two at once', { guided_regex: 'a', response_format: { type: 'json_object' } }, 'guided_regex', /both say/],
    ['without its schema', { response_format: { type: 'json_schema' } }, 'response_format', /json_schema` is missing/],
    ['for text that is no JSON', { guided_json: '{' }, 'guided_json', /is not JSON/],
    ['for its size', { guided_regex: 'a'.repeat(5000) }, 'guided_regex', /more than 4096/],
    [
      'for a tag',
      { structured_outputs: { structural_tag: '{}' } },
      'structured_outputs.structural_tag',
      /not supported/,
    ],
    ['for naming nothing', { structured_outputs: {} }, 'structured_outputs', /names nothing/],
    ['for a choice with a NUL', { guided_choice: ['a\0b'] }, 'guided_choice', /NUL/],
    ['for a schema that nothing fits', { guided_json: { $ref: '#' } }, 'guided_json', /no text fits/],
    ['for a reference with a bad escape', { guided_json: { $ref: '#/%zz' } }, 'guided_json', /points to nothing/],
    ['for an empty choice', { guided_choice: [''] }, 'guided_choice[0]', /fewer than 1/],
  ])('%s', async (_, fields, param, words) => {
    const { status, json } = await server.post('/v1/chat/completions', { ...question, ...fields });
    expect([status, json]).toMatchObject([
      400,
      { error: { code: 'invalid_request', param, message: expect.stringMatching(words) } },
    ]);
  });
});
