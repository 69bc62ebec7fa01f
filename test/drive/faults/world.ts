/**
 * What every case has: documents with the answers of a clean server, real servers in processes of their own, and an account
 * of what happened. An answer is right if its text and log-probabilities equal the clean server's, bit by bit.
 * Knows servers and answers. `traffic.ts` asks all the time, the files of cases break things.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcesses, type ServedProcess, serveProcess } from '../../support/served-process.js';
import { randomFrom } from '../random.js';

export const DOCUMENTS = 10;
export const idOf = (index: number) => `document-${index}`;

const PLACES = ['Limoga', 'Rasubo', 'Kemira', 'Sonako', 'Tolefi', 'Zokego', 'Malivo'];
/** Each document has facts of its own, in some blocks. */
export const textOf = (index: number, length = 40) =>
  Array.from({ length }, (_, at) => {
    const [name, town, host] = [1, 2, 3].map((step) => PLACES[(index * 5 + at * step) % PLACES.length]);
    return `${name} ${index * 100 + at} is held in ${town}. ${host} hosts it.`;
  }).join('\n\n');

/** How a request names its document. */
export type Mode = 'id' | 'text';

export interface Reply {
  status: number;
  code: string | undefined;
  message: string | undefined;
  /** Text and log-probabilities as JSON; undefined if there is none. */
  answer: string | undefined;
  /** Where the document's blocks came from. */
  origins: string[];
}

export interface Server extends ServedProcess {
  /** Aborted when the process is ended on purpose: what it had under way may fail. */
  readonly killed: AbortSignal;
  kill(signal?: NodeJS.Signals): ReturnType<ServedProcess['end']>;
}

interface Chat {
  choices?: { message: { content: string }; logprobs: unknown }[];
  blockstitch?: { blocks: { origin: string; kind: string }[] };
  error?: { code: string; message: string };
}

export class World {
  readonly home = mkdtempSync(join(tmpdir(), 'blockstitch-faults-'));
  readonly random: () => number;
  #expected: string[] = [];
  #directories = 0;
  #newTexts = 0;

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  /** A number from `least` to `most`, both included. */
  draw(least: number, most: number): number {
    return least + Math.floor(this.random() * (most - least + 1));
  }

  directory(): string {
    return join(this.home, `store-${++this.#directories}`);
  }

  async serve(argv: readonly string[], env: Record<string, string> = {}): Promise<Server> {
    const served = await serveProcess(this.home, ['--log-level', 'info', '--drain', '10s', ...argv], env);
    const killed = new AbortController();
    return {
      ...served,
      killed: killed.signal,
      kill(signal = 'SIGKILL') {
        killed.abort();
        return served.end(signal);
      },
    };
  }

  /** Takes the answers of a server that nobody disturbs. @throws Error if ids and texts do not give the same */
  async takeReference(): Promise<void> {
    const server = await this.serve(['--store-dir', this.directory()]);
    for (let index = 0; index < DOCUMENTS; index++) {
      const byText = await this.ask(server.url, index, 'text');
      await this.ingest(server.url, index);
      const byId = await this.ask(server.url, index, 'id');
      if (byText.answer === undefined || byText.answer !== byId.answer)
        throw new Error('the clean server differs from itself');
      this.#expected.push(byText.answer);
    }
    await server.kill('SIGTERM');
  }

  isRight(index: number, answer: string | undefined): boolean {
    return answer === this.#expected[index];
  }

  ask(url: string, index: number, mode: Mode): Promise<Reply> {
    return this.askOf(url, mode === 'id' ? { id: idOf(index) } : { text: textOf(index) }, index);
  }

  /** @param about what the question is about */
  async askOf(url: string, document: { id: string } | { text: string }, about = 0): Promise<Reply> {
    const { status, json } = await post<Chat>(url, '/v1/chat/completions', {
      messages: [{ role: 'user', content: `Who hosts ${PLACES[about % PLACES.length]}?` }],
      documents: [document],
      temperature: 0,
      max_tokens: 6,
      logprobs: true,
      top_logprobs: 5,
      ignore_eos: true,
    });
    const [choice] = json.choices ?? [];
    const blocks = json.blockstitch?.blocks ?? [];
    return {
      status,
      code: json.error?.code,
      message: json.error?.message,
      answer: choice && JSON.stringify([choice.message.content, choice.logprobs]),
      origins: blocks.filter(({ kind }) => kind === 'document').map(({ origin }) => origin),
    };
  }

  /** @returns whether the stream came to its end in order */
  async stream(url: string, index: number): Promise<{ status: number; whole: boolean }> {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        messages: [{ role: 'user', content: 'Who hosts it?' }],
        documents: [{ id: idOf(index) }],
        max_tokens: 40,
        ignore_eos: true,
        stream: true,
      }),
    });
    const text = await response.text();
    return { status: response.status, whole: text.trimEnd().endsWith('data: [DONE]') && !text.includes('"error"') };
  }

  /** @throws Error if it is not acknowledged */
  async ingest(url: string, index: number, id = idOf(index)): Promise<void> {
    const { status, json } = await post<Chat>(url, '/v1/documents', { id, text: textOf(index) });
    if (status !== 200) throw new Error(`ingestion answered ${status} ${json.error?.code}`);
  }

  async ingestAll(url: string): Promise<void> {
    for (let index = 0; index < DOCUMENTS; index++) await this.ingest(url, index);
  }

  /** @returns how many of the documents are gone, or not answered as by the clean server */
  async lost(url: string): Promise<number> {
    let lost = 0;
    for (let index = 0; index < DOCUMENTS; index++) {
      const { answer } = await this.ask(url, index, 'id');
      if (!this.isRight(index, answer)) lost++;
    }
    return lost;
  }

  /** A text that no other document has. @returns the status, and the code of an error */
  async ingestNew(url: string): Promise<string> {
    const text = textOf(1000 + ++this.#newTexts, 12);
    const { status, json } = await post<Chat>(url, '/v1/documents', { id: `new-${this.#newTexts}`, text });
    return json.error === undefined ? String(status) : `${status} ${json.error.code}`;
  }

  /** Blocks come from the store again. */
  async emptyNearTiers(url: string): Promise<void> {
    await fetch(`${url}/v1/cache?tiers=pool,host`, { method: 'DELETE' }).then((response) => response.arrayBuffer());
  }

  /** The sum of a metric's values over its labels; `label` is a part of them, such as `tier="redis"`. */
  async metric(url: string, name: string, label = ''): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`blockstitch:${name}{`) && line.includes(label));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** What /ready says of the store. */
  async storeState(url: string): Promise<string> {
    return ((await (await fetch(`${url}/ready`)).json()) as { store?: string }).store ?? 'not ready';
  }

  /** Asks again and again. @returns milliseconds until it held @throws Error if it does not hold in two minutes */
  async until(what: string, holds: () => Promise<boolean>): Promise<number> {
    const startMs = performance.now();
    for (;;) {
      if (await holds()) return Math.round(performance.now() - startMs);
      if (performance.now() - startMs > 120_000) throw new Error(`not in two minutes: ${what}`);
      await delay(50);
    }
  }

  async close(): Promise<void> {
    await endProcesses();
    rmSync(this.home, { recursive: true, force: true });
  }
}

async function post<Answer>(url: string, path: string, body: object): Promise<{ status: number; json: Answer }> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: (await response.json()) as Answer };
}
