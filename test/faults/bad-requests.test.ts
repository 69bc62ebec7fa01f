/** To any bad request, the served demo model answers with the documented status, code and words, and leaks no page. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.js';
import { type DemoServer, type ErrorAnswer, startDemoServer } from '../support/demo-server.js';

const CHAT = '/v1/chat/completions';
const question = { messages: [{ role: 'user', content: 'Who hosts the fair?' }], max_tokens: 2 };
const documents = (count: number, text = 'A passage.') => ({ ...question, documents: Array(count).fill({ text }) });
const raw = (content: string) => `{"messages":[{"role":"user","content":"x"}],"max_tokens":2,${content}}`;
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer({ maxDocuments: 8, maxDocumentBytes: '64KiB', maxPromptBytes: '32KiB' });
});
afterEach(async () => {
  await demo.idle();
  const { pool } = await demo.services.engine.statistics();
  expect(pool.freePages + pool.cachedPages).toBe(pool.pages);
});
afterAll(async () => {
  await demo.close();
});

/** What, body, code, param, words of the message. */
type Case = [string, unknown, ErrorCode, string | null, RegExp];

async function expectRefusal(path: string, [, body, code, param, words]: Case): Promise<void> {
  for (const stream of [false, true]) {
    const streamed = typeof body === 'object' && !(body instanceof Uint8Array) ? { ...body, stream } : body;
    const { status, headers, json } = await demo.post(path, streamed);
    expect({ status, code: json.error.code, param: json.error.param }).toEqual({
      status: ERRORS[code].status,
      code,
      param,
    });
    expect(json.error.type).toBe(ERRORS[code].type);
    expect(json.error.message).toMatch(words);
    expect(json.error.remedy).not.toMatch(/^$|\{/);
    expect(headers.get('content-type')).toMatch(/application\/json/);
  }
}

const MALFORMED: Case[] = [
  ['a body that breaks off', '{"messages": [{"role"', 'invalid_json', null, /not valid JSON/],
  ['an empty body', '', 'invalid_json', null, /empty/],
  ['a body of white space', '  \n', 'invalid_json', null, /not valid JSON/],
  ['single quotes', "{'messages': []}", 'invalid_json', null, /not valid JSON/],
  ['two documents in one body', '{} {}', 'invalid_json', null, /not valid JSON/],
  ['NaN', raw('"temperature":NaN'), 'invalid_json', null, /not valid JSON/],
  ['Infinity', raw('"top_p":Infinity'), 'invalid_json', null, /not valid JSON/],
  ['a number that overflows', raw('"top_p":1e999'), 'invalid_request', 'top_p', /top_p/],
  ['a number that overflows below', raw('"presence_penalty":-1e999'), 'invalid_request', 'presence_penalty', /must be/],
  ['a forbidden field', raw('"__proto__":{"admin":true}'), 'invalid_json', null, /__proto__/],
  ['a forbidden field, escaped', raw('"\\u005f_proto__":{}'), 'invalid_json', null, /__proto__/],
  ['a forbidden pair', raw('"constructor":{"prototype":{}}'), 'invalid_json', null, /constructor/],
  ['65 levels', `${'['.repeat(65)}${']'.repeat(65)}`, 'invalid_json', null, /64 levels/],
  ['a million levels', '{"a":'.repeat(1e6), 'invalid_json', null, /64 levels/],
  ['a list', '[]', 'invalid_request', null, /must be object/],
  ['a number', '5', 'invalid_request', null, /must be object/],
  ['null', 'null', 'invalid_request', null, /must be object/],
  ['bytes that are no UTF-8', Uint8Array.of(0x22, 0xff, 0xfe, 0x22), 'invalid_utf8', null, /UTF-8/],
  ['an overlong encoding', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), 'invalid_utf8', null, /UTF-8/],
  ['a surrogate in UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), 'invalid_utf8', null, /UTF-8/],
  ['a lone surrogate', raw('"documents":[{"text":"a\\ud800b"}]'), 'text_not_encodable', 'documents[0].text', /lone/],
  ['a lone surrogate in a key', raw('"\\udfff":1'), 'text_not_encodable', null, /field name/],
  ['surrogates the wrong way round', raw('"user":"\\udc00\\ud800"'), 'text_not_encodable', 'user', /lone/],
];

const CHATS: Case[] = [
  ['no messages', {}, 'invalid_request', 'messages', /required/],
  ['an empty conversation', { messages: [] }, 'invalid_request', 'messages', /fewer than 1/],
  ['messages of the wrong type', { messages: 'hello' }, 'invalid_request', 'messages', /must be array/],
  ['a message without a role', { messages: [{ content: 'x' }] }, 'invalid_request', 'messages[0].role', /required/],
  ['an unknown role', { messages: [{ role: 'bard', content: 'x' }] }, 'invalid_request', 'messages[0].role', /one of/],
  ['an empty question', { messages: [{ role: 'user', content: ' ' }] }, 'empty_input', 'messages[0].content', /empty/],
  ['an unknown model', { ...question, model: 'gpt-5' }, 'model_not_found', 'model', /gpt-5/],
  ['a model of the wrong type', { ...question, model: 7 }, 'invalid_request', 'model', /must be string/],
  ['a temperature as text', { ...question, temperature: 'NaN' }, 'invalid_request', 'temperature', /must be number/],
  ['a temperature beyond 2', { ...question, temperature: 2.5 }, 'invalid_request', 'temperature', /<= 2/],
  ['a negative top_p', { ...question, top_p: -0.1 }, 'invalid_request', 'top_p', />= 0/],
  ['half a token', { ...question, max_tokens: 1.5 }, 'invalid_request', 'max_tokens', /must be integer/],
  ['no token', { ...question, max_tokens: 0 }, 'invalid_request', 'max_tokens', />= 1/],
  [
    'tokens beyond the context',
    { ...question, max_tokens: 4096 },
    'context_length_exceeded',
    'max_tokens',
    /maximum context length is 4096 tokens/,
  ],
  [
    'tokens beyond all counting',
    { ...question, max_completion_tokens: 1e15 },
    'context_length_exceeded',
    'max_completion_tokens',
    /maximum context length is 4096 tokens/,
  ],
  ['an empty document', documents(1, ''), 'empty_input', 'documents[0].text', /empty/],
  ['a document of white space', documents(1, '\n\t '), 'empty_input', 'documents[0].text', /empty/],
  ['a document of nothing', { ...question, documents: [{}] }, 'invalid_request', 'documents[0]', /either/],
  [
    'a document with both',
    { ...question, documents: [{ id: 'a', text: 'b' }] },
    'invalid_request',
    'documents[0]',
    /has both `id` and `text`/,
  ],
  [
    'an unknown document',
    { ...question, documents: [{ id: 'none' }] },
    'document_not_found',
    'documents[0].id',
    /none/,
  ],
  ['an over-long document', documents(1, 'x'.repeat(70_000)), 'payload_too_large', 'documents[0].text', /64 KiB/],
  ['too many documents', documents(9), 'payload_too_large', 'documents', /9 documents.*limit of 8/],
  [
    'documents beyond the context',
    documents(1, 'word '.repeat(9000)),
    'context_length_exceeded',
    'documents[0]',
    /maximum context length is 4096 tokens/,
  ],
  [
    'an over-long conversation',
    { messages: [{ role: 'user', content: 'x'.repeat(33_000) }] },
    'payload_too_large',
    'messages',
    /32 KiB/,
  ],
  ['too many values', { ...question, x: Array(10_001).fill('y') }, 'payload_too_large', null, /JSON values/],
  ['too many choices', { ...question, n: 1000 }, 'invalid_request', 'n', /--max-choices/],
  ['too many stop strings', { ...question, stop: Array(17).fill('x') }, 'invalid_request', 'stop', /--max-stops/],
  ['an empty stop string', { ...question, stop: [''] }, 'invalid_request', 'stop', /empty string/],
  ['a bias for no token', { ...question, logit_bias: { '99999': 1 } }, 'invalid_request', 'logit_bias', /99999/],
  ['a seed beyond whole numbers', { ...question, seed: 1e300 }, 'invalid_request', 'seed', /must be/],
  [
    'a tool without a function',
    { ...question, tools: [{ type: 'function' }] },
    'invalid_request',
    'tools[0].function',
    /required/,
  ],
  [
    'functions of the old kind',
    { ...question, functions: [{ name: 'f' }] },
    'invalid_request',
    'functions',
    /not supported/,
  ],
  [
    'contradicting segmentation',
    { ...documents(1), segmentation: { min_tokens: 90, max_tokens: 40 } },
    'segmentation_invalid',
    'segmentation',
    /contradict/,
  ],
];

const COMPLETIONS: Case[] = [
  ['no prompt', {}, 'empty_input', 'prompt', /empty/],
  ['an empty prompt', { prompt: '' }, 'empty_input', 'prompt', /empty/],
  ['a token id beyond the vocabulary', { prompt: [5, 4096] }, 'invalid_request', 'prompt', /4096/],
  ['a negative token id', { prompt: [...Array(300).fill(1), -1] }, 'invalid_request', 'prompt[300]', />= 0/],
  ['an empty block', { prompt: 'x', blocks: ['ok', ''] }, 'empty_input', 'blocks[1]', /empty/],
  ['too many blocks', { prompt: 'x', blocks: Array(9).fill('y') }, 'payload_too_large', 'blocks', /9 blocks/],
  ['an over-long prompt', { prompt: 'x'.repeat(40_000) }, 'payload_too_large', 'prompt', /32 KiB/],
  [
    'a prompt beyond the context',
    { prompt: Array(5000).fill(5) },
    'context_length_exceeded',
    'prompt',
    /maximum context length is 4096 tokens/,
  ],
  ['too many numbers', { prompt: Array(150_001).fill(5) }, 'payload_too_large', null, /numbers in lists/],
];

const DOCUMENTS: Case[] = [
  ['no text', {}, 'invalid_request', 'text', /required/],
  ['an empty text', { text: '' }, 'empty_input', 'text', /empty/],
  ['an over-long text', { text: 'x'.repeat(70_000) }, 'payload_too_large', 'text', /64 KiB/],
  ['an id with a slash', { id: 'a/b', text: 'x' }, 'invalid_request', 'id', /must match/],
  ['metadata of the wrong type', { text: 'x', metadata: { a: 1 } }, 'invalid_request', 'metadata.a', /must be string/],
  [
    'too much metadata',
    { text: 'x', metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v'])) },
    'invalid_request',
    'metadata',
    /16/,
  ],
];

describe('POST /v1/chat/completions refuses', () => {
  test.each([...MALFORMED, ...CHATS])('%s', async (...each) => {
    await expectRefusal(CHAT, each as Case);
  });
});
describe('POST /v1/completions refuses', () => {
  test.each(COMPLETIONS)('%s', async (...each) => {
    await expectRefusal('/v1/completions', each as Case);
  });
});
describe('POST /v1/documents refuses', () => {
  test.each([...MALFORMED.slice(0, 2), ...DOCUMENTS])('%s', async (...each) => {
    await expectRefusal('/v1/documents', each as Case);
  });
});

test.each([
  ['GET', '/v1/documents?limit=1000', 'invalid_request', 400],
  ['GET', '/v1/documents?limit=NaN', 'invalid_request', 400],
  ['GET', '/v1/documents/none', 'document_not_found', 404],
  ['DELETE', '/v1/documents/none', 'document_not_found', 404],
  ['GET', '/v1/documents/%ff', 'invalid_request', 400],
  ['GET', `/v1/documents/${'x'.repeat(3000)}`, 'invalid_request', 400],
  ['GET', '/v1/blocks/xyz', 'invalid_request', 400],
  ['GET', `/v1/blocks/${'0'.repeat(64)}`, 'block_not_found', 404],
  ['DELETE', '/v1/cache?tiers=moon', 'invalid_request', 400],
  ['GET', '/v1/jobs/none', 'job_not_found', 404],
  ['GET', '/v1/models/none', 'model_not_found', 404],
  ['PUT', '/v1/models', 'method_not_allowed', 405],
  ['GET', '/v2/models', 'route_not_found', 404],
])('%s %s is %s', async (method, path, code, status) => {
  const response = await fetch(`${demo.url}${path}`, { method });
  const { error } = (await response.json()) as ErrorAnswer;
  expect([response.status, error.code]).toEqual([status, code]);
});

test.each([
  ['what is no HTTP', 'GARBAGE\r\n\r\n', 400],
  ['headers without end', `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
  ['a negative length', 'POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n', 400],
  ['two lengths', 'POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 400],
])('%s is answered in the same shape, and the connection closed', async (_, sent, status) => {
  const { hostname, port } = new URL(demo.url);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.on('data', (part) => {
    received += String(part);
  });
  socket.write(sent);
  await once(socket, 'close');
  const [head = '', body = ''] = received.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(JSON.parse(body)).toMatchObject({ error: { type: 'invalid_request_error', code: 'invalid_request' } });
});

async function refusedAsTooLarge(): Promise<number> {
  const text = await (await fetch(`${demo.url}/metrics`)).text();
  return Number(/errors_total\{[^}]*code="payload_too_large"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0);
}

test('a body that is too large is refused by its announced length, and by the bytes that come', async () => {
  const large = await demo.post(CHAT, { ...question, user: 'x'.repeat(9 * 2 ** 20) });
  expect([large.status, large.json.error.code]).toEqual([413, 'payload_too_large']);
  expect(large.json.error.message).toMatch(/8 MiB/);
  const before = await refusedAsTooLarge();
  // fetch of Node 20 goes on taking an endless body from its stream when the connection is gone: a socket does not.
  const { hostname, port } = new URL(demo.url);
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.on('data', (part) => {
    received += String(part);
  });
  socket.on('error', () => undefined);
  socket.write(
    `POST ${CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const piece = `10000\r\n${' '.repeat(0x10000)}\r\n`;
  const send = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on('drain', send);
  send();
  await new Promise((resolve) => socket.once('close', resolve));
  // The server hangs up on a body that does not end; whether the client still reads the answer is the client's luck.
  expect(await refusedAsTooLarge()).toBe(before + 1);
  if (received !== '') expect(received).toMatch(/^HTTP\/1\.1 413 [\s\S]*"payload_too_large"/);
});

test('an answer never repeats megabytes of the request', async () => {
  const { json } = await demo.post(CHAT, { ...question, model: 'm'.repeat(2 ** 20) });
  expect(json.error.message.length).toBeLessThan(1200);
});
