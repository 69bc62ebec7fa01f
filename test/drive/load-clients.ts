/**
 * The clients of `load`: each asks one thing after another, in the ways that applications do, and compares what it gets with
 * the answers of a server that nobody else used. Knows requests and answers; `load.ts` starts the server and counts.
 */
import { randomFrom } from './random.js';

export const MODES = ['chat-id', 'chat-text', 'stream', 'completion', 'ingest', 'ingest-delete'] as const;
export type LoadMode = (typeof MODES)[number];
/** Of a hundred turns. */
const SHARES: Record<LoadMode, number> = {
  'chat-id': 35,
  'chat-text': 20,
  stream: 25,
  completion: 10,
  ingest: 5,
  'ingest-delete': 5,
};
/** Of all turns: the client goes away at a random moment. */
const LEAVE_SHARE = 0.1;
const LEAVE_MS = 400;
const NEW_TOKENS = 8;
/** Texts that each client ingests and deletes, again and again: what the server remembers of texts is complete after the warm-up. */
const OWN_TEXTS = 16;

const PLACES = ['Limoga', 'Rasubo', 'Kemira', 'Sonako', 'Tolefi', 'Zokego', 'Malivo'];
export const idOf = (index: number) => `load-${index}`;
export const textOf = (index: number) =>
  Array.from({ length: 24 }, (_, at) => {
    const [name, town, host] = [1, 2, 3].map((step) => PLACES[(index * 3 + at * step) % PLACES.length]);
    return `${name} ${index * 50 + at} is held in ${town}. ${host} hosts it.`;
  }).join('\n\n');

/** Wrong answers that are told in full. */
const WRONG_TOLD = 5;

export interface Tally {
  answers: Record<LoadMode, number>;
  left: number;
  wrong: number;
  /** What was told and what should have been, of the first ones. */
  firstWrong: string[];
  /** By status and code, everything but 200. */
  refusals: Map<string, number>;
  /** Connections that broke though nobody left. */
  broken: number;
  ttftMs: number[];
}

export const emptyTally = (): Tally => ({
  answers: Object.fromEntries(MODES.map((mode) => [mode, 0])) as Record<LoadMode, number>,
  left: 0,
  wrong: 0,
  firstWrong: [],
  refusals: new Map(),
  broken: 0,
  ttftMs: [],
});

/** What a clean server answered, by document: text and log-probabilities as JSON. */
export interface Expected {
  chat: string[];
  completion: string[];
}

const generation = { temperature: 0, max_tokens: NEW_TOKENS, ignore_eos: true };
const chatBody = (index: number, document: object) => ({
  messages: [{ role: 'user', content: `Who hosts ${PLACES[index % PLACES.length]}?` }],
  documents: [document],
  logprobs: true,
  ...generation,
});
const completionBody = (index: number) => ({
  prompt: `Question: who hosts ${PLACES[index % PLACES.length]}? Answer:`,
  blocks: [textOf(index)],
  logprobs: 1,
  ...generation,
});

interface ChatAnswer {
  choices: { message: { content: string }; logprobs: { content: object[] } }[];
}
interface Chunk {
  choices: { delta: { content?: string }; logprobs?: { content: object[] } | null }[];
}

const call = (url: string, path: string, body: object | undefined, signal?: AbortSignal) =>
  fetch(`${url}${path}`, {
    method: body === undefined ? 'DELETE' : 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });

const chatWords = ({ choices: [choice] }: ChatAnswer) =>
  JSON.stringify([choice?.message.content, choice?.logprobs.content]);
const completionWords = (json: unknown) => {
  const [choice] = (json as { choices: { text: string; logprobs: object }[] }).choices;
  return JSON.stringify([choice?.text, choice?.logprobs]);
};

/** Asks a server that nobody else uses. */
export async function takeExpected(url: string, documents: number): Promise<Expected> {
  const expected: Expected = { chat: [], completion: [] };
  for (let index = 0; index < documents; index++) {
    const chat = await call(url, '/v1/chat/completions', chatBody(index, { text: textOf(index) }));
    expected.chat.push(chatWords((await chat.json()) as ChatAnswer));
    const completion = await call(url, '/v1/completions', completionBody(index));
    expected.completion.push(completionWords(await completion.json()));
  }
  return expected;
}

export class LoadClient {
  readonly #random: () => number;
  readonly #url: string;
  readonly #expected: Expected;
  readonly #tally: Tally;
  readonly #name: number;
  readonly #zipf: readonly number[];
  #turn = 0;
  #owned = 0;

  constructor(name: number, url: string, expected: Expected, tally: Tally) {
    this.#name = name;
    this.#random = randomFrom(name + 1);
    this.#url = url;
    this.#expected = expected;
    this.#tally = tally;
    this.#zipf = zipfSums(expected.chat.length);
  }

  async until(ended: () => boolean): Promise<void> {
    while (!ended()) await this.#once();
  }

  async #once(): Promise<void> {
    this.#turn++;
    const mode = this.#mode();
    const index = this.#document();
    const own = `own-${this.#name}-${this.#turn}`;
    const leaving = new AbortController();
    const leaves = this.#random() < LEAVE_SHARE;
    const timer = leaves ? setTimeout(() => leaving.abort(), this.#random() * LEAVE_MS) : undefined;
    try {
      await this.#ask(mode, index, own, leaving.signal);
    } catch {
      if (leaving.signal.aborted) this.#tally.left++;
      else this.#tally.broken++;
      // The store must not grow by what was left in it.
      if (mode === 'ingest-delete')
        await call(this.#url, `/v1/documents/${own}`, undefined).then((gone) => gone.text());
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(mode: LoadMode, index: number, own: string, signal: AbortSignal): Promise<void> {
    const post = (path: string, body: object) => call(this.#url, path, body, signal);
    switch (mode) {
      case 'chat-id':
      case 'chat-text': {
        const document = mode === 'chat-id' ? { id: idOf(index) } : { text: textOf(index) };
        const response = await post('/v1/chat/completions', chatBody(index, document));
        if (!(await this.#refused(response))) {
          this.#compare(mode, chatWords((await response.json()) as ChatAnswer), this.#expected.chat[index]);
        }
        return;
      }
      case 'stream': {
        const startMs = performance.now();
        const body = { ...chatBody(index, { id: idOf(index) }), stream: true };
        const response = await post('/v1/chat/completions', body);
        if (await this.#refused(response)) return;
        const words = await this.#streamed(response, startMs);
        this.#compare(mode, words, this.#expected.chat[index]);
        return;
      }
      case 'completion': {
        const response = await post('/v1/completions', completionBody(index));
        if (await this.#refused(response)) return;
        this.#compare(mode, completionWords(await response.json()), this.#expected.completion[index]);
        return;
      }
      case 'ingest': {
        const response = await post('/v1/documents', { id: idOf(index), text: textOf(index) });
        if (await this.#refused(response)) return;
        await response.arrayBuffer();
        this.#tally.answers[mode]++;
        return;
      }
      case 'ingest-delete': {
        const text = textOf(1_000 + this.#name * OWN_TEXTS + (this.#owned++ % OWN_TEXTS));
        const response = await post('/v1/documents', { id: own, text });
        if (await this.#refused(response)) return;
        await response.arrayBuffer();
        const gone = await call(this.#url, `/v1/documents/${own}`, undefined, signal);
        if (await this.#refused(gone)) return;
        await gone.arrayBuffer();
        this.#tally.answers[mode]++;
      }
    }
  }

  async #streamed(response: Response, startMs: number): Promise<string> {
    let [text, buffered] = ['', ''];
    const logprobs: object[] = [];
    const decoder = new TextDecoder();
    let first = true;
    for await (const part of response.body as AsyncIterable<Uint8Array>) {
      buffered += decoder.decode(part, { stream: true });
      const events = buffered.split('\n\n');
      buffered = events.pop() ?? '';
      for (const event of events) {
        if (!event.startsWith('data: {')) continue;
        const [choice] = (JSON.parse(event.slice('data: '.length)) as Chunk).choices ?? [];
        if (choice?.logprobs?.content.length && first) {
          this.#tally.ttftMs.push(performance.now() - startMs);
          first = false;
        }
        text += choice?.delta?.content ?? '';
        logprobs.push(...(choice?.logprobs?.content ?? []));
      }
    }
    return JSON.stringify([text, logprobs]);
  }

  #compare(mode: LoadMode, words: string, expected: string | undefined): void {
    this.#tally.answers[mode]++;
    if (words === expected) return;
    this.#tally.wrong++;
    if (this.#tally.firstWrong.length >= WRONG_TOLD) return;
    this.#tally.firstWrong.push(`${mode} said ${words}\n  instead of ${expected}`);
  }

  async #refused(response: Response): Promise<boolean> {
    if (response.status === 200) return false;
    const { error } = (await response.json()) as { error?: { code: string } };
    const name = `${response.status} ${error?.code}`;
    this.#tally.refusals.set(name, (this.#tally.refusals.get(name) ?? 0) + 1);
    return true;
  }

  #mode(): LoadMode {
    const at = this.#random() * 100;
    let sum = 0;
    for (const mode of MODES) {
      sum += SHARES[mode];
      if (at < sum) return mode;
    }
    return 'chat-id';
  }

  #document(): number {
    const at = this.#random() * (this.#zipf.at(-1) as number);
    return this.#zipf.findIndex((sum) => at < sum);
  }
}

/** Sums of 1/rank: the second document is asked for half as often as the first. */
function zipfSums(count: number): number[] {
  let sum = 0;
  return Array.from({ length: count }, (_, index) => {
    sum += 1 / (index + 1);
    return sum;
  });
}
