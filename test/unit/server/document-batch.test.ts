/** Many documents in one upload: a result per line, in order, and never more in memory than a few lines. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import fastify from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { ndjsonLines } from '../../../src/server/ndjson-lines.js';
import { bodyTime } from '../../../src/server/plugins/body-time.js';
import type { DocumentResult } from '../../../src/server/schemas/batch-schema.js';
import { fakeApp } from '../../support/fake-services.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serve(settings: Parameters<typeof fakeApp>[0] = {}) {
  const made = await fakeApp(settings);
  closers.push(() => made.app.close());
  await made.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = made.app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const upload = (body: string | Readable, headers: Record<string, string> = {}) =>
    fetch(`${url}/v1/document-batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', ...headers },
      ...(typeof body === 'string' ? { body } : { body: Readable.toWeb(body) as ReadableStream, duplex: 'half' }),
    } as RequestInit);
  return { ...made, url, upload };
}

async function results(response: Response): Promise<DocumentResult[]> {
  const lines = (await response.text()).split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as DocumentResult);
}

const lineOf = (document: object) => `${JSON.stringify(document)}\n`;
const short = ({ line, status, id, error }: DocumentResult) => [line, status, id ?? error?.code];

describe('an upload', () => {
  test('is answered line by line, in order, and no line that fails ends another', async () => {
    const { upload, url } = await serve({ maxBodyBytes: '2KiB' });
    const body = [
      lineOf({ id: 'a', text: 'One.\n\nTwo.' }),
      '\r\n',
      'not JSON\n',
      lineOf({ id: 'b', text: ' ' }),
      lineOf({ id: 'c', text: 'x'.repeat(3_000) }),
      lineOf({ id: 'd', text: 7 }),
      lineOf({ id: 'e', title: null, text: 'Three.' }),
      '{"id": "f", "text": "no line break at the end"}',
    ];
    const response = await upload(body.join(''));
    expect(response.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    const lines = await results(response);
    expect(lines.map(short)).toEqual([
      [1, 'done', 'a'],
      [3, 'failed', 'invalid_json'],
      [4, 'failed', 'b'],
      [5, 'failed', 'payload_too_large'],
      [6, 'failed', 'invalid_request'],
      [7, 'done', 'e'],
      [8, 'done', 'f'],
    ]);
    expect(lines[0]).toMatchObject({ block_count: 2, tokens: 10, computed_tokens: 10 });
    expect(lines[1]?.error).toEqual({
      type: 'invalid_request_error',
      code: 'invalid_json',
      message: "The line is not valid JSON: 'o' is not expected in not JSON.",
      param: null,
      remedy: 'Send a JSON object in UTF-8.',
    });
    expect(lines[2]?.error).toMatchObject({ type: 'invalid_request_error', code: 'empty_input', param: 'text' });
    expect(lines[4]?.error).toMatchObject({ param: 'text' });
    const { data } = (await (await fetch(`${url}/v1/documents`)).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(['a', 'e', 'f']);
  });

  test('says what was there before: its tokens are not computed again', async () => {
    const { upload } = await serve();
    const body = lineOf({ id: 'a', text: 'One.\n\nTwo.' });
    await results(await upload(body));
    expect((await results(await upload(body)))[0]).toMatchObject({ tokens: 10, computed_tokens: 0 });
  });

  test('of jobs names each job', async () => {
    const { upload, services } = await serve();
    const [result] = await results(await upload(lineOf({ id: 'a', text: 'One.', background: true })));
    expect(result).toMatchObject({ line: 1, status: 'accepted', id: 'a', job_id: expect.stringMatching(/^job-/) });
    expect(await services.documents.jobs.get('', String(result?.job_id))).toBeDefined();
  });

  test('keeps salts apart, line by line', async () => {
    const { upload, url } = await serve();
    const body = lineOf({ id: 'a', text: 'One.' }) + lineOf({ id: 'b', text: 'One.', cache_salt: 'other' });
    const lines = await results(await upload(body, { 'x-cache-salt': 'mine' }));
    expect(lines.map(short)).toEqual([
      [1, 'done', 'a'],
      [2, 'failed', 'b'],
    ]);
    expect(lines[1]?.error).toMatchObject({ code: 'invalid_request', param: 'cache_salt' });
    expect(JSON.stringify(lines)).not.toMatch(/mine|other/);
    expect((await fetch(`${url}/v1/documents/a`)).status).toBe(404);
    expect((await fetch(`${url}/v1/documents/a`, { headers: { 'x-cache-salt': 'mine' } })).status).toBe(200);
  });

  test('ends at the limit of documents, though its sender would go on for ever', async () => {
    const { upload } = await serve({ maxBatch: 2, maxBodyBytes: '64KiB' });
    const forever = Readable.from(
      (function* () {
        for (let index = 0; ; index++) yield lineOf({ id: `d${index}`, text: 'One.' });
      })(),
    );
    forever.on('error', () => undefined);
    const lines = await results(await upload(forever));
    expect(lines.map(short)).toEqual([
      [1, 'done', 'd0'],
      [2, 'done', 'd1'],
      [3, 'failed', 'payload_too_large'],
    ]);
    expect(lines[2]?.error?.remedy).toContain('--max-batch');
  });

  test('of another type, or compressed, is 415', async () => {
    const { url, upload } = await serve();
    const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text": "x"}' };
    const errors: { message: string; remedy: string }[] = [];
    for (const answer of [
      await fetch(`${url}/v1/document-batch`, json),
      await upload('x', { 'content-encoding': 'gzip' }),
    ]) {
      expect(answer.status).toBe(415);
      errors.push(((await answer.json()) as { error: (typeof errors)[0] }).error);
    }
    expect(errors).toMatchObject([
      {
        message: 'The content type `application/json` is not supported here.',
        remedy: 'Send application/x-ndjson to this route.',
      },
      {
        message: 'A body encoded as gzip is not supported here.',
        remedy: 'Send uncompressed application/x-ndjson to this route.',
      },
    ]);
  });

  test('waits for the documents: a sender is held up while they are at work, and none is lost', async () => {
    const { upload, services } = await serve();
    const ingest = services.documents.ingest.bind(services.documents);
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    let begun = 0;
    services.documents.ingest = async (scope, document, progress) => {
      begun++;
      await gate;
      return ingest(scope, { ...document, text: 'One.' }, progress);
    };
    const COUNT = 400;
    let sent = 0;
    const body = Readable.from(
      (function* () {
        for (; sent < COUNT; sent++) yield lineOf({ id: `d${sent}`, text: 'x'.repeat(500_000) });
      })(),
      { highWaterMark: 1 },
    );
    const answer = upload(body);
    // The line of the wire fills up, and then nobody takes any more.
    let before = -1;
    await expect
      .poll(
        () => {
          const same = begun === 4 && sent === before;
          before = sent;
          return same;
        },
        { interval: 200, timeout: 60_000 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(COUNT / 2);
    open();
    const lines = await results(await answer);
    expect(lines.map(({ status, id }) => [status, id])).toEqual(
      Array.from({ length: COUNT }, (_, index) => ['done', `d${index}`]),
    );
  });
});

describe('lines', () => {
  test('are found however the bytes come', async () => {
    const text = Buffer.from('a\n\n  \nbé\r\n\u{1f600}');
    for (let size = 1; size <= text.length; size++) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
        text.subarray(at * size, (at + 1) * size),
      );
      const found: [number, string][] = [];
      for await (const { line, bytes } of ndjsonLines(Readable.from(pieces), { maxLineBytes: 6, idleMs: 60_000 })) {
        found.push([line, String(bytes)]);
      }
      expect(found).toEqual([
        [1, 'a'],
        [4, 'bé\r'],
        [5, '\u{1f600}'],
      ]);
    }
  });

  test('that are blank are counted, yield nothing, and give others their turn', async () => {
    let turns = 0;
    let ended = false;
    const turn = () => {
      turns += 1;
      if (!ended) setImmediate(turn);
    };
    async function* body() {
      for (let piece = 0; piece < 50; piece++) yield Buffer.from('\n \r\n'.repeat(10));
      yield Buffer.from('{}');
    }
    setImmediate(turn);
    const lines: [number, string | undefined][] = [];
    for await (const { line, bytes } of ndjsonLines(body(), { maxLineBytes: 100, idleMs: 60_000 })) {
      lines.push([line, bytes?.toString()]);
    }
    ended = true;
    expect(lines).toEqual([[1001, '{}']]);
    expect(turns).toBeGreaterThan(40);
  });

  test('of a sender that falls silent end with an error', async () => {
    const silent = new Readable({ read: () => undefined });
    silent.push('a\nb');
    const lines = ndjsonLines(silent, { maxLineBytes: 6, idleMs: 20 });
    expect((await lines.next()).value).toMatchObject({ line: 1 });
    await expect(lines.next()).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

test('any other body that does not arrive in time is 408', async () => {
  const app = fastify();
  closers.push(() => app.close());
  await app.register(bodyTime, { readMs: 30 });
  app.post('/', async () => 'never');
  await app.listen({ port: 0, host: '127.0.0.1' });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(String(answer)).toMatch(/^HTTP\/1.1 408 /);
  socket.destroy();
});
