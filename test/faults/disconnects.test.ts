/** A client goes away, at any point of its request: nothing that it held stays, and others are served as before. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type DemoServer, startDemoServer } from '../support/demo-server.js';

const CHAT = '/v1/chat/completions';
const documents = [{ text: 'The Zokego fair is held in Lima. '.repeat(20) }];
/** Generates until it is cancelled, for as long as any test takes. */
const endless = { messages: [{ role: 'user', content: 'Go on.' }], max_tokens: 3500, ignore_eos: true, temperature: 0 };
let demo: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer({ maxRunning: 1, maxQueue: 16, kvMemoryBytes: '128MiB' });
});
afterEach(async () => {
  await demo.idle();
  const { pool } = await demo.services.engine.statistics();
  expect(pool.freePages + pool.cachedPages).toBe(pool.pages);
  const answer = await demo.post(CHAT, { ...endless, max_tokens: 2, documents });
  expect(answer.status).toBe(200);
});
afterAll(async () => {
  await demo.close();
});

/** A request written by hand, so that its connection can be cut anywhere. */
async function open(path: string, body: object | string, announced?: number): Promise<Socket> {
  const { hostname, port } = new URL(demo.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const length = announced ?? Buffer.byteLength(payload);
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${payload}`,
  );
  return socket;
}

async function until(reached: (counts: { running: number; waiting: number; generated: number }) => boolean) {
  for (const start = performance.now(); performance.now() - start < 20_000; ) {
    const { running, waiting, generatedTokens } = await demo.services.engine.statistics();
    if (reached({ running, waiting, generated: generatedTokens })) return;
    await new Promise(setImmediate);
  }
  throw new Error('that state was never reached');
}

/** Requests that ended by abort, as the engine's side and as HTTP counts them. */
const aborted = async () => {
  const text = await (await fetch(`${demo.url}/metrics`)).text();
  return [
    /request_success_total\{finished_reason="abort"[^}]*\} (\d+)/,
    /http_requests_total\{[^}]*status="499"[^}]*\} (\d+)/,
  ].map((pattern) => Number(pattern.exec(text)?.[1] ?? 0));
};

describe.each([
  ['streaming', true],
  ['not streaming', false],
])('%s, a client that goes away', (_, stream) => {
  test('while its answer is decoded frees its pages at once', async () => {
    const before = await aborted();
    const { generatedTokens } = await demo.services.engine.statistics();
    const socket = await open(CHAT, { ...endless, stream, documents });
    await until(({ generated }) => generated > generatedTokens + 5);
    socket.destroy();
    await demo.idle();
    expect(await aborted()).toEqual(before.map((count) => count + 1));
  });

  test('while it waits in the queue gives up its place', async () => {
    const running = await open(CHAT, { ...endless, stream });
    await until((counts) => counts.running === 1);
    const waiting = await open(CHAT, { ...endless, stream, documents });
    await until((counts) => counts.waiting === 1);
    waiting.destroy();
    await until((counts) => counts.waiting === 0 && counts.running === 1);
    running.destroy();
  });

  test('one choice of several frees them all', async () => {
    const { generatedTokens } = await demo.services.engine.statistics();
    const socket = await open(CHAT, { ...endless, stream, n: 3 });
    await until(({ generated }) => generated > generatedTokens + 3);
    socket.destroy();
  });

  test('before anything has been computed leaves nothing', async () => {
    const socket = await open(CHAT, { ...endless, stream, documents: [{ text: 'word '.repeat(3000) }] });
    socket.destroy();
  });
});

test('a client that goes away in the middle of its body leaves nothing', async () => {
  const socket = await open(CHAT, '{"messages":[{"role":"us', 5000);
  await new Promise(setImmediate);
  socket.destroy();
});

test('a client that goes away while its document is ingested stops the work', async () => {
  const before = (await demo.services.engine.statistics()).pool.cachedBlocks;
  const text = Array.from({ length: 6000 }, (_, index) => `Fact ${index} is not fact ${index * 7}.`).join(' ');
  const socket = await open('/v1/documents', { id: 'left', text });
  for (;;) {
    const { pool } = await demo.services.engine.statistics();
    if (pool.cachedBlocks > before || pool.activePages > 0) break;
    await new Promise(setImmediate);
  }
  socket.destroy();
  await demo.idle();
  expect((await fetch(`${demo.url}/v1/documents/left`)).status).toBe(404);
});

test('a client that does not read its stream holds up nobody', async () => {
  const deaf = await open(CHAT, { ...endless, max_tokens: 400, stream: true });
  deaf.pause();
  const { status } = await demo.post(CHAT, { ...endless, max_tokens: 2 });
  expect(status).toBe(200);
  deaf.destroy();
});
