/**
 * `overhead`: the time of a decode step outside ONNX Runtime's run call, and the delay of the HTTP thread's event loop
 * while the engine is saturated. The real server runs in this process, streaming clients in another.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../src/config.js';
import type { Engine, EngineStatistics } from '../src/engine/engine.js';
import { servedName, startServer } from '../src/server/start-server.js';
import { IMPORT_CACHE, randomCheckpoint, randomTokens, SAMPLING, THREADS } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const SHAPE = 'qwen2.5-0.5b';
const WEIGHTS = 'int8';
const STREAMS = 16;
const OUTSIDE = 0.03;
const DELAY_MS = 20;
/** Period of the timer that watches the event loop. The period itself is subtracted. */
const RESOLUTION_MS = 1;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const rounds = quick ? 2 : 5;
  const decodeTokens = quick ? 48 : 128;
  const seconds = quick ? 5 : 20;
  const model = await randomCheckpoint(SHAPE, progress);
  const config = loadConfig({
    model,
    weights: WEIGHTS,
    importCacheDir: IMPORT_CACHE,
    port: 0,
    kvMemoryBytes: 1 << 29,
    storeDir: join(tmpdir(), 'blockstitch-bench', 'store'),
  });
  progress('starting the server');
  const server = await startServer(config);
  try {
    const { engine } = await server.ready;
    const alone: number[] = [];
    const stepMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const step = await decodeAlone(engine, round, decodeTokens);
      alone.push(step.outside);
      stepMs.push(step.stepMs);
      progress(
        `round ${round + 1}, one sequence: ${(100 * step.outside).toFixed(2)}% of ${step.stepMs.toFixed(1)} ms outside`,
      );
    }
    progress(`${STREAMS} streaming clients for ${seconds} s`);
    const loaded = await underLoad(engine, server.url, servedName(config), seconds);
    return report(median(alone), median(stepMs), loaded, { rounds, decodeTokens, seconds });
  } finally {
    await server.close(0);
  }
}

interface Steps {
  /** Share of wall time outside the run call. */
  outside: number;
  stepMs: number;
}

/** Compares wall time with the time inside the run call, between two looks. The engine must not idle between them. */
function compare(before: EngineStatistics, after: EngineStatistics, wallMs: number): Steps {
  return { outside: 1 - (after.runMs - before.runMs) / wallMs, stepMs: wallMs / (after.steps - before.steps) };
}

/** One answer, from its second token on. The worker counts a step before it sends the token. */
async function decodeAlone(engine: Engine, round: number, tokens: number): Promise<Steps> {
  const plan = {
    attention: 'block' as const,
    sinkTokenIds: new Int32Array(),
    blocks: [],
    finalTokenIds: randomTokens(round + 1, 32, 50_000),
  };
  const request = { plan, sampling: { ...SAMPLING, maxTokens: tokens } };
  let start: { statistics: EngineStatistics; atMs: number } | undefined;
  let end = start;
  for await (const event of engine.generate(request)) {
    if (event.type !== 'token') continue;
    const look = { statistics: await engine.statistics(), atMs: performance.now() };
    start ??= look;
    end = look;
  }
  if (start === undefined || end === undefined) throw new Error('no token came');
  return compare(start.statistics, end.statistics, end.atMs - start.atMs);
}

interface Loaded extends Steps {
  delayP99Ms: number;
  delayMaxMs: number;
  tokensPerSecond: number;
}

async function underLoad(engine: Engine, url: string, model: string, seconds: number): Promise<Loaded> {
  const script = fileURLToPath(new URL('./stream-client.js', import.meta.url));
  const client = spawn(process.execPath, [script, url, model, String(STREAMS), '256'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = once(client, 'exit');
  const failed = ended.then(([code]) => Promise.reject(new Error(`the clients ended early, with code ${code}`)));
  failed.catch(() => {});
  await Promise.race([allStreaming(engine), failed]);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const before = await engine.statistics();
  const start = performance.now();
  await Promise.race([new Promise((resolve) => setTimeout(resolve, seconds * 1000)), failed]);
  const wallMs = performance.now() - start;
  const after = await engine.statistics();
  delay.disable();
  client.stdin?.end();
  await ended;
  return {
    ...compare(before, after, wallMs),
    delayP99Ms: delay.percentile(99) / 1e6 - RESOLUTION_MS,
    delayMaxMs: delay.max / 1e6 - RESOLUTION_MS,
    tokensPerSecond: (1000 * (after.generatedTokens - before.generatedTokens)) / wallMs,
  };
}

async function allStreaming(engine: Engine): Promise<void> {
  while ((await engine.statistics()).running < STREAMS) await new Promise((resolve) => setTimeout(resolve, 20));
}

function report(outside: number, stepMs: number, loaded: Loaded, sizes: Record<string, number>): BenchReport {
  return {
    name: 'overhead',
    machine: describeMachine(),
    config: { shape: SHAPE, weights: WEIGHTS, kvDtype: 'float16', threads: THREADS, streams: STREAMS, ...sizes },
    medians: {
      decodeStepMs: stepMs,
      loadedStepMs: loaded.stepMs,
      loadedTokensPerSecond: loaded.tokensPerSecond,
      eventLoopDelayP99Ms: loaded.delayP99Ms,
      eventLoopDelayMaxMs: loaded.delayMaxMs,
    },
    ratios: { 'outside the run call, one sequence': outside, 'outside the run call, saturated': loaded.outside },
    checks: [
      { claim: 'decode step outside the run call, one sequence < 0.03', value: outside, holds: outside < OUTSIDE },
      { claim: 'steps outside the run call, saturated < 0.03', value: loaded.outside, holds: loaded.outside < OUTSIDE },
      {
        claim: `event-loop delay p99 of the HTTP thread < ${DELAY_MS} ms`,
        value: loaded.delayP99Ms,
        holds: loaded.delayP99Ms < DELAY_MS,
      },
    ],
  };
}
