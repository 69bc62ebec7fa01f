/** Prompt lookup over HTTP: what it changes in an answer (nothing), in usage and in metrics. The demo model quotes a lot. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

interface Answer {
  choices: { message: { content: string }; finish_reason: string; logprobs: unknown }[];
  usage: {
    completion_tokens: number;
    completion_tokens_details: { accepted_prediction_tokens: number; rejected_prediction_tokens: number };
  };
}

const documents = ['Zokego', 'Limaro', 'Panaza', 'Genado'].map(
  (name) => `${name} is held in the great hall of Limoga. ${name} opens in November, and ${name} is long.`,
);
const question = {
  messages: [{ role: 'user', content: 'Where is Zokego held? And where is Limaro held?' }],
  documents,
  max_tokens: 64,
  ignore_eos: true,
};

/** What the grammar leaves of the answer stands in a document. */
const QUOTATION = '(Zokego is held in the great hall of Limoga\\. ){1,3}';

let demo: DemoServer;
beforeAll(async () => {
  demo = await startDemoServer();
});
afterAll(() => demo.close());

async function ask(fields: object): Promise<Answer> {
  const { status, json } = await demo.post<Answer>('/v1/chat/completions', { ...question, ...fields });
  expect(status).toBe(200);
  return json;
}

async function streamed(fields: object): Promise<string> {
  const response = await fetch(`${demo.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...question, ...fields, stream: true }),
  });
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: {'));
  return lines.map((line) => JSON.parse(line.slice(6)).choices[0]?.delta.content ?? '').join('');
}

async function counted(name: string): Promise<number> {
  const text = await (await fetch(`${demo.url}/metrics`)).text();
  return Number(new RegExp(`^blockstitch:spec_decode_num_${name}_total\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1]);
}

describe('an answer with prompt lookup', () => {
  test.each<[string, object]>([
    ['greedy', { temperature: 0 }],
    ['greedy under full attention', { temperature: 0, attention: 'full' }],
    ['greedy with repair', { temperature: 0, attention: { mode: 'block', repair: 0.3 } }],
    ['drawn, of a seed', { temperature: 0.8, seed: 11 }],
    ['drawn, with top_p and penalties', { temperature: 0.9, top_p: 0.9, frequency_penalty: 0.3, seed: 4 }],
    ['with log-probabilities', { temperature: 0, logprobs: true, top_logprobs: 3 }],
    ['of two choices', { temperature: 0.7, seed: 5, n: 2 }],
    ['that stops in the middle of a word', { temperature: 0, stop: ['Limo', 'ovem'] }],
    ['of few tokens', { temperature: 0, max_tokens: 5 }],
    ['with biases', { temperature: 0, logit_bias: { 40: 2, 41: -3 } }],
    ['held by a grammar', { temperature: 0, structured_outputs: { regex: QUOTATION } }],
  ])('is the same as without: %s', async (_, fields) => {
    const without = await ask({ ...fields, prompt_lookup: false });
    const within = await ask(fields);
    expect(within.choices).toEqual(without.choices);
    expect(within.usage.completion_tokens).toBe(without.usage.completion_tokens);
    expect(without.usage.completion_tokens_details).toEqual({
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    });
    const { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected } =
      within.usage.completion_tokens_details;
    expect(accepted).toBeLessThanOrEqual(within.usage.completion_tokens);
    expect(rejected).toBeGreaterThanOrEqual(0);
  });

  test('streams the same text', async () => {
    expect(await streamed({ temperature: 0 })).toBe(await streamed({ temperature: 0, prompt_lookup: false }));
  });

  test('counts what was proposed and what came out, in usage and in metrics', async () => {
    const [drafts, tokens, accepted] = await Promise.all(['drafts', 'draft_tokens', 'accepted_tokens'].map(counted));
    const { usage } = await ask({ temperature: 0 });
    const { accepted_prediction_tokens: came, rejected_prediction_tokens: gone } = usage.completion_tokens_details;
    expect(came).toBeGreaterThan(0);
    expect((await counted('drafts')) - (drafts ?? 0)).toBeGreaterThan(0);
    expect((await counted('draft_tokens')) - (tokens ?? 0)).toBe(came + gone);
    expect((await counted('accepted_tokens')) - (accepted ?? 0)).toBe(came);
  });

  test('verifies proposals under a grammar too', async () => {
    const { usage } = await ask({ temperature: 0, structured_outputs: { regex: QUOTATION } });
    expect(usage.completion_tokens_details.accepted_prediction_tokens).toBeGreaterThan(0);
  });

  test.each<[string, object]>([
    ['greedy', { temperature: 0 }],
    ['drawn', { temperature: 1, seed: 21 }],
    ['under full attention', { temperature: 1, seed: 22, attention: 'full' }],
  ])('and a prediction is the same, and the prediction comes out: %s', async (_, fields) => {
    const without = await ask({ ...fields, prompt_lookup: false });
    const content = without.choices[0]?.message.content ?? '';
    const usual = await ask(fields);
    const predicted = await ask({ ...fields, prediction: { type: 'content', content } });
    expect(predicted.choices).toEqual(without.choices);
    const details = predicted.usage.completion_tokens_details;
    expect(details.accepted_prediction_tokens).toBeGreaterThan(30);
    expect(details.accepted_prediction_tokens).toBeGreaterThanOrEqual(
      usual.usage.completion_tokens_details.accepted_prediction_tokens,
    );
    const wrong = await ask({ ...fields, prediction: { type: 'content', content: 'Nothing of this comes out.' } });
    expect(wrong.choices).toEqual(without.choices);
  });

  test('is the same over /v1/completions and /v1/responses', async () => {
    const completion = { blocks: documents, prompt: ' Zokego is held', max_tokens: 40, temperature: 0 };
    const texts = async (fields: object) => {
      const one = await demo.post<{ choices: { text: string }[] }>('/v1/completions', { ...completion, ...fields });
      const body = { input: 'Where is Zokego held?', documents, temperature: 0, max_output_tokens: 40, ...fields };
      const other = await demo.post<{ output: { content: { text: string }[] }[] }>('/v1/responses', body);
      return [one.json.choices[0]?.text, other.json.output[0]?.content[0]?.text];
    };
    expect(await texts({})).toEqual(await texts({ prompt_lookup: false }));
  });

  test('needs a boolean', async () => {
    const { status, json } = await demo.post('/v1/chat/completions', { ...question, prompt_lookup: 'auto' });
    expect([status, json.error.param]).toEqual([400, 'prompt_lookup']);
  });
});

test('--prompt-lookup off turns it off for all', async () => {
  const other = await startDemoServer({ promptLookup: 'off' });
  try {
    const { json } = await other.post<Answer>('/v1/chat/completions', {
      ...question,
      temperature: 0,
      prompt_lookup: true,
    });
    expect(json.usage.completion_tokens_details).toEqual({
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    });
    expect(json.choices).toEqual((await ask({ temperature: 0 })).choices);
  } finally {
    await other.close();
  }
});
