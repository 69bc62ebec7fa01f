/**
 * A drawn session on a real server that logs at every level: what clients say is not in its log. Every text, key, salt,
 * title and field value holds the mark; so does what is wrong in wrong requests.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.js';
import { BlockstitchError } from '../../../src/errors.js';
import { makeKey, writeKeyFile } from '../../../src/server/keys/key-file.js';
import type { Services } from '../../../src/server/services.js';
import { type RunningServer, startServer } from '../../../src/server/start-server.js';

const MARK = 'Zqxjvk';
const PLAIN_KEY = `plain-${MARK}-key`;
const directory = mkdtempSync(join(tmpdir(), 'blockstitch-logs-'));
const { entry, key } = makeKey({ name: 'alice' });
const secret = key.split('_').slice(2).join('_');
let log = '';
let server: RunningServer;
let services: Services;

beforeAll(async () => {
  const keyFile = join(directory, 'keys.json');
  await writeKeyFile(keyFile, [entry]);
  const config = loadConfig(
    {
      port: 0,
      keyFile,
      apiKeys: [PLAIN_KEY],
      storeDir: join(directory, 'store'),
      importCacheDir: join(directory, 'imports'),
      kvMemoryBytes: '64MiB',
      maxKeyFailures: 0,
    },
    {},
  );
  const stream = new Writable({
    write(part, _encoding, done) {
      log += String(part);
      done();
    },
  });
  server = await startServer(config, { logger: { level: 'trace', stream } });
  services = await server.ready;
});
afterAll(async () => {
  await server?.close();
  rmSync(directory, { recursive: true, force: true });
});

const said = fc.string({ maxLength: 20 }).map((rest) => `${MARK} ${rest}`);
const value = fc.oneof(
  said,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(said, { maxLength: 2 }),
  fc.record({ [MARK]: said }),
);
const message = fc.record({
  role: fc.constantFrom('user', 'system', 'assistant', MARK),
  content: fc.oneof(said, value),
});
const sound = fc.record({ role: fc.constantFrom('user', 'system'), content: said });
const document = fc.oneof(
  fc.record({ text: said, title: said }),
  fc.record({ id: fc.constantFrom('one', 'two') }),
  value,
);
const chat = fc.record(
  {
    messages: fc.oneof(
      { weight: 4, arbitrary: fc.array(sound, { minLength: 1, maxLength: 3 }) },
      fc.array(message, { maxLength: 2 }),
      value,
    ),
    documents: fc.oneof(
      { weight: 3, arbitrary: fc.array(fc.record({ text: said }), { maxLength: 2 }) },
      fc.array(document, { maxLength: 2 }),
    ),
    max_tokens: fc.constantFrom(1, 3, 1e9),
    cache_salt: said,
    stream: fc.boolean(),
    stop: fc.oneof(said, value),
    response_format: fc.constantFrom(
      { type: MARK },
      { type: 'json_schema', json_schema: { name: MARK, schema: { type: MARK } } },
      { type: 'json_schema', json_schema: { name: MARK, schema: { type: 'string', pattern: `(${MARK}` } } },
    ),
    guided_regex: fc.constantFrom(`(${MARK}`, `[${MARK}`),
    tools: fc.constantFrom([{ type: 'function', function: { name: MARK, parameters: { type: MARK } } }], [MARK]),
    tool_choice: fc.constantFrom(MARK, { type: 'function', function: { name: MARK } }),
    chat_template_kwargs: fc.constant({ [MARK]: MARK }),
    logit_bias: fc.constantFrom({ [MARK]: 1 }),
    metadata: fc.constant({ [MARK]: MARK }),
    segmentation: fc.constantFrom({ segmenter: MARK }, { min_tokens: 90, max_tokens: 10 }),
    unknown: said,
  },
  { requiredKeys: ['messages'] },
);
const ingest = fc.record(
  {
    id: fc.constantFrom('one', 'two'),
    text: fc.oneof({ weight: 4, arbitrary: said }, value),
    title: said,
    metadata: fc.dictionary(said, value),
    background: fc.boolean(),
  },
  { requiredKeys: ['text'] },
);
const post = (url: string, body: fc.Arbitrary<unknown>) =>
  fc.record({ method: fc.constant('POST' as const), url: fc.constant(url), body });
const get = (url: string) => fc.constant({ method: 'GET' as const, url, body: undefined });
const broken = said.map((text) => `{"messages": [{"content": "${text.replace(/["\\]/g, '')}" ${MARK}`);
const request = fc.record({
  what: fc.oneof(
    { weight: 6, arbitrary: post('/v1/chat/completions', chat) },
    {
      weight: 2,
      arbitrary: post(
        '/v1/responses',
        fc.record(
          {
            input: fc.oneof(
              said,
              value,
              fc.constant([
                { type: 'function_call', call_id: MARK, name: MARK, arguments: MARK },
                { type: 'function_call_output', call_id: MARK, output: MARK },
              ]),
              fc.constant([{ type: MARK }]),
            ),
            instructions: said,
            tools: fc.constantFrom([{ type: 'function', name: MARK, parameters: { type: MARK } }], [{ type: MARK }]),
            tool_choice: fc.constantFrom(MARK, { type: 'function', name: MARK }),
            max_output_tokens: fc.constant(1),
          },
          { requiredKeys: ['input', 'max_output_tokens'] },
        ),
      ),
    },
    {
      weight: 2,
      arbitrary: post(
        '/v1/completions',
        fc.record({
          prompt: fc.oneof(said, value),
          blocks: fc.array(said, { maxLength: 2 }),
          max_tokens: fc.constant(1),
        }),
      ),
    },
    { weight: 4, arbitrary: post('/v1/documents', ingest) },
    { weight: 2, arbitrary: post('/v1/segment', fc.record({ text: fc.oneof(said, value), title: said })) },
    { weight: 1, arbitrary: post('/tokenize', fc.record({ prompt: fc.oneof(said, value) })) },
    { weight: 1, arbitrary: post('/detokenize', fc.record({ tokens: fc.oneof(value, fc.array(fc.nat(1e6))) })) },
    { weight: 1, arbitrary: post('/v1/chat/completions', broken) },
    get('/v1/documents'),
    get('/v1/documents/one'),
    get(`/v1/documents?cache_salt=${MARK}`),
    get(`/v1/documents/two?cache_salt=${MARK}&limit=1000000`),
    get(`/v1/jobs/none?cache_salt=${MARK}`),
  ),
  key: fc.constantFrom(key, key, PLAIN_KEY, `wrong-${MARK}`, `${key}x`, undefined),
  salt: fc.constantFrom(undefined, MARK),
  type: fc.constantFrom('application/json', 'application/json', 'application/json', `text/${MARK}`),
});

test('nothing of prompts, documents, keys and salts is in the log, at any level', async () => {
  const statuses = new Set<number>();
  const session = fc.asyncProperty(request, async ({ what, key: given, salt, type }) => {
    const { method, url, body } = what;
    const before = log.length;
    const response = await server.app.inject({
      method,
      url,
      headers: {
        ...(given === undefined ? {} : { authorization: `Bearer ${given}` }),
        ...(salt === undefined ? {} : { 'x-cache-salt': salt }),
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    statuses.add(response.statusCode);
    const lines = log.slice(before);
    for (const hidden of [MARK, secret, entry.hash, entry.salt]) expect(lines).not.toContain(hidden);
    expect(lines.length).toBeGreaterThan(0);
  });
  await fc.assert(session, { numRuns: 1_500 });
  for (const status of [200, 202, 400, 401, 404, 415]) expect(statuses).toContain(status);
  // Also where the store and the engine fail.
  const ask = (url: string, payload: object) =>
    server.app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${key}` }, payload });
  const { documents, engine } = services;
  const { ingest: ingests } = documents;
  documents.ingest = async () => {
    throw new BlockstitchError('store_failed', { reason: 'it is told to' });
  };
  expect((await ask('/v1/documents', { text: MARK })).statusCode).toBe(503);
  documents.ingest = ingests;
  const { generate } = engine;
  engine.generate = () => {
    throw new Error('the engine is told to fail');
  };
  const failing = { messages: [{ role: 'user', content: MARK }], documents: [{ text: MARK }] };
  expect((await ask('/v1/chat/completions', failing)).statusCode).toBe(500);
  engine.generate = generate;
  await server.close();
  for (const hidden of [MARK, secret, entry.hash, entry.salt]) expect(log).not.toContain(hidden);
}, 600_000);
