import { describe, expect, it } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

const messages = [{ role: 'user', content: 'What is the answer?' }];

async function chat(documents: unknown[], rest: object = {}) {
  const { app } = await fakeApp();
  return app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { messages, documents, ...rest } });
}

interface Block {
  hash: string;
  document?: { index: number; start: number; end: number };
}

describe('the documents of a request', () => {
  it('may be strings, or have the fields of our own API, LangChain or Haystack: the blocks are the same', async () => {
    const forms = [
      'One passage.',
      { text: 'One passage.' },
      { id: null, page_content: 'One passage.', metadata: { source: 'a.txt' }, type: 'Document' },
      { id: '8e2f', content: 'One passage.', meta: {} },
    ];
    const hashes = await Promise.all(forms.map(async (form) => (await chat([form])).json().blockstitch.blocks[0].hash));
    expect(new Set(hashes).size).toBe(1);
  });

  it('are refused by place with two texts, with a text and an id, with neither', async () => {
    const reasons = [
      [{ text: 'a', content: 'b' }, 'has two texts: `text` and `content`'],
      [{ id: 'x', text: 'a' }, 'has both `id` and `text`'],
      [{ title: 'x' }, 'has neither `id` nor `text`'],
    ] as const;
    for (const [wrong, reason] of reasons) {
      const { statusCode, body } = await chat(['fine', wrong]);
      expect(statusCode).toBe(400);
      expect(JSON.parse(body).error).toMatchObject({ param: 'documents[1]', message: expect.stringContaining(reason) });
    }
  });

  it('are named by the blocks that were made of them, whatever blank ones were left out', async () => {
    const text = 'First passage.\n\nSecond passage.';
    const { blockstitch } = (await chat([' \n', { text }, '', 'Third.'])).json();
    expect(blockstitch.skipped_documents).toEqual([0, 2]);
    expect(blockstitch.blocks.map(({ document }: Block) => document)).toEqual([
      { index: 1, start: 0, end: 16 },
      { index: 1, start: 16, end: text.length },
      { index: 3, start: 0, end: 6 },
    ]);
  });

  it('are refused if all of them are blank', async () => {
    const { statusCode, body } = await chat(['', ' ']);
    expect(statusCode).toBe(400);
    expect(JSON.parse(body).error).toMatchObject({ code: 'empty_input', param: 'documents[0].text' });
  });
});

describe('the headers of an answer', () => {
  it('say what was cached, plain and streamed', async () => {
    const { app } = await fakeApp();
    const ask = (stream: boolean) =>
      app.inject({
        method: 'POST',
        url: '/v1/chat/completions',
        payload: { messages, documents: ['One.', 'Two.'], stream },
      });
    const cold = await ask(false);
    expect(cold.headers).toMatchObject({ 'x-blockstitch-cached-tokens': '0', 'x-blockstitch-blocks-hit': '0' });
    for (const warm of [await ask(false), await ask(true)]) {
      expect(warm.headers).toMatchObject({ 'x-blockstitch-cached-tokens': '8', 'x-blockstitch-blocks-hit': '2' });
      expect(Number(warm.headers['x-blockstitch-ttft-ms'])).toBeGreaterThanOrEqual(0);
    }
  });
});
