import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { BadRequestError, NotFoundError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { type RunningServer, startServer } from '../../src/server/start-server.js';

const directory = mkdtempSync(join(tmpdir(), 'blockstitch-e2e-'));
const DOCUMENTS = [
  { text: 'The Zokego fair is held in Lima. The host of the Zokego fair is Sobako.' },
  { text: 'Tolefi works as a baker. The home of Tolefi is Rasu.' },
];
let server: RunningServer;
let client: OpenAI;

/** A chat over documents, which the client passes on as it is. */
const chat = (documents: readonly { text: string }[]) =>
  ({
    model: 'demo',
    messages: [{ role: 'user' as const, content: 'Who hosts the Zokego fair?' }],
    temperature: 0,
    max_tokens: 8,
    documents,
  }) as OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;

async function activePages(): Promise<number> {
  const { engine } = await server.ready;
  return (await engine.statistics()).pool.activePages;
}

beforeAll(async () => {
  const config = loadConfig(
    { port: 0, storeDir: join(directory, 'store'), importCacheDir: join(directory, 'imports'), kvMemoryBytes: '64MiB' },
    {},
  );
  server = await startServer(config);
  await server.ready;
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await server.close(0);
  rmSync(directory, { recursive: true, force: true });
});

describe('the official openai client', () => {
  test('chats over documents, and finds them cached in another order', async () => {
    const cold = await client.chat.completions.create(chat(DOCUMENTS));
    expect(cold.usage?.prompt_tokens_details?.cached_tokens).toBe(0);
    const cached = await client.chat.completions.create(chat([...DOCUMENTS].reverse()));
    expect(cached.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(20);
    const again = await client.chat.completions.create(chat(DOCUMENTS));
    expect(again.choices[0]?.message.content).toBe(cold.choices[0]?.message.content);
  });

  test('streams the same text that it gets in one piece', async () => {
    const whole = await client.chat.completions.create(chat(DOCUMENTS));
    const stream = await client.chat.completions.create({ ...chat(DOCUMENTS), stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(whole.choices[0]?.message.content);
  });

  test('raises its own exceptions', async () => {
    await expect(client.chat.completions.create({ ...chat(DOCUMENTS), model: 'other' })).rejects.toThrow(NotFoundError);
    await expect(client.chat.completions.create({ ...chat(DOCUMENTS), temperature: -1 })).rejects.toThrow(
      BadRequestError,
    );
    await expect(client.chat.completions.create(chat([{ text: '' }]))).rejects.toThrow(BadRequestError);
  });

  test('leaves no page behind when it goes away', async () => {
    const cancel = new AbortController();
    const stream = await client.chat.completions.create(
      { ...chat(DOCUMENTS), stream: true, max_tokens: 2000 },
      { signal: cancel.signal },
    );
    for await (const _ of stream) break;
    cancel.abort();
    await expect.poll(activePages, { timeout: 10_000 }).toBe(0);
  });
});

test('a document ingested by id is answered from its cached blocks', async () => {
  const send = (path: string, body: object) =>
    fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const ingested = await send('/v1/documents', { id: 'fair', text: 'The Bolata fair opens in May.' });
  expect(ingested.status).toBe(200);
  const answer = (await (await send('/v1/chat/completions', chat([{ id: 'fair' } as never]))).json()) as {
    usage: { prompt_tokens_details: { cached_tokens: number } };
  };
  expect(answer.usage.prompt_tokens_details.cached_tokens).toBeGreaterThan(5);
});
