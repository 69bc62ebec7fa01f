#!/usr/bin/env node
/**
 * `npm run test:load`: a real server under 64 clients for some minutes. Documents by Zipf's law, mixed ways of asking, a tenth of the
 * clients leave at a random moment. Counts wrong answers, errors, memory over time and pages that did not come back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { type BenchReport, describeMachine } from '../../bench/report.js';
import { table } from '../../src/cli/terminal.js';
import { endProcesses, type ServedProcess, serveProcess } from '../support/served-process.js';
import { emptyTally, idOf, LoadClient, takeExpected, textOf } from './load-clients.js';

const CLIENTS = 64;
const DOCUMENTS = 200;
const MINUTES = 5;
const SAMPLE_MS = 1_000;
/** Less than the documents have: blocks come from the store, too, while others arrive. */
const HOST_TIER = '128MiB';
/** Of the time: caches fill, the heap finds its size. */
const WARM_UP_SHARE = 0.4;
/** Of what is resident after the warm-up, in a minute. */
const MOST_SLOPE = 0.01;

interface MemorySample {
  minutes: number;
  /** Without pages of files: the store is mapped into memory. */
  anonymousMiB: number;
  residentMiB: number;
  /** Objects of JavaScript that are in use, and buffers. */
  heapMiB: number;
  buffersMiB: number;
  hostTierMiB: number;
}

interface LoadOptions {
  minutes: number;
  /** Processes that compute all the time beside the server: then loads of blocks come too late. */
  beside: number;
}

async function run({ minutes, beside }: LoadOptions, progress: (line: string) => void): Promise<BenchReport> {
  const home = mkdtempSync(join(tmpdir(), 'blockstitch-load-'));
  const serve = (name: string) =>
    serveProcess(home, ['--log-level', 'warn', '--host-tier', HOST_TIER, '--store-dir', join(home, name)]);
  const busy: ChildProcess[] = [];
  try {
    const clean = await serve('clean');
    progress(`taking ${DOCUMENTS} answers of a server that nobody else uses`);
    const expected = await takeExpected(clean.url, DOCUMENTS);
    await clean.end('SIGTERM');
    const server = await serve('load');
    for (let index = 0; index < DOCUMENTS; index++) {
      const { status } = await server.ask('POST', '/v1/documents', { id: idOf(index), text: textOf(index) });
      if (status !== 200) throw new Error(`ingestion answered ${status}`);
    }
    const tally = emptyTally();
    for (let at = 0; at < beside; at++) busy.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
    const endMs = performance.now() + minutes * 60_000;
    const ended = () => performance.now() >= endMs;
    const clients = Array.from({ length: CLIENTS }, (_, name) => new LoadClient(name, server.url, expected, tally));
    const memory = watchMemory(server, ended, (sample) => {
      const answers = Object.values(tally.answers).reduce((sum, count) => sum + count, 0);
      const { minutes: at, anonymousMiB, heapMiB, buffersMiB, hostTierMiB } = sample;
      const parts = Object.entries({ anonymousMiB, heapMiB, buffersMiB, hostTierMiB });
      const words = parts.map(([name, value]) => `${name} ${Math.round(value)}`);
      progress(`${at.toFixed(1)} min: ${answers} answers, ${words.join(', ')}`);
    });
    await Promise.all(clients.map((client) => client.until(ended)));
    const samples = await memory;
    const usage = await pagesAfter(server);
    const { code } = await server.end('SIGTERM');
    for (const line of tally.firstWrong) progress(line);
    return reportOf({ tally, samples, usage, minutes, beside, code });
  } finally {
    for (const each of busy) each.kill('SIGKILL');
    await endProcesses();
    rmSync(home, { recursive: true, force: true });
  }
}

async function watchMemory(
  { pid, url }: ServedProcess,
  ended: () => boolean,
  each: (sample: MemorySample) => void,
): Promise<MemorySample[]> {
  const samples: MemorySample[] = [];
  const startMs = performance.now();
  for (let number = 0; !ended(); number++) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const metric = (name: string) => Number(new RegExp(`^${name}.* (\\S+)$`, 'm').exec(metrics)?.[1]) / 2 ** 20;
    const sample = {
      minutes: (performance.now() - startMs) / 60_000,
      anonymousMiB: mebibytes('RssAnon'),
      residentMiB: mebibytes('VmRSS'),
      heapMiB: metric('nodejs_heap_size_used_bytes\\{'),
      buffersMiB: metric('nodejs_external_memory_bytes\\{'),
      hostTierMiB: metric('blockstitch:tier_bytes\\{tier="host"'),
    };
    samples.push(sample);
    if (number % 15 === 0) each(sample);
    await delay(SAMPLE_MS);
  }
  return samples;
}

/** The share of pages that requests hold once nobody asks any more. */
async function pagesAfter({ url }: ServedProcess): Promise<number> {
  for (let tried = 0; ; tried++) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^blockstitch:${name}\\{.*\\} (\\S+)$`, 'm').exec(text)?.[1]);
    const held = value('kv_cache_usage_perc');
    if ((held === 0 && value('num_requests_running') === 0) || tried > 300) return held;
    await delay(100);
  }
}

/** Least squares. @returns MiB a minute */
function slopeOf(samples: readonly MemorySample[], field: keyof MemorySample): number {
  const mean = (of: (sample: MemorySample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [meanX, meanY] = [mean(({ minutes }) => minutes), mean((sample) => sample[field])];
  const rise = samples.reduce((sum, sample) => sum + (sample.minutes - meanX) * (sample[field] - meanY), 0);
  return rise / samples.reduce((sum, { minutes }) => sum + (minutes - meanX) ** 2, 0);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function reportOf({
  tally,
  samples,
  usage,
  minutes,
  beside,
  code,
}: {
  tally: ReturnType<typeof emptyTally>;
  samples: readonly MemorySample[];
  usage: number;
  minutes: number;
  beside: number;
  code: number | null;
}): BenchReport {
  const warm = samples.filter((sample) => sample.minutes >= minutes * WARM_UP_SHARE);
  const slope = slopeOf(warm, 'anonymousMiB');
  const level = warm[0]?.anonymousMiB ?? Number.NaN;
  const refusals = [...tally.refusals];
  const serverErrors = refusals.filter(([name]) => name.startsWith('5')).reduce((sum, [, count]) => sum + count, 0);
  const answers = Object.values(tally.answers).reduce((sum, count) => sum + count, 0);
  return {
    name: 'load',
    machine: describeMachine(),
    config: {
      ...{ model: 'demo', clients: CLIENTS, documents: DOCUMENTS, minutes, beside },
      ...{ asked: JSON.stringify(tally.answers), refusals: JSON.stringify(Object.fromEntries(refusals)) },
    },
    medians: {
      ...{ answers, answersPerSecond: answers / (minutes * 60), left: tally.left },
      ...{ ttftP50Ms: quantile(tally.ttftMs, 0.5), ttftP99Ms: quantile(tally.ttftMs, 0.99) },
      ...{ anonymousMiB: level, anonymousSlopeMiBPerMinute: slope },
      residentSlopeMiBPerMinute: slopeOf(warm, 'residentMiB'),
      heapSlopeMiBPerMinute: slopeOf(warm, 'heapMiB'),
      buffersSlopeMiBPerMinute: slopeOf(warm, 'buffersMiB'),
      hostTierSlopeMiBPerMinute: slopeOf(warm, 'hostTierMiB'),
    },
    ratios: { 'slope per minute / anonymous memory': slope / level },
    checks: [
      { claim: 'wrong answers = 0', value: tally.wrong, holds: tally.wrong === 0 },
      { claim: 'answers 5xx = 0', value: serverErrors, holds: serverErrors === 0 },
      { claim: 'broken connections = 0', value: tally.broken, holds: tally.broken === 0 },
      {
        claim: `memory grows by at most ${MOST_SLOPE} a minute`,
        value: slope / level,
        holds: slope / level <= MOST_SLOPE,
      },
      { claim: 'share of pages held at the end = 0', value: usage, holds: usage === 0 },
      { claim: 'exit code at SIGTERM = 0', value: code ?? -1, holds: code === 0 },
    ],
  };
}

const program = new Command('test:load')
  .description(
    'Many clients at once for some minutes. Exit code 1 if an answer is wrong, an error comes or memory grows.',
  )
  .option('--minutes <number>', 'how long to go on', Number, MINUTES)
  .option('--beside <processes>', 'processes that compute beside the server', Number, 0)
  .option('--json', 'print the report as JSON', false)
  .action(async ({ json, ...options }: LoadOptions & { json: boolean }) => {
    const report = await run(options, (line) => console.error(line));
    if (json) console.log(JSON.stringify(report, null, 2));
    else {
      const rows = Object.entries({ ...report.config, ...report.medians, ...report.ratios }).map(([name, value]) => [
        name,
        typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value),
      ]);
      const checks = report.checks.map(({ claim, value, holds }) => [holds ? 'holds' : 'FAILS', `${claim} (${value})`]);
      console.log(table([...rows, ...checks]));
    }
    process.exitCode = report.checks.every(({ holds }) => holds) ? 0 : 1;
  });

await program.parseAsync();
