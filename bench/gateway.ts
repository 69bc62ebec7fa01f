/**
 * `gateway`: what it is worth that a proxy sends equal documents to equal replicas (docker/gateway/nginx-by-document.conf). Two servers
 * of the demo model, each with a store of its own, behind nginx; requests over a document drawn by Zipf's law and one of its neighbours. Once
 * with the header that names the first document, once without, each with empty stores.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PACKAGE_DIR } from '../src/config.js';
import { proseOf } from './prose.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';
import { type BenchServer, startBenchServer } from './served.js';

const DOCUMENTS = 150;
/** A retriever that finds a document finds one of its neighbours, too. */
const NEIGHBOURS = 2;
const DOCUMENT_CHARACTERS = 1200;
const CONFIGURATION = join(PACKAGE_DIR, 'docker', 'gateway', 'nginx-by-document.conf');

interface Answer {
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
  blockstitch: { timings: { ttft_ms: number } };
}

interface Figures {
  /** Prompt tokens that were found cached, over all. */
  hitRate: number;
  ttftMs: number;
}

/** @throws Error where nginx is not installed */
export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const requests = quick ? 60 : 300;
  const text = proseOf(DOCUMENTS * DOCUMENT_CHARACTERS);
  const documents = Array.from({ length: DOCUMENTS }, (_, at) =>
    text.slice(at * DOCUMENT_CHARACTERS, (at + 1) * DOCUMENT_CHARACTERS),
  );
  const byDocument = await measured(documents, requests, true);
  progress(`by document: ${(100 * byDocument.hitRate).toFixed(1)}% of the prompt tokens cached`);
  const anywhere = await measured(documents, requests, false);
  progress(`anywhere: ${(100 * anywhere.hitRate).toFixed(1)}%`);
  const gain = byDocument.hitRate - anywhere.hitRate;
  return {
    name: 'gateway',
    machine: describeMachine(),
    config: { model: 'demo', replicas: 2, documents: DOCUMENTS, documentCharacters: DOCUMENT_CHARACTERS, requests },
    medians: {
      hitRateByDocument: byDocument.hitRate,
      hitRateAnywhere: anywhere.hitRate,
      ttftByDocumentMs: byDocument.ttftMs,
      ttftAnywhereMs: anywhere.ttftMs,
    },
    ratios: {
      'prefilled tokens, anywhere / by document': (1 - anywhere.hitRate) / (1 - byDocument.hitRate),
    },
    checks: [{ claim: 'more is found cached by document than anywhere', value: gain, holds: gain > 0 }],
  };
}

async function measured(documents: readonly string[], requests: number, named: boolean): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'blockstitch-gateway-'));
  const replicas: BenchServer[] = [];
  let gateway: { url: string; close: () => Promise<void> } | undefined;
  try {
    for (const name of ['a', 'b']) replicas.push(await startBenchServer(join(directory, name)));
    gateway = await startNginx(directory, replicas);
    const draw = zipf(documents.length);
    let [cached, prompt] = [0, 0];
    const times: number[] = [];
    for (let request = 0; request < requests; request += 1) {
      const first = draw();
      const second = (first + 1 + (request % NEIGHBOURS)) % documents.length;
      const { usage, blockstitch } = await ask(
        gateway.url,
        documents,
        [first, second],
        named ? `doc-${first}` : undefined,
      );
      cached += usage.prompt_tokens_details.cached_tokens;
      prompt += usage.prompt_tokens;
      times.push(blockstitch.timings.ttft_ms);
    }
    return { hitRate: cached / prompt, ttftMs: median(times) };
  } finally {
    await gateway?.close();
    for (const replica of replicas) await replica.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function ask(url: string, documents: readonly string[], chosen: number[], route?: string): Promise<Answer> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(route === undefined ? {} : { 'x-blockstitch-route': route }) },
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'What is it about?' }],
      documents: chosen.map((each) => documents[each]),
      max_tokens: 1,
    }),
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** Draws numbers below `count`, number i with a weight of 1 / (i + 1); the same in every run. */
function zipf(count: number): () => number {
  const weights = Array.from({ length: count }, (_, at) => 1 / (at + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let state = 11;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    let left = (state / 2_147_483_647) * total;
    const found = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    return Math.max(0, found);
  };
}

/** nginx with the project's configuration, on a free port, in front of the replicas. */
async function startNginx(directory: string, replicas: readonly BenchServer[]) {
  const port = await freePort();
  let configuration = readFileSync(CONFIGURATION, 'utf8').replace('listen 8080', `listen 127.0.0.1:${port}`);
  for (const [at, { url }] of replicas.entries()) {
    configuration = configuration.replace(`blockstitch-${at}:8080`, new URL(url).host);
  }
  const file = join(directory, 'nginx.conf');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/${name};`,
  );
  writeFileSync(
    file,
    `pid ${directory}/nginx.pid;\n${configuration.replace('http {', `http {\n${paths.join('\n')}\naccess_log off;`)}`,
  );
  // Started as root, nginx gives its workers to another user, who may not read here.
  const globals = `daemon off;${process.getuid?.() === 0 ? ' user root;' : ''}`;
  const child = spawn('nginx', ['-c', file, '-g', globals, '-e', join(directory, 'error.log')], {
    stdio: 'ignore',
  });
  const missing = await Promise.race([once(child, 'error').then(() => true), once(child, 'spawn').then(() => false)]);
  if (missing) throw new Error('nginx is needed: apt-get install nginx-light');
  const url = `http://127.0.0.1:${port}`;
  for (let turn = 0; turn < 200 && child.exitCode === null; turn += 1) {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (answer?.ok) break;
    await pause(50);
  }
  if (child.exitCode !== null) throw new Error(`nginx ended: ${readFileSync(join(directory, 'error.log'), 'utf8')}`);
  return {
    url,
    close: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}
