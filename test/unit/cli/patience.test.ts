/** Waiting for a server: limits are waited for as long as it says, other troubles for some tries. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ingest, RemoteError, serverUrl } from '../../../src/cli/api-client.js';
import { askModes } from '../../../src/cli/evaluation/asked-modes.js';
import { patiently } from '../../../src/cli/patience.js';
import { shellWords } from '../../../src/cli/shell-words.js';
import { limitNotes, type Terminal } from '../../../src/cli/terminal.js';
import { BlockstitchError } from '../../../src/errors.js';

let answer: (response: ServerResponse) => void = () => undefined;
let asked = 0;
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    asked += 1;
    answer(response);
  });
});
let url = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const refuse =
  (status: number, error: object, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ error: { type: 'x', param: null, ...error } }));
  };
const limited = refuse(
  429,
  { code: 'rate_limit_exceeded', message: 'The limit of 20 requests a minute is reached.', remedy: 'Retry.' },
  { 'retry-after': '47' },
);

describe('a limit of requests', () => {
  test('is waited for as long as the server says, however often', async () => {
    asked = 0;
    const [pauses, told]: [number[], number[]] = [[], []];
    answer = (response) => {
      if (asked <= 9) limited(response);
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"a","tokens":1,"blocks":[]}');
    };
    const result = await patiently(() => ingest(url, { id: 'a', text: 'x' }), {
      onLimit: (_, waitMs) => told.push(waitMs),
      pause: async (ms) => pauses.push(ms),
    });
    expect(result.id).toBe('a');
    expect(pauses).toEqual(Array.from({ length: 9 }, () => 47_000));
    expect(told).toEqual(pauses);
  });

  test('is waited for a minute at most at a time', async () => {
    const pauses: number[] = [];
    let tries = 0;
    const fault = { code: 'rate_limit_exceeded', message: 'so' };
    const work = async () => {
      if (++tries === 1) throw new RemoteError(fault, 3_600_000);
    };
    await patiently(work, { pause: async (ms) => pauses.push(ms) });
    expect(pauses).toEqual([60_000]);
  });
});

test('a limit is told once however many wait, and a short wait not at all', () => {
  const notes: string[] = [];
  const terminal = { note: (line: string) => notes.push(line) } as unknown as Terminal;
  const tell = limitNotes(terminal);
  tell(new Error('The limit of 2 requests at once is reached.'), 1000);
  for (let each = 0; each < 4; each++) tell(new Error('The limit of 20 requests a minute is reached.'), 46_200);
  expect(notes).toEqual(['The limit of 20 requests a minute is reached. Going on in 47 s.']);
});

test('a server that has no room gets some tries, and what does not pass gets none', async () => {
  const pauses: number[] = [];
  const failing = (code: 'overloaded' | 'invalid_request') =>
    patiently(() => Promise.reject(new BlockstitchError(code, { reason: 'so' })), {
      pause: async (ms) => pauses.push(ms),
    });
  await expect(failing('invalid_request')).rejects.toMatchObject({ code: 'invalid_request' });
  expect(pauses).toEqual([]);
  await expect(failing('overloaded')).rejects.toMatchObject({ code: 'overloaded' });
  expect(pauses).toEqual([500, 1000, 1500, 2000, 2500]);
});

describe('what a server refuses', () => {
  const remedy = 'Send less; the limit is set by --max-documents.';
  const large = { code: 'payload_too_large', message: 'The request has 300 documents, more than the limit of 256.' };

  test('keeps its remedy, with the setting that the server names', async () => {
    answer = refuse(413, { ...large, remedy });
    const error = await ingest(url, { text: 'x' }).catch((caught: BlockstitchError) => caught);
    expect(shellWords(error as BlockstitchError)).toEqual({ message: large.message, remedy });
  });

  test('has a remedy without empty places if the server sends none', () => {
    expect(shellWords(new RemoteError(large)).remedy).toBe('Send less.');
  });
});

test.each(['http://host:80', 'http://host:80/', 'http://host:80/v1', 'http://host:80/v1/'])(
  '%s is one server',
  (given) => {
    expect(serverUrl(given)).toBe('http://host:80');
    expect(serverUrl('https://host/models/v1/')).toBe('https://host/models');
  },
);

describe('an evaluation', () => {
  const row = { id: '7', question: 'Why?', answers: ['so'], documents: [{ text: 'It is so.' }] };
  const evaluate = () =>
    askModes([{ name: 'fairs', rows: [row] }], {
      ...{ url, modes: ['full', 'block'], repairShare: 0.15, newTokens: 4, orders: 1, model: 'm', flush: false },
    });

  test.each([
    [413, 'payload_too_large'],
    [422, 'text_not_encodable'],
    [400, 'pool_too_small'],
  ])('leaves out a row that the server cannot take: %d %s', async (status, code) => {
    answer = refuse(status, { code, message: 'It is too much.', remedy: '' });
    expect(await evaluate()).toMatchObject([
      { row: '7', mode: 'full', skipped: 'It is too much.' },
      { row: '7', mode: 'block', skipped: 'It is too much.' },
    ]);
  });

  test('that ends names the row', async () => {
    answer = refuse(401, { code: 'authentication_failed', message: 'The API key is wrong.', remedy: '' });
    await expect(evaluate()).rejects.toThrow('fairs, row 7: The API key is wrong.');
  });
});
