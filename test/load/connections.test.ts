/** A thousand clients at once: each gets an answer, 200 or a documented refusal, and afterwards nothing is held. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DemoServer, type ErrorAnswer, startDemoServer } from '../support/demo-server.js';

const CLIENTS = 1000;
let demo: DemoServer;
let strict: DemoServer;

beforeAll(async () => {
  demo = await startDemoServer({ maxQueue: 2 * CLIENTS });
  strict = await startDemoServer({ maxQueue: 0, maxRunning: 1, maxConnections: 1200 });
});
afterAll(async () => {
  await demo.close();
  await strict.close();
});

interface Answer {
  status: number;
  retryAfter: string | undefined;
  body: string;
}

/** One client with a connection of its own. */
function ask(url: string, agent: Agent, index: number): Promise<Answer> {
  const body = JSON.stringify({
    messages: [{ role: 'user', content: `Who hosts fair ${index % 7}?` }],
    documents: [{ text: 'The Zokego fair is held in Lima.' }, { text: `Fair ${index % 5} opens in May.` }],
    max_tokens: 2,
    stream: index % 2 === 0,
  });
  return new Promise((resolve, reject) => {
    const call = request(
      `${url}/v1/chat/completions`,
      {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            retryAfter: response.headers['retry-after'],
            body: Buffer.concat(parts).toString('utf8'),
          }),
        );
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

async function askAll(url: string): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: false, maxSockets: CLIENTS });
  return Promise.all(Array.from({ length: CLIENTS }, (_, index) => ask(url, agent, index)));
}

test('a thousand connections at once are all answered if the queue takes them', async () => {
  const answers = await askAll(demo.url);
  for (const [index, { status, body }] of answers.entries()) {
    expect(status, body).toBe(200);
    if (index % 2 === 0) expect(body.trimEnd().endsWith('data: [DONE]')).toBe(true);
    else expect(JSON.parse(body)).toMatchObject({ object: 'chat.completion' });
  }
  await demo.idle();
});

test('a thousand connections to a full server are all sent away with Retry-After, and served when there is room', async () => {
  const leave = new AbortController();
  // One runs and none may wait: the server is full until it leaves.
  // A long answer without short cuts, so that it outlasts them all.
  const slow = { max_tokens: 4000, ignore_eos: true, prompt_lookup: false, logprobs: true, top_logprobs: 20 };
  const stay = fetch(`${strict.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Go on.' }], ...slow }),
    signal: leave.signal,
  }).catch((error: Error) => error.name);
  try {
    await expect.poll(async () => (await strict.services.engine.statistics()).running, { timeout: 60_000 }).toBe(1);
    const answers = await askAll(strict.url);
    for (const { status, retryAfter, body: text } of answers) {
      if (status === 200) continue;
      const { error } = JSON.parse(text) as ErrorAnswer;
      expect([status, error.code]).toEqual([429, 'queue_full']);
      expect(Number(retryAfter)).toBeGreaterThan(0);
    }
    // The one that stayed may have come to its end meanwhile; then some are served one after another.
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThan(CLIENTS / 2);
  } finally {
    leave.abort();
    await stay;
  }
  await strict.idle();
  expect((await ask(strict.url, new Agent({ keepAlive: false }), 1)).status).toBe(200);
});

test('a thousand idle connections do not keep a client from its answer, and those over the limit are closed', async () => {
  const { hostname, port } = new URL(strict.url);
  const idle: Socket[] = [];
  const opened = Array.from({ length: CLIENTS }, async () => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    idle.push(socket);
    await once(socket, 'connect');
  });
  await Promise.all(opened);
  const agent = new Agent({ keepAlive: false });
  expect((await ask(strict.url, agent, 1)).status).toBe(200);
  const more = Array.from({ length: 400 }, () => connect(Number(port), hostname));
  const closed = more.map(async (socket) => {
    socket.on('error', () => undefined);
    await once(socket, 'close');
    return 'closed';
  });
  try {
    expect(await Promise.any(closed)).toBe('closed');
  } finally {
    for (const socket of [...idle, ...more]) socket.destroy();
  }
  await expect.poll(async () => (await ask(strict.url, agent, 2)).status, { timeout: 60_000 }).toBe(200);
});
