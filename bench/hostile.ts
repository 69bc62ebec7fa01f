/**
 * `hostile`: how long a small chat request takes beside clients that mean harm, compared with alone. A real server in a
 * process of its own serves the demo model. Each hostile client attacks it from a thread of this process, with an API
 * key of its own.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Answers, HOSTILE, type HostileClient, type HostileTask } from './hostile-clients.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';
import { startBenchServer } from './served.js';

const NEW_TOKENS = 8;
const KEYS = { honest: 'honest-client', hostile: 'hostile-client' };
/** Most that the median may grow beside any one hostile client. */
const MOST_RATIO = 15;
/** Longest time that a small answer may take. */
const MOST_P95_MS = 1000;
const WARM_UP = 5;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const requests = quick ? 20 : 100;
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-hostile-'));
  progress('starting the server');
  const server = await startBenchServer(directory, { BLOCKSTITCH_API_KEYS: Object.values(KEYS).join(',') });
  try {
    const ask = () => timed(server.url);
    for (let turn = 0; turn < WARM_UP; turn += 1) await ask();
    const alone = await several(ask, requests);
    progress(line('alone', alone));
    const medians: Record<string, number> = { aloneMs: alone.median, aloneP95Ms: alone.p95 };
    const ratios: Record<string, number> = {};
    const config: Record<string, string> = {};
    for (const client of Object.keys(HOSTILE) as HostileClient[]) {
      const { times, answers } = await beside(client, server.url, () => several(ask, requests));
      progress(`${line(client, times)}; ${JSON.stringify(answers)}`);
      config[client] = `${HOSTILE[client].atOnce} at once: ${HOSTILE[client].about}; ${JSON.stringify(answers)}`;
      medians[`${client}Ms`] = times.median;
      medians[`${client}P95Ms`] = times.p95;
      ratios[`${client} / alone`] = times.median / alone.median;
      ratios[`${client} / alone, p95`] = times.p95 / alone.p95;
      await settled(ask, alone.median);
    }
    const worst = Math.max(...Object.keys(HOSTILE).map((client) => ratios[`${client} / alone`] ?? 0));
    const worstP95 = Math.max(...Object.keys(HOSTILE).map((client) => medians[`${client}P95Ms`] ?? 0));
    return {
      name: 'hostile',
      machine: describeMachine(),
      config: { model: 'demo', newTokens: NEW_TOKENS, requests, ...config },
      medians,
      ratios,
      checks: [
        { claim: `beside any hostile client / alone <= ${MOST_RATIO}`, value: worst, holds: worst <= MOST_RATIO },
        {
          claim: `p95 beside any hostile client <= ${MOST_P95_MS} ms`,
          value: worstP95,
          holds: worstP95 <= MOST_P95_MS,
        },
      ],
    };
  } finally {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One small chat request. @returns milliseconds */
async function timed(url: string): Promise<number> {
  const started = performance.now();
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${KEYS.honest}` },
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'Where is Zokego held?' }],
      documents: [{ text: 'Zokego is held in Limoga.' }],
      max_tokens: NEW_TOKENS,
      ignore_eos: true,
      temperature: 0,
    }),
  });
  const answer = await response.text();
  if (response.status !== 200) throw new Error(`the honest client got ${response.status}: ${answer}`);
  return performance.now() - started;
}

interface Times {
  median: number;
  p95: number;
}

async function several(ask: () => Promise<number>, count: number): Promise<Times> {
  const times: number[] = [];
  for (let turn = 0; turn < count; turn += 1) times.push(await ask());
  times.sort((a, b) => a - b);
  return { median: median(times), p95: times[Math.ceil(times.length * 0.95) - 1] as number };
}

/** Runs `work` while a hostile client attacks the server. */
async function beside(client: HostileClient, url: string, work: () => Promise<Times>) {
  const file = fileURLToPath(new URL('./hostile-clients.js', import.meta.url));
  const task: HostileTask = { url, apiKey: KEYS.hostile, client };
  const worker = new Worker(file, { workerData: task });
  // By now it has made its bodies and is at work.
  await pause(500);
  const times = await work();
  const told = once(worker, 'message') as Promise<[Answers]>;
  worker.postMessage('stop');
  const [answers] = await told;
  return { times, answers };
}

/** Waits until the server is as fast as alone again: work that one client left must not count for the next one. */
async function settled(ask: () => Promise<number>, aloneMs: number): Promise<void> {
  for (let turn = 0; turn < 200 && (await ask()) > 2 * aloneMs; turn += 1) await pause(50);
}

const line = (name: string, { median: ms, p95 }: Times) => `${name}: ${ms.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms`;
