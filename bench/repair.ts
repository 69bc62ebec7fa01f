/**
 * `repair`: time to first token by the share of cached tokens that is computed again, beside full prefill and plain
 * stitching. The cached blocks are those of a checkpoint with random weights. All points are measured in one run, in
 * turns, through the engine.
 */
import type { Engine } from '../src/engine/engine.js';
import { REPAIR_CHOICES, type RepairOptions } from '../src/engine/engine.js';
import type { PlanBlock, PromptPlan } from '../src/prompt/prompt-plan.js';
import { randomEngine, randomTokens, THREADS, timed, tokenTimes } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const SHAPE = 'qwen2.5-0.5b';
const WEIGHTS = 'int8';
const BLOCK_TOKENS = 256;
const FINAL_TOKENS = 32;
const SHARES = [0.05, 0.15, 0.3, 0.5];
/** The share that must take a quarter of full prefill's time, or less. */
const JUDGED_SHARE = 0.15;

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
  const bench = await randomEngine({ shape: SHAPE, weights: WEIGHTS, kvMemoryBytes: 1 << 29, progress });
  try {
    const plan = promptOf(blocks, bench.model.config.vocabSize);
    const times = new Map(POINTS.map(({ name }) => [name, [] as number[]]));
    // One answer from cold blocks fills the pool; one of each kind loads graphs and memory.
    for (const point of [POINTS[1], POINTS.at(-1)]) await firstTokenMs(bench.engine, plan, point as Point);
    for (let round = 0; round < rounds; round++) {
      for (const point of POINTS) {
        const took = await firstTokenMs(bench.engine, plan, point);
        times.get(point.name)?.push(took);
        progress(`round ${round + 1}, ${point.name}: ${took.toFixed(0)} ms`);
      }
    }
    return report(times, { blocks, rounds, threads: THREADS });
  } finally {
    await bench.close();
  }
}

function promptOf(blocks: number, vocabSize: number): PromptPlan {
  return {
    attention: 'block',
    sinkTokenIds: Int32Array.of(1),
    blocks: Array.from(
      { length: blocks },
      (_, seed): PlanBlock => ({ kind: 'document', tokenIds: randomTokens(seed + 1, BLOCK_TOKENS, vocabSize) }),
    ),
    finalTokenIds: randomTokens(99, FINAL_TOKENS, vocabSize),
  };
}

async function firstTokenMs(engine: Engine, plan: PromptPlan, { attention, repair }: Point): Promise<number> {
  const [ttftMs] = tokenTimes(await timed(engine, { ...plan, attention }, {}, repair));
  if (ttftMs === undefined) throw new Error('no token came');
  return ttftMs;
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
