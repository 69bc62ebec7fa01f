/**
 * The clients of `hostile`. Each runs in a thread of its own and attacks a server until it is told to stop.
 * Knows what hurts a server; `hostile.ts` measures how much others feel of it.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

export interface HostileTask {
  url: string;
  apiKey: string;
  client: HostileClient;
}

/** Counts of a client's answers by status. `gone`: it left before there was an answer. */
export type Answers = Record<string, number>;

const SENTENCE = 'The lighthouse keeper counted seventeen ships before dawn. ';
const MiB = 2 ** 20;
const HUGE = [2 ** 20, 2 ** 31, 2 ** 53, 1e308, -(2 ** 53), 136_909_161_881, 0.5];

const filled = (bytes: number) => SENTENCE.repeat(Math.ceil(bytes / SENTENCE.length)).slice(0, bytes);

/** Makes a value at its first use: a client that makes bodies all the time sends only a few. */
function madeOnce<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const question = { messages: [{ role: 'user', content: 'Who hosts Zokego?' }], temperature: 0 };

const largeText = madeOnce(() => JSON.stringify({ text: `0 ${filled(2 * MiB - 64)}` }));
const largeBodies = madeOnce(() => [
  JSON.stringify({
    ...question,
    documents: [1, 2, 3].map((number) => ({ text: `${number}${filled(2 * MiB - 4096)}` })),
  }),
  JSON.stringify({ messages: [{ role: 'user', content: filled(8 * MiB - 4096) }] }),
  '['.repeat(8 * MiB - 1),
]);

/** Sends the requests of one turn. Resolves with the status, or with `gone`. */
type Turn = (turn: number, send: Sender) => Promise<string>;

interface Sender {
  post(path: string, body: object | string, apiKey?: string): Promise<string>;
  get(path: string, apiKey?: string): Promise<string>;
  /** Sends a request and leaves when the last byte is out. */
  leave(path: string, body: string): Promise<string>;
  /** Sends a request, reads nothing of the answer for a while, then leaves. */
  stare(path: string, body: string, ms: number): Promise<string>;
}

/** The clients by name: how many requests at once, and what each turn does. */
export const HOSTILE = {
  hugeNumbers: {
    about: 'segmentation, max_tokens, n, top_k and seed up to 1e308',
    atOnce: 8,
    turn: (turn, { post }) => {
      const value = HUGE[turn % HUGE.length] as number;
      const text = 'One is here. Two is there.';
      const bodies: [string, object][] = [
        ['/v1/segment', { text, segmentation: { granularity: 1, max_tokens: value } }],
        ['/v1/segment', { text, segmentation: { segmenter: 'texttiling', target_tokens: value } }],
        ['/v1/chat/completions', { ...question, max_tokens: value }],
        ['/v1/chat/completions', { ...question, n: value, max_tokens: 1 }],
        ['/v1/chat/completions', { ...question, top_k: value, seed: value, temperature: 1, max_tokens: 1 }],
        ['/v1/documents', { text, segmentation: { min_tokens: value } }],
      ];
      return post(...(bodies[Math.floor(turn / HUGE.length) % bodies.length] as [string, object]));
    },
  },
  segmentAndLeave: {
    about: 'texts of 2 MiB to /v1/segment, disconnected at once',
    atOnce: 16,
    // A new text each time, so that the server has nothing of it in memory.
    turn: (turn, { leave }) => leave('/v1/segment', largeText().replace('0', String(turn))),
  },
  randomBearers: {
    about: 'a random API key with each request',
    atOnce: 16,
    turn: (_turn, { get }) => get('/v1/models', `${Math.random()}`),
  },
  biasAndPenalties: {
    about: '1024 logit biases, penalties and temperature 1',
    atOnce: 8,
    turn: (turn, { post }) =>
      post('/v1/chat/completions', {
        ...question,
        temperature: 1,
        seed: turn,
        max_tokens: 64,
        ignore_eos: true,
        presence_penalty: 1,
        frequency_penalty: 1,
        repetition_penalty: 1.1,
        logit_bias: Object.fromEntries(Array.from({ length: 1024 }, (_, id) => [id, (id % 7) - 3])),
      }),
  },
  largeBodies: {
    about: 'bodies of 8 MiB: documents, one message, brackets',
    atOnce: 4,
    turn: (turn, { post }) => post('/v1/chat/completions', largeBodies()[turn % 3] as string),
  },
  slowReaders: {
    about: 'long streams, read by nobody',
    atOnce: 8,
    turn: (turn, { stare }) =>
      stare(
        '/v1/chat/completions',
        JSON.stringify({ ...question, stream: true, max_tokens: 2000, ignore_eos: true, seed: turn }),
        3000,
      ),
  },
  emojiIds: {
    about: 'document ids of 100 to 300 emoji, sent and asked for',
    atOnce: 8,
    turn: (turn, { post, get }) => {
      const id = '\u{1f600}'.repeat(100 + (turn % 200));
      return turn % 2 === 0
        ? post('/v1/documents', { id, text: SENTENCE })
        : get(`/v1/documents/${encodeURIComponent(id)}`);
    },
  },
} as const satisfies Record<string, { about: string; atOnce: number; turn: Turn }>;

export type HostileClient = keyof typeof HOSTILE;

function senderOf(url: string, ownKey: string): Sender {
  const { hostname, port } = new URL(url);
  const request = async (path: string, init: RequestInit, apiKey: string): Promise<string> => {
    try {
      const headers = { ...(init.headers as object), authorization: `Bearer ${apiKey}` };
      const response = await fetch(`${url}${path}`, { ...init, headers });
      await response.arrayBuffer();
      return String(response.status);
    } catch {
      return 'gone';
    }
  };
  const raw = async (path: string, body: string, then: () => Promise<void>): Promise<string> => {
    const socket = connect(Number(port), hostname).on('error', () => {});
    try {
      await once(socket, 'connect');
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${ownKey}`;
      const text = `${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
      socket.pause();
      await new Promise<void>((resolve) => socket.write(text, () => resolve()));
      await then();
    } catch {
      // The server has closed the connection; that is fine.
    }
    socket.destroy();
    return 'gone';
  };
  return {
    post: (path, body, apiKey = ownKey) =>
      request(
        path,
        {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        },
        apiKey,
      ),
    get: (path, apiKey = ownKey) => request(path, {}, apiKey),
    leave: (path, body) => raw(path, body, async () => {}),
    stare: (path, body, ms) => raw(path, body, () => new Promise((resolve) => setTimeout(resolve, ms))),
  };
}

if (parentPort) {
  const port = parentPort;
  const { url, apiKey, client } = workerData as HostileTask;
  const send = senderOf(url, apiKey);
  const { atOnce, turn }: { atOnce: number; turn: Turn } = HOSTILE[client];
  const answers: Answers = {};
  let stopping = false;
  let turns = 0;
  port.once('message', () => {
    stopping = true;
  });
  const goOn = async () => {
    while (!stopping) {
      const status = await turn(turns++, send);
      answers[status] = (answers[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, goOn));
  port.postMessage(answers);
}
