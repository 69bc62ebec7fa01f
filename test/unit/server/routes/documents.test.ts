/** /v1/documents and /v1/jobs on the wire. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COMMON_SCOPE } from '../../../../src/cache/tiers.js';
import { idKey, shelfName } from '../../../../src/documents/document-shelf.js';
import { fakeApp } from '../../../support/fake-services.js';

type Fake = Awaited<ReturnType<typeof fakeApp>>;
let fake: Fake;
const ALICE = { authorization: 'Bearer alice' };
const BOB = { authorization: 'Bearer bob' };
const TEXT = 'First passage.\n\nSecond passage.';

beforeEach(async () => {
  fake = await fakeApp();
});
afterEach(async () => {
  await fake.app.close();
});

async function ask(method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object, headers: object = {}) {
  const answer = await fake.app.inject({ method, url, headers: { ...headers }, ...(payload ? { payload } : {}) });
  const { body } = answer;
  return {
    status: answer.statusCode,
    json: body.startsWith('{') ? JSON.parse(body) : {},
    headers: answer.headers,
    body,
  };
}

describe('what a document costs', () => {
  test('is what its ingestions computed, and nothing for what was cached', async () => {
    const made = await ask('POST', '/v1/documents', { id: 'd', text: TEXT });
    const { tokens } = made.json;
    expect(made.json.prefilled).toMatchObject({ blocks: 2, tokens });
    await ask('POST', '/v1/documents', { id: 'd', text: TEXT });
    expect((await ask('GET', '/v1/documents/d')).json.prefilled).toMatchObject({ blocks: 2, tokens });
    const third = 'Third passage.';
    await ask('POST', '/v1/documents', { id: 'd', text: `First passage.\n\n${third}` });
    const list = await ask('GET', '/v1/documents');
    expect(list.json.data[0].prefilled).toMatchObject({ blocks: 3, tokens: tokens + third.length });
  });

  test('is not said by records of older versions', async () => {
    const record = { id: 'old', text: 'x', segmentation: {}, createdAt: 1, segments: [], blocks: [] };
    const shelf = fake.shelves.documents;
    await shelf.put(shelfName(COMMON_SCOPE), 'old', Buffer.from(JSON.stringify(record)), undefined);
    const { status, json } = await ask('GET', '/v1/documents/old');
    expect([status, json.prefilled]).toEqual([200, undefined]);
    await ask('POST', '/v1/documents', { id: 'old', text: 'Now it says so.' });
    expect((await ask('GET', '/v1/documents/old')).json.prefilled).toMatchObject({ blocks: 1 });
  });
});

describe('DELETE /v1/documents/{id}', () => {
  test('is 503 where the store refuses, and 200 when it is asked again', async () => {
    await ask('POST', '/v1/documents', { id: 'd', text: TEXT });
    fake.engine.forgetFailure = 'the disk is full';
    const refused = await ask('DELETE', '/v1/documents/d');
    expect(refused).toMatchObject({ status: 503, json: { error: { code: 'store_failed' } } });
    expect(refused.json.error.message).toBe("The store failed; the server's log says why.");
    expect(await ask('GET', '/v1/documents/d')).toMatchObject({ status: 200 });
    fake.engine.forgetFailure = undefined;
    expect(await ask('DELETE', '/v1/documents/d')).toMatchObject({ status: 200, json: { deleted: true } });
    expect(await ask('DELETE', '/v1/documents/d')).toMatchObject({ status: 404 });
    expect(fake.engine.evicted).toHaveLength(2);
  });

  test('needs no engine', async () => {
    await ask('POST', '/v1/documents', { id: 'd', text: TEXT });
    fake.engine.become({ name: 'restarting', reason: 'the worker has ended', restarts: 1 });
    expect(await ask('DELETE', '/v1/documents/d')).toMatchObject({ status: 200 });
    expect(fake.engine.evicted).toHaveLength(2);
  });
});

describe('a damaged record', () => {
  beforeEach(async () => {
    for (const id of ['a', 'b', 'c']) await ask('POST', '/v1/documents', { id, text: TEXT });
    const bytes = fake.shelves.documents.values.get(`${shelfName(COMMON_SCOPE)}/${idKey('b')}`) as Buffer;
    bytes[bytes.indexOf('First')] = 'X'.charCodeAt(0);
  });

  test('is named in the list, and no text of it is used', async () => {
    const { json } = await ask('GET', '/v1/documents');
    expect(json).toMatchObject({ data: [{ id: 'a' }, { id: 'c' }], damaged: ['b'], has_more: false, last_id: 'c' });
    const error = { code: 'document_damaged', remedy: 'POST the document again, or DELETE it.' };
    expect(await ask('GET', '/v1/documents/b')).toMatchObject({ status: 500, json: { error } });
    const chat = { messages: [{ role: 'user', content: 'Who?' }], documents: [{ id: 'b' }] };
    expect(await ask('POST', '/v1/chat/completions', chat)).toMatchObject({
      status: 500,
      json: { error: { ...error, param: 'documents[0].id' } },
    });
  });

  test('is replaced by POST and deleted by DELETE', async () => {
    expect(await ask('POST', '/v1/documents', { id: 'b', text: TEXT })).toMatchObject({ status: 200 });
    expect(await ask('GET', '/v1/documents/b')).toMatchObject({ status: 200, json: { text: TEXT } });
    const bytes = fake.shelves.documents.values.get(`${shelfName(COMMON_SCOPE)}/${idKey('b')}`) as Buffer;
    bytes[0] = 0;
    expect(await ask('DELETE', '/v1/documents/b')).toMatchObject({ status: 200 });
    expect((await ask('GET', '/v1/documents')).json.damaged).toEqual([]);
  });
});

test('blocks say where they came from by the names of the wire', async () => {
  const first = await ask('POST', '/v1/documents', { id: 'd', text: TEXT });
  expect(first.json.blocks).toMatchObject([{ origin: 'computed' }, { origin: 'computed' }]);
  const again = await ask('POST', '/v1/documents', { id: 'd', text: TEXT });
  expect(again.json.blocks).toMatchObject([{ origin: 'pool' }, { origin: 'pool' }]);
});

test('no salt is kept in clear, of documents or of jobs', async () => {
  const body = { id: 'd', text: TEXT, cache_salt: 'a very secret salt' };
  await ask('POST', '/v1/documents', body);
  const { json } = await ask('POST', '/v1/documents', { ...body, id: 'e', background: true });
  await ask('GET', `/v1/jobs/${json.id}/events`);
  const kept = [...fake.shelves.documents.values.values(), ...fake.shelves.jobs.shared.values.values()];
  expect(kept).toHaveLength(3);
  for (const bytes of kept) expect(bytes.toString()).not.toContain('secret');
  const header = { 'x-cache-salt': 'a very secret salt' };
  expect(await ask('GET', '/v1/documents/d', undefined, header)).toMatchObject({ status: 200 });
  expect(await ask('GET', '/v1/documents/d')).toMatchObject({ status: 404 });
});

describe('/v1/jobs/{id}', () => {
  test('DELETE cancels, and answers with the state of what had ended', async () => {
    fake.engine.tokenMs = 60_000;
    const { json, headers } = await ask('POST', '/v1/documents', { id: 'd', text: TEXT, background: true });
    expect([json.status, headers.location]).toEqual(['running', `/v1/jobs/${json.id}`]);
    const cancelled = { status: 200, json: { id: json.id, status: 'cancelled', error: null } };
    expect(await ask('DELETE', `/v1/jobs/${json.id}`)).toMatchObject(cancelled);
    expect(await ask('DELETE', `/v1/jobs/${json.id}`)).toMatchObject(cancelled);
    expect(await ask('GET', `/v1/jobs/${json.id}`)).toMatchObject(cancelled);
    expect(await ask('GET', '/v1/documents/d')).toMatchObject({ status: 404 });
    expect((await ask('GET', `/v1/jobs/${json.id}/events`)).body).toContain('event: cancelled');
  });

  test('is 404 to another tenant, whatever is asked', async () => {
    await fake.app.close();
    fake = await fakeApp({ apiKeys: ['alice', 'bob'] });
    const { json } = await ask('POST', '/v1/documents', { id: 'd', text: TEXT, background: true }, ALICE);
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/events'],
      ['DELETE', ''],
    ] as const) {
      const refused = await ask(method, `/v1/jobs/${json.id}${path}`, undefined, BOB);
      expect(refused).toMatchObject({ status: 404, json: { error: { code: 'job_not_found' } } });
    }
    const events = await ask('GET', `/v1/jobs/${json.id}/events`, undefined, ALICE);
    expect(events.body).toContain('event: done');
    expect(await ask('GET', '/v1/documents/d', undefined, BOB)).toMatchObject({ status: 404 });
    expect(await ask('DELETE', '/v1/documents/d', undefined, BOB)).toMatchObject({ status: 404 });
    expect((await ask('GET', '/v1/documents', undefined, BOB)).json.data).toEqual([]);
    expect(await ask('GET', '/v1/documents/d', undefined, ALICE)).toMatchObject({ status: 200 });
  });
});
