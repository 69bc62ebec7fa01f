/** Every id that is accepted can be read, listed and deleted over real HTTP. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fakeApp } from '../../support/fake-services.js';

let url: string;
let close: () => Promise<unknown>;

beforeAll(async () => {
  const { app } = await fakeApp();
  url = await app.listen({ host: '127.0.0.1', port: 0 });
  close = () => app.close();
});
afterAll(() => close());

async function ask(
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; json: Record<string, unknown> }> {
  const json =
    body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, { method, ...json });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const path = (id: string) => `/v1/documents/${encodeURIComponent(id)}`;

async function livesAndDies(id: string): Promise<void> {
  const posted = await ask('POST', '/v1/documents', { id, text: 'Zokego is held in Limoga.' });
  if (posted.status === 400) {
    expect(posted.json).toMatchObject({ error: { code: 'invalid_request', param: 'id' } });
    return;
  }
  expect(posted).toMatchObject({ status: 200, json: { id } });
  expect(await ask('GET', path(id))).toMatchObject({ status: 200, json: { id } });
  expect(await ask('GET', '/v1/documents')).toMatchObject({ json: { data: [{ id }], last_id: id, has_more: false } });
  const after = await ask('GET', `/v1/documents?after=${encodeURIComponent(id)}`);
  expect(after).toMatchObject({ status: 200, json: { data: [], last_id: null } });
  const chat = { messages: [{ role: 'user', content: 'Where?' }], documents: [{ id }], max_tokens: 1 };
  expect(await ask('POST', '/v1/chat/completions', chat)).toMatchObject({ status: 200 });
  expect(await ask('DELETE', path(id))).toMatchObject({ status: 200, json: { id, deleted: true } });
  expect(await ask('GET', path(id))).toMatchObject({ status: 404, json: { error: { code: 'document_not_found' } } });
  expect(await ask('DELETE', path(id))).toMatchObject({ status: 404 });
}

test('ids of any Unicode text', async () => {
  const odd = fc.constantFrom(
    '%',
    '%2F',
    '%25',
    '.',
    '..',
    '\\',
    ':',
    '+',
    '&',
    '=',
    ';',
    '@',
    ' ',
    '"',
    '{',
    '*',
    '\u2028',
  );
  const id = fc
    .array(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), odd, fc.string({ unit: 'binary', maxLength: 8 })), {
      maxLength: 8,
    })
    .map((parts) => parts.join('').toWellFormed());
  await fc.assert(
    fc.asyncProperty(
      id.filter((text) => text !== ''),
      livesAndDies,
    ),
    { numRuns: 200 },
  );
});

test.each([1, 64, 128, 129, 192, 193, 243, 244, 256])(
  'ids of %i emoji: read back, or refused by name',
  async (count) => {
    const id = '\u{1f600}'.repeat(count);
    const { status } = await ask('POST', '/v1/documents', { id, text: 'Text.' });
    expect(status).toBe(count <= 192 ? 200 : 400);
    if (status === 200) await ask('DELETE', path(id));
    await livesAndDies(id);
  },
);

test.each(['a'.repeat(768), 'é'.repeat(384), '中'.repeat(256)])('the longest ids are reachable', livesAndDies);

test.each(['a'.repeat(769), '中'.repeat(257)])('longer ones are refused with the limit', async (id) => {
  const { status, json } = await ask('POST', '/v1/documents', { id, text: 'Text.' });
  expect([status, JSON.stringify(json)]).toEqual([400, expect.stringContaining('768')]);
  expect((await ask('POST', '/v1/documents', { id, text: 'Text.', background: true })).status).toBe(400);
});

test.each(['.', '..'])('%s is refused: no client would ask for it', async (id) => {
  const { status, json } = await ask('POST', '/v1/documents', { id, text: 'Text.' });
  expect([status, JSON.stringify(json)]).toEqual([400, expect.stringContaining('may not be')]);
});
