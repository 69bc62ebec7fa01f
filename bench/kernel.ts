/**
 * `kernel`: attention against what this machine can do at best, measured in the same rounds.
 * - One query over 32k cached float16 tokens against its floor: the larger of KV bytes over the read bandwidth, and
 *   operations over the peak of the products.
 * - Chunks of a prefill against the peak of the products that the kernel level uses; every level of the processor beside it.
 * - Decoding sequences that hold the same blocks in different orders against sequences with blocks of their own.
 * kernels/bench/attention_bench.cc and rows_bench.cc measure; this file builds them, runs them and judges.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../src/config.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

/** Share of the floor that one query is to reach, by query heads per kv head. */
const ONE_QUERY_GOALS: Record<number, number> = { 1: 0.8, 4: 0.75, 7: 0.7 };
/** Share of the products' peak that a chunk behind 1,536 tokens or more is to reach. */
const MANY_ROWS_GOAL = 0.6;
const BYTES_PER_ELEMENT = 2;

/** What attention_bench prints. Lists have one entry per round. */
export interface Measured {
  level: string;
  threads: number;
  tokens: number;
  layers: number;
  kvHeads: number;
  headDim: number;
  poolBytes: number;
  /** Measurements thrown away because another process took a core meanwhile. */
  disturbed: number;
  /** One list for each way of reading; the best way counts. */
  readBytesPerSecond: Record<string, number[]>;
  operationsPerSecond: number[];
  attention: { group: number; segments: 'blocks' | 'one'; seconds: number[] }[];
}

/** What rows_bench prints, by kernel level. Operations, bytes and seconds are per layer. */
interface ManyRows {
  levels: {
    level: string;
    operationsPerSecond: number[];
    trials: { name: string; operations: number; readBytes: number; seconds: number[] }[];
  }[];
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  progress('building the native benches, and measuring one query');
  const [tokens, layers, rounds] = quick ? ([8192, 8, 5] as const) : ([32_768, 24, 15] as const);
  const threads = Math.min(2, availableParallelism());
  const report = oneQueryReport(measureAttention(tokens, layers, rounds, threads), rounds);
  progress('measuring many rows');
  addManyRows(nativeBench('rows_bench', quick ? 2 : 6, quick ? 3 : 9, threads) as ManyRows, report);
  return report;
}

/** Builds the native benches and runs one: attention of one query over `tokens` cached tokens, and the machine's ceilings. */
export function measureAttention(tokens: number, layers: number, rounds: number, threads: number): Measured {
  execute(process.execPath, [join(PACKAGE_DIR, 'kernels', 'build.mjs'), '--tests', '--bench']);
  return nativeBench('attention_bench', tokens, layers, rounds, threads) as Measured;
}

function nativeBench(name: string, ...numbers: number[]): unknown {
  return JSON.parse(execute(join(PACKAGE_DIR, 'kernels', 'build', name), numbers.map(String)));
}

function execute(command: string, args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ended with status ${status}\n${stdout}${stderr}`);
  return stdout;
}

function oneQueryReport(measured: Measured, rounds: number): BenchReport {
  const { tokens, layers, kvHeads, headDim } = measured;
  const values = layers * tokens * kvHeads * headDim;
  const bytes = 2 * values * BYTES_PER_ELEMENT;
  // The fastest way of reading in each round: the ceiling is what the machine could do at that time.
  const read = Array.from({ length: rounds }, (_, round) =>
    Math.max(...Object.values(measured.readBytesPerSecond).map((way) => way[round] as number)),
  );
  const { operationsPerSecond } = measured;
  const medians: Record<string, number> = {
    readGigabytesPerSecond: median(read) / 1e9,
    multiplyAddGigaflops: median(operationsPerSecond) / 1e9,
  };
  const ratios: Record<string, number> = {};
  const checks: BenchReport['checks'] = [];
  for (const { group, segments, seconds } of measured.attention) {
    // A multiply-add is two operations. Each cached key and value takes one multiply-add per query head.
    const operations = 2 * 2 * values * group;
    const name = segments === 'blocks' ? `group ${group}` : `group ${group}, one segment`;
    const reached = median(
      seconds.map((took, round) => {
        const floor = Math.max(bytes / (read[round] as number), operations / (operationsPerSecond[round] as number));
        return floor / took;
      }),
    );
    medians[`${name}: microseconds per layer`] = (median(seconds) / layers) * 1e6;
    ratios[`${name}: floor / time`] = reached;
    const goal = ONE_QUERY_GOALS[group];
    if (segments === 'blocks' && goal !== undefined) {
      checks.push({
        claim: `GQA ratio ${group}: ${goal} of the floor or more`,
        value: reached,
        holds: reached >= goal,
      });
    }
  }
  return {
    name: 'kernel',
    machine: describeMachine(),
    config: {
      kernelLevel: measured.level,
      threads: measured.threads,
      cachedTokens: tokens,
      blockTokens: '150 to 250',
      kvDtype: 'float16',
      layers,
      kvHeads,
      headDim,
      poolMiB: Math.round(measured.poolBytes / 2 ** 20),
      rounds,
      disturbed: measured.disturbed,
    },
    medians,
    ratios,
    checks,
  };
}

/** Adds the chunks and batches of every level to the report. */
function addManyRows({ levels }: ManyRows, { medians, ratios, checks }: BenchReport): void {
  const best = levels.at(-1);
  for (const { level, operationsPerSecond, trials } of levels) {
    medians[`${level}: peak of the products, Gflop/s`] = median(operationsPerSecond) / 1e9;
    for (const { name, operations, seconds } of trials) {
      medians[`${level}: ${name}: microseconds per layer`] = median(seconds) * 1e6;
      const reached = median(seconds.map((took, round) => operations / took / (operationsPerSecond[round] as number)));
      ratios[`${level}: ${name}: of the peak`] = reached;
      if (level === best?.level && /^chunk \d+ behind [1-9]/.test(name)) {
        checks.push({
          claim: `${name}: ${MANY_ROWS_GOAL} of the products' peak or more`,
          value: reached,
          holds: reached >= MANY_ROWS_GOAL,
        });
      }
    }
    for (const { name, seconds } of trials) {
      const own = trials.find((trial) => name.includes(' shared ') && trial.name === name.replace('shared', 'own'));
      if (own === undefined) continue;
      ratios[`${level}: ${name}: times as fast as over their own`] = median(own.seconds) / median(seconds);
    }
  }
}
