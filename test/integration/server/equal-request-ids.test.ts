/** `x-request-id` is a label: requests with the same one give the same as alone, at once and with one cancelled. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GenerateEvent, GREEDY } from '../../../src/engine/engine.js';
import { type DemoServer, startDemoServer } from '../../support/demo-server.js';

const TEXT = Array.from({ length: 8 }, (_, at) => `Zokego ${at} is held in Limoga. Sobako hosts it.`).join('\n\n');
let server: DemoServer;

beforeAll(async () => {
  server = await startDemoServer();
});
afterAll(() => server.close());

interface Choice {
  index: number;
  message: { content: string };
  logprobs: { content: { token: string; logprob: number }[] };
}

const body = (question: string, fields: object) =>
  JSON.stringify({
    messages: [{ role: 'user', content: question }],
    documents: [{ text: TEXT }],
    temperature: 0,
    max_tokens: 60,
    logprobs: true,
    ignore_eos: true,
    ...fields,
  });

function post(id: string | undefined, question: string, fields: object = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(id === undefined ? {} : { 'x-request-id': id }) },
    body: body(question, fields),
    ...(signal ? { signal } : {}),
  });
}

async function choices(id: string | undefined, question: string, fields: object = {}): Promise<Choice[]> {
  const response = await post(id, question, fields);
  expect(response.status).toBe(200);
  if (id !== undefined) expect(response.headers.get('x-request-id')).toBe(id);
  const json = (await response.json()) as { choices: Choice[] };
  return json.choices;
}

/** Reads some of a stream, then leaves. */
async function leaveInTheMiddle(id: string, question: string, chunks: number): Promise<void> {
  const leaving = new AbortController();
  const response = await post(id, question, { stream: true, max_tokens: 1500 }, leaving.signal);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let chunk = 0; chunk < chunks; chunk++) await reader.read();
  leaving.abort();
  await reader.closed.catch(() => undefined);
}

const QUESTIONS = ['Who hosts Zokego?', 'Where is Zokego held?', 'What does Sobako host?'];

describe('two requests with one x-request-id', () => {
  test('over HTTP, the first cancelled in the middle: the second gets its own tokens', async () => {
    const alone = await Promise.all(QUESTIONS.map((question) => choices(undefined, question)));
    expect(new Set(alone.map((answer) => JSON.stringify(answer))).size).toBeGreaterThan(1);
    for (let round = 0; round < 6; round++) {
      const left = leaveInTheMiddle('same', QUESTIONS[round % 3] as string, 1 + round);
      const beside = await Promise.all(QUESTIONS.map((question) => choices('same', question)));
      expect(beside).toEqual(alone);
      await left;
      // One that comes after it, under the same name again.
      expect(await choices('same', QUESTIONS[0] as string)).toEqual(alone[0]);
    }
    await server.idle();
  });

  test('over HTTP, n=2 under `x` beside requests under `x-0` and `x-1`', async () => {
    const [first = '', second = '', third = ''] = QUESTIONS;
    const alone = [
      await choices(undefined, first, { n: 2 }),
      await choices(undefined, second),
      await choices(undefined, third),
    ];
    expect(alone[0]).toHaveLength(2);
    for (let round = 0; round < 4; round++) {
      const together = [choices('x', first, { n: 2 }), choices('x-0', second), choices('x-1', third)];
      const left = leaveInTheMiddle(round % 2 === 0 ? 'x' : 'x-0', third, 2);
      expect(await Promise.all(together)).toEqual(alone);
      await left;
    }
    await server.idle();
  });

  test('in the engine, equal in everything: the one that is cancelled takes nothing of the other', async () => {
    const { engine, prompts } = server.services;
    const plan = await prompts.chat({
      messages: [{ role: 'user', content: QUESTIONS[0] as string }],
      documents: [{ text: TEXT }],
      attention: 'block',
    });
    const request = { id: 'same', plan, sampling: { ...GREEDY, maxTokens: 40 } };
    const read = async (signal?: AbortSignal, onToken: () => void = () => {}) => {
      const tokens: number[] = [];
      let finish: GenerateEvent | undefined;
      for await (const event of engine.generate(request, signal)) {
        if (event.type === 'token') {
          tokens.push(event.tokenId);
          onToken();
        }
        finish = event;
      }
      return { tokens, finish };
    };
    const alone = await read();
    expect(alone.tokens).toHaveLength(40);
    for (let after = 1; after <= 5; after++) {
      const leaving = new AbortController();
      let seen = 0;
      const [cancelled, other] = await Promise.all([
        read(leaving.signal, () => {
          if (++seen === after) leaving.abort();
        }),
        read(),
      ]);
      expect(cancelled.finish).toMatchObject({ type: 'finish', reason: 'cancelled' });
      expect(cancelled.tokens).toEqual(alone.tokens.slice(0, cancelled.tokens.length));
      expect(other).toEqual(alone);
    }
    await server.idle();
  });
});
