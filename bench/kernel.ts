/**
 * `kernel`: single-query attention over 32k cached float16 tokens, compared with its floor. The floor is the larger of
 * two times: KV bytes over the read bandwidth, and operations over the multiply-add peak. Both are measured over the
 * same memory in the same rounds. kernels/bench/attention_bench.cc measures; this file builds it, runs it and judges.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../src/config.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const REACHED = 0.6;
const BYTES_PER_ELEMENT = 2;

/** What the native bench prints. Lists have one entry per round. */
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

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  progress('building the native bench, and measuring');
  const [tokens, layers, rounds] = quick ? ([8192, 8, 5] as const) : ([32_768, 24, 15] as const);
  return report(measureAttention(tokens, layers, rounds, Math.min(2, availableParallelism())), rounds);
}

/** Builds the native bench and runs it: attention of one query over `tokens` cached tokens, and the machine's ceilings. */
export function measureAttention(tokens: number, layers: number, rounds: number, threads: number): Measured {
  execute(process.execPath, [join(PACKAGE_DIR, 'kernels', 'build.mjs'), '--tests', '--bench']);
  const argv = [tokens, layers, rounds, threads].map(String);
  return JSON.parse(execute(join(PACKAGE_DIR, 'kernels', 'build', 'attention_bench'), argv)) as Measured;
}

function execute(command: string, args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ended with status ${status}\n${stdout}${stderr}`);
  return stdout;
}

function report(measured: Measured, rounds: number): BenchReport {
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
    if (segments === 'blocks') {
      checks.push({
        claim: `GQA ratio ${group}: ${REACHED} of the floor or more`,
        value: reached,
        holds: reached >= REACHED,
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
