/**
 * `repair`: time to first token against the share that is computed again, beside full prefill and plain stitching, over
 * cached blocks of a checkpoint with random weights. All points of one run, in turns, through the engine.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBlockRepository } from '../src/blocks/open-repository.js';
import { loadConfig } from '../src/config.js';
import { createEngine } from '../src/engine/create-engine.js';
import type { Engine, SamplingParams } from '../src/engine/engine.js';
import { REPAIR_CHOICES, type RepairOptions } from '../src/engine/repair-plan.js';
import { importModel } from '../src/model/import-model.js';
import { writeRandomCheckpoint } from '../src/model/random-checkpoint.js';
import type { PlanBlock, PromptPlan } from '../src/prompt/prompt-plan.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const SHAPE = 'qwen2.5-0.5b';
const WEIGHTS = 'int8';
const BLOCK_TOKENS = 256;
const FINAL_TOKENS = 32;
const SHARES = [0.05, 0.15, 0.3, 0.5];
/** Share at which the issue asks for a quarter of full prefill's time. */
const JUDGED_SHARE = 0.15;
const FIRST_TOKEN: SamplingParams = {
  maxTokens: 1,
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  stopTokenIds: [],
  ignoreEos: true,
};

interface Point {
  name: string;
  attention: 'block' | 'full';
  repair?: RepairOptions;
}

const POINTS: readonly Point[] = [
  { name: 'full', attention: 'full' },
  { name: 'stitched', attention: 'block' },
  ...REPAIR_CHOICES.flatMap((by) =>
    SHARES.map((share): Point => ({ name: `${by} ${share}`, attention: 'block', repair: { share, by } })),
  ),
];

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const blocks = quick ? 2 : 8;
  const rounds = quick ? 1 : 3;
  const threads = loadConfig().threads || availableParallelism();
  const directory = await mkdtemp(join(tmpdir(), 'blockstitch-bench-'));
  try {
    progress(`writing a random ${SHAPE}`);
    const checkpointDir = join(directory, SHAPE);
    await mkdir(checkpointDir);
    await writeRandomCheckpoint(checkpointDir, SHAPE);
    progress('importing it');
    const model = await importModel({ checkpointDir, weights: WEIGHTS, cacheDir: join(directory, 'imports') });
    const { layers, kvHeads, headDim, vocabSize } = model.config;
    const shape = { fingerprint: model.fingerprint, layers, kvHeads, headDim, dtype: 'float16' as const };
    const repository = openBlockRepository({ shape, hostBytes: 0 });
    const options = { model, repository, kvDtype: 'float16' as const, kvMemoryBytes: 1 << 29, threads };
    const engine = await createEngine(options);
    const plan = promptOf(blocks, vocabSize);
    const times = new Map(POINTS.map(({ name }) => [name, [] as number[]]));
    // One answer from cold blocks fills the pool; one of each kind loads graphs and memory.
    for (const point of [POINTS[1], POINTS.at(-1)]) await firstTokenMs(engine, plan, point as Point);
    for (let round = 0; round < rounds; round++) {
      for (const point of POINTS) {
        const took = await firstTokenMs(engine, plan, point);
        times.get(point.name)?.push(took);
        progress(`round ${round + 1}, ${point.name}: ${took.toFixed(0)} ms`);
      }
    }
    await engine.close();
    await repository.close();
    return report(times, { blocks, rounds, threads });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function promptOf(blocks: number, vocabSize: number): PromptPlan {
  const draw = (seed: number, length: number) =>
    Int32Array.from({ length }, (_, index) => (seed * 7919 + index * index * 31 + index * 101) % (vocabSize - 300));
  return {
    attention: 'block',
    sinkTokenIds: Int32Array.of(1),
    blocks: Array.from(
      { length: blocks },
      (_, seed): PlanBlock => ({ kind: 'document', tokenIds: draw(seed + 1, BLOCK_TOKENS) }),
    ),
    finalTokenIds: draw(99, FINAL_TOKENS),
  };
}

let requests = 0;

async function firstTokenMs(engine: Engine, plan: PromptPlan, { attention, repair }: Point): Promise<number> {
  const start = performance.now();
  const request = {
    id: `bench-${++requests}`,
    plan: { ...plan, attention },
    sampling: FIRST_TOKEN,
    ...(repair === undefined ? {} : { repair }),
  };
  for await (const event of engine.generate(request)) if (event.type === 'token') return performance.now() - start;
  throw new Error('no token came');
}

function report(
  times: Map<string, number[]>,
  config: { blocks: number; rounds: number; threads: number },
): BenchReport {
  const medianOf = (name: string) => median(times.get(name) as number[]);
  const full = medianOf('full');
  const judged = REPAIR_CHOICES.map((by) => `${by} ${JUDGED_SHARE}`);
  return {
    name: 'repair',
    machine: describeMachine(),
    config: {
      shape: SHAPE,
      weights: WEIGHTS,
      kvDtype: 'float16',
      blockTokens: BLOCK_TOKENS,
      finalTokens: FINAL_TOKENS,
      ...config,
    },
    medians: Object.fromEntries([...times.keys()].map((name) => [`${name} TTFT ms`, medianOf(name)])),
    ratios: Object.fromEntries([...times.keys()].map((name) => [`full / ${name}`, full / medianOf(name)])),
    checks: judged.map((name) => ({
      claim: `full prefill / TTFT of ${name} >= 4`,
      value: full / medianOf(name),
      holds: full / medianOf(name) >= 4,
    })),
  };
}
