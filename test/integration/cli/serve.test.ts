/** `blockstitch serve` as an operator meets it: ready, signals, draining, exit codes. */
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { type CliProcess, startCli } from '../../support/cli-process.js';

const home = mkdtempSync(join(tmpdir(), 'blockstitch-serve-'));
const started: CliProcess[] = [];

function serve(argv: readonly string[] = [], env: Record<string, string> = {}): CliProcess {
  const cli = startCli(['serve', '--port', '0', '--kv-memory', '64MiB', '--log-level', 'warn', ...argv], home, env);
  started.push(cli);
  return cli;
}

async function ready(cli: CliProcess): Promise<string> {
  const [, url = ''] = await cli.said(/ready: (http:\S+)\/docs/);
  return url;
}

/** The demo model with another tokenizer file. */
function hostileModel(tokenizer: string): string {
  const directory = mkdtempSync(join(home, 'model-'));
  cpSync(join(PACKAGE_DIR, 'models', 'demo'), directory, { recursive: true });
  writeFileSync(join(directory, 'tokenizer.json'), tokenizer);
  return directory;
}

function chat(url: string, fields: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'Who?' }],
      temperature: 0,
      ignore_eos: true,
      ...fields,
    }),
  });
}

/** A connection that sends some bytes and reads nothing, unless told to. */
async function connection(url: string, bytes: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

function requestText(path: string, body: string, sent = body): string {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json`;
  return `${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${sent}`;
}

/** Waits until a metric of the server is at least 1. */
async function counted(url: string, metric: string): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const values = text.matchAll(new RegExp(`^blockstitch:${metric}\\{.*\\} (\\S+)$`, 'gm'));
    if ([...values].some(([, value]) => Number(value) >= 1)) return;
    await pause(5);
  }
}

afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
});
afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

describe('blockstitch serve', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 on %s', async (signal) => {
    const cli = serve();
    const url = await ready(cli);
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    cli.child.kill(signal);
    expect(await cli.ended).toMatchObject({ code: 0, stderr: expect.stringContaining(`${signal}: draining`) });
  });

  test('lets a running answer finish on SIGTERM and refuses new ones meanwhile', async () => {
    const cli = serve();
    const url = await ready(cli);
    const stream = await chat(url, { stream: true, max_tokens: 1500 });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    cli.child.kill('SIGTERM');
    await cli.said(/SIGTERM: draining/);
    const refused = await chat(url, { max_tokens: 1 });
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
      503,
      'shutting_down',
    ]);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value);
    expect(rest.trimEnd().endsWith('data: [DONE]')).toBe(true);
    const { code, stderr } = await cli.ended;
    expect(code).toBe(0);
    expect(stderr).not.toContain('did not finish');
  });

  test('ends the requests that do not finish in time, and says how many', async () => {
    const cli = serve(['--drain', '200ms']);
    const url = await ready(cli);
    const stream = await chat(url, { stream: true, max_tokens: 4000 });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    cli.child.kill('SIGTERM');
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value);
    expect(rest).toContain('shutting_down');
    expect(await cli.ended).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('1 requests did not finish within 200 ms'),
    });
  });

  test('closes every connection at the end of a drain: kept alive, streaming, not reading, sent by half', async () => {
    const cli = serve(['--drain', '0s']);
    const url = await ready(cli);
    const question = { messages: [{ role: 'user', content: 'Who?' }], ignore_eos: true, max_tokens: 4000 };
    const idle = await connection(url, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    const half = await connection(url, requestText('/v1/segment', 'x'.repeat(1000), '{"te'));
    const silent = await connection(
      url,
      requestText('/v1/chat/completions', JSON.stringify({ ...question, stream: true })),
    );
    const text = Array.from({ length: 3000 }, (_, number) => `Zokego ${number} is held in Limoga.`).join('\n\n');
    const keptAlive = await connection(url, requestText('/v1/documents', JSON.stringify({ text })));
    await counted(url, 'ingested_blocks_total');
    await counted(url, 'num_requests_running');
    const answer = readAll(keptAlive);
    cli.child.kill('SIGTERM');
    await cli.said(/draining/);
    const began = performance.now();
    const { code, stderr } = await cli.ended;
    // It takes a second or two; it took as long as connections are kept alive (72 s).
    expect(performance.now() - began).toBeLessThan(20_000);
    expect([code, stderr]).toEqual([0, expect.stringContaining('did not finish within 0 ms')]);
    const [head = '', body = ''] = (await answer).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 503 /);
    expect(head.toLowerCase()).toContain('connection: close');
    expect(JSON.parse(body).error.code).toBe('shutting_down');
    for (const socket of [idle, half, silent, keptAlive]) socket.destroy();
  });

  test.each([
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
    ['SIGTERM', 'SIGTERM'],
    ['SIGINT', 'SIGINT'],
  ] as const)('%s drains, a %s behind it ends the process at once', async (first, second) => {
    const cli = serve();
    const url = await ready(cli);
    const stream = await chat(url, { stream: true, max_tokens: 4000 });
    await (stream.body as ReadableStream<Uint8Array>).getReader().read();
    cli.child.kill(first);
    await cli.said(/draining/);
    cli.child.kill(second);
    expect((await cli.ended).code).toBeNull();
    expect(cli.child.signalCode).toBe(second);
  });

  test('an engine that stays down makes it not ready, then unhealthy, then ends it with 1', async () => {
    const preload = join(PACKAGE_DIR, 'test', 'support', 'kill-engine.mjs');
    const cli = serve(['--max-down', '300ms', '--log-level', 'info'], { NODE_OPTIONS: `--import=${preload}` });
    const url = await ready(cli);
    const status = async (path: string) => (await fetch(`${url}${path}`)).status;
    cli.child.kill('SIGUSR2');
    while ((await status('/ready')) === 200) await pause(5);
    expect([await status('/ready'), await status('/health')]).toEqual([503, 200]);
    expect((await chat(url, { max_tokens: 1 })).status).toBe(503);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^blockstitch:engine_state\{state="restarting",.*\} 1$/m);
    const { code, stdout, stderr } = await cli.ended;
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/error: the engine stayed down for 300 ms \(.+\): draining/),
    ]);
    for (const state of ['restarting', 'down']) expect(stdout).toContain(`engine is ${state}`);
  });

  test('answers /health while it loads and ends with 1 if the model cannot be used', async () => {
    const cli = serve(['--model', join(home, 'nowhere')]);
    const { code, stderr } = await cli.ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(/checkpoint .*nowhere cannot be used/)]);
  });

  test('refuses a hostile tokenizer file with its reason', async () => {
    const { code, stderr } = await serve(['--model', hostileModel('{"model":{"type":"BPE","vocab":{"a":1e99}}')]).ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(/tokenizer\.json cannot be used: .*not valid JSON/)]);
  });

  test('ends with 2 if its address is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await serve(['--port', String(port)]).ended;
    other.close();
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--host or --port is invalid: .*EADDRINUSE/)]);
  });

  test('asks for the keys of the environment and of the file, and shows none', async () => {
    const file = join(home, 'keys');
    writeFileSync(file, '# keys\nfrom-file\n');
    const cli = serve(['--api-keys-file', file], { BLOCKSTITCH_API_KEYS: 'from-env' });
    const url = await ready(cli);
    const status = async (key: string) =>
      (await chat(url, { max_tokens: 1 }, { authorization: `Bearer ${key}` })).status;
    expect([await status('from-env'), await status('from-file'), await status('other')]).toEqual([200, 200, 401]);
    cli.child.kill('SIGTERM');
    const { stdout, stderr } = await cli.ended;
    expect(stdout + stderr).not.toMatch(/from-env|from-file/);
  });
});

test('a server outlives who reads its lines, and drains as ever', async () => {
  const cli = serve();
  const url = await ready(cli);
  cli.child.stderr?.destroy();
  cli.child.stdout?.destroy();
  // SIGHUP and SIGTERM each write a line that nobody reads.
  cli.child.kill('SIGHUP');
  expect((await chat(url, { max_tokens: 2 })).status).toBe(200);
  cli.child.kill('SIGTERM');
  const [code] = (await once(cli.child, 'exit')) as [number | null];
  expect(code).toBe(0);
});
