/**
 * `sampling`: the cost of choosing a token from a vocabulary of 152k. First the draw alone, on flat and peaked rows,
 * beside the earlier way (sort the whole row). Then whole steps of 32 requests with a repetition penalty, beside 32
 * greedy ones.
 */
import type { Engine, SamplingParams } from '../src/engine/engine.js';
import { GREEDY } from '../src/engine/engine.js';
import type { LogitRow } from '../src/engine/sampling/best-tokens.js';
import { LogitAdjustments } from '../src/engine/sampling/logit-adjustments.js';
import { logitsNeeded, Sampler } from '../src/engine/sampling/sampler.js';
import { uniform } from '../src/engine/sampling/token-random.js';
import type { RANDOM_SHAPES } from './random-checkpoint.js';
import { randomEngine, randomTokens, SAMPLING, THREADS, timed, tokenTimes } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const VOCAB = 151_936;
const PROMPT_TOKENS = 4096;
const ROWS = 8;
const REQUESTS = 32;
const DRAW_US = 1000;
const STEP_RATIO = 1.1;
/** Answers are watched from this token on: all requests are decoding by then. */
const WARM_TOKENS = 4;

const SAMPLED: SamplingParams = { ...GREEDY, temperature: 0.7 };
const PENALIZED: SamplingParams = { ...SAMPLED, repetitionPenalty: 1.1 };
const BIAS = new Map(Array.from({ length: 100 }, (_, index) => [index * 1500, index % 2 === 0 ? 2 : -100] as const));

const CASES: Record<string, SamplingParams> = {
  greedy: GREEDY,
  temperature: SAMPLED,
  repetitionPenalty: PENALIZED,
  logitBias: { ...SAMPLED, logitBias: BIAS },
  topP: { ...SAMPLED, topP: 0.9 },
  topK1000: { ...SAMPLED, topK: 1000 },
  greedyRepetitionPenalty: { ...PENALIZED, temperature: 0 },
};

/** One layer under a head: the best 128 tokens weigh under a fifth of a flat row at temperature 0.7, and nine tenths of a peaked one. */
const MODELS = { flat: 'flat-152k', peaked: 'peaked-152k' } as const;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const draws = quick ? 80 : 400;
  const medians: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const checks: BenchReport['checks'] = [];
  for (const [kind, rows] of Object.entries({ flat: flatRows(), peaked: peakedRows() })) {
    for (const [name, sampling] of Object.entries(CASES)) {
      const us = drawUs(rows, sampling, draws);
      const label = `${name}, ${kind} row`;
      medians[`${label} (us)`] = us;
      // Greedy choices never sorted the row.
      if (sampling.temperature > 0) {
        const sortedUs = sortingUs(rows, sampling, quick ? 3 : 7);
        medians[`${label}, by sorting (us)`] = sortedUs;
        ratios[`${label}: sorting / now`] = sortedUs / us;
      }
      checks.push({ claim: `${label}: a draw takes under ${DRAW_US} us`, value: us, holds: us < DRAW_US });
      progress(`${label}: ${us.toFixed(0)} us`);
    }
  }
  for (const [kind, shape] of Object.entries(MODELS)) {
    if (quick && kind !== 'flat') continue;
    const steps = await stepTimes(kind, shape, quick ? 2 : 7, progress);
    medians[`greedy step, ${kind} model (ms)`] = steps.greedyMs;
    medians[`sampled step, ${kind} model (ms)`] = steps.sampledMs;
    const ratio = steps.fastSampledMs / steps.fastGreedyMs;
    ratios[`sampled / greedy step, ${kind} model, fastest rounds`] = ratio;
    checks.push({
      claim: `${REQUESTS} requests with a repetition penalty, ${kind} model: a step takes under ${STEP_RATIO} greedy ones`,
      value: ratio,
      holds: ratio < STEP_RATIO,
    });
  }
  return {
    name: 'sampling',
    machine: describeMachine(),
    config: { vocabSize: VOCAB, promptTokens: PROMPT_TOKENS, draws, requests: REQUESTS, threads: THREADS },
    medians,
    ratios,
    checks,
  };
}

/** Normal logits with a deviation of 1.5. */
function flatRows(): Float32Array[] {
  return Array.from({ length: ROWS }, (_, row) =>
    Float32Array.from({ length: VOCAB }, (_, id) => 1.5 * normal(row, id)),
  );
}

/** The same with deviation 2, and 300 tokens in front of it as a trained model has them: the k-th at 22 - 3 ln k. */
function peakedRows(): Float32Array[] {
  return Array.from({ length: ROWS }, (_, row) => {
    const logits = Float32Array.from({ length: VOCAB }, (_, id) => 2 * normal(row, id) - 4);
    for (let rank = 1; rank <= 300; rank++) logits[(rank * 7919 + row * 131) % VOCAB] = 22 - 3 * Math.log(rank);
    return logits;
  });
}

/** Box and Muller's normal numbers. */
function normal(seed: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(seed, 2 * index)));
  return radius * Math.cos(2 * Math.PI * uniform(seed, 2 * index + 1));
}

/** The graph's outputs for a row. */
function rowOf(full: Float32Array, topK: number): LogitRow {
  const ids = sortedIds(full).slice(0, topK);
  const values = Float32Array.from(ids, (id) => full[id] as number);
  const best = values[0] as number;
  const total = full.reduce((sum, value) => sum + Math.exp(value - best), 0);
  return { best: { ids, values }, logSumExp: Math.fround(Math.log(total) + best), full, vocabSize: VOCAB };
}

function promptOf(): Int32Array {
  return Int32Array.from({ length: PROMPT_TOKENS }, (_, index) => (index * 7919 * 3) % VOCAB);
}

/** Median time of a draw. */
function drawUs(rows: readonly Float32Array[], sampling: SamplingParams, draws: number): number {
  const given = rows.map((full) => rowOf(full, logitsNeeded(sampling).topK));
  const sampler = new Sampler(sampling, 1, [promptOf()]);
  const times: number[] = [];
  for (let index = 0; index < draws; index++) {
    const start = performance.now();
    sampler.next(given[index % ROWS] as LogitRow);
    times.push(1000 * (performance.now() - start));
  }
  // The compiler warms up first.
  return median(times.slice(draws >> 2));
}

/** The earlier algorithm, for comparison: copy, adjust and sort the row, weigh all of it. */
function sortingUs(rows: readonly Float32Array[], sampling: SamplingParams, draws: number): number {
  const times: number[] = [];
  const adjustments = new LogitAdjustments(sampling, [promptOf()]);
  for (let index = 0; index < draws; index++) {
    const start = performance.now();
    const row = (rows[index % ROWS] as Float32Array).slice();
    adjustments.adjustRow(row);
    adjustments.accept(drawBySorting(row, sampling, uniform(1, index)));
    times.push(1000 * (performance.now() - start));
  }
  return median(times);
}

function sortedIds(row: Float32Array): Int32Array {
  const ids = Int32Array.from(row.keys());
  return ids.sort((a, b) => (row[b] as number) - (row[a] as number) || a - b);
}

function drawBySorting(row: Float32Array, sampling: SamplingParams, u: number): number {
  const ids = sortedIds(row);
  const best = row[ids[0] as number] as number;
  const weights = Float64Array.from(ids, (id) => Math.exp(((row[id] as number) - best) / sampling.temperature));
  const kept = sampling.topK > 0 ? weights.subarray(0, sampling.topK) : weights;
  const total = kept.reduce((sum, weight) => sum + weight, 0);
  let nucleus = 0;
  let count = 0;
  while (count < kept.length && nucleus < sampling.topP * total) nucleus += kept[count++] as number;
  let reached = 0;
  for (let index = 0; index < count; index++) {
    reached += kept[index] as number;
    if (reached > u * nucleus) return ids[index] as number;
  }
  return ids[count - 1] as number;
}

/** Rounds of greedy and sampled requests in turns. Other work disturbs the fastest round of each kind least. */
async function stepTimes(
  kind: string,
  shape: keyof typeof RANDOM_SHAPES,
  rounds: number,
  progress: (line: string) => void,
) {
  const { engine, close } = await randomEngine({ shape, weights: 'int8', kvMemoryBytes: 1 << 28, progress });
  const greedyMs: number[] = [];
  const sampledMs: number[] = [];
  try {
    for (let round = 0; round <= rounds; round++) {
      const greedy = await stepMs(engine, round, {});
      const sampled = await stepMs(engine, round, { temperature: 0.7, repetitionPenalty: 1.1 });
      progress(`${kind} model, round ${round}: greedy ${greedy.toFixed(1)} ms, sampled ${sampled.toFixed(1)} ms`);
      // The first round warms up.
      if (round === 0) continue;
      greedyMs.push(greedy);
      sampledMs.push(sampled);
    }
  } finally {
    await close();
  }
  const [fastGreedyMs, fastSampledMs] = [Math.min(...greedyMs), Math.min(...sampledMs)];
  return { greedyMs: median(greedyMs), sampledMs: median(sampledMs), fastGreedyMs, fastSampledMs };
}

/** Median time between two tokens of an answer while all requests are decoding. */
async function stepMs(engine: Engine, round: number, sampling: Partial<SamplingParams>): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, (_, index) => {
      const finalTokenIds = randomTokens(round * REQUESTS + index + 1, 64, VOCAB);
      const plan = { attention: 'block' as const, sinkTokenIds: new Int32Array(), blocks: [], finalTokenIds };
      return timed(engine, plan, { ...SAMPLING, ...sampling, seed: index, maxTokens: 32 });
    }),
  );
  const times = answers.map(tokenTimes);
  const gaps = times.flatMap((each) =>
    each.slice(WARM_TOKENS).map((at, index) => at - (each[index + WARM_TOKENS - 1] as number)),
  );
  return median(gaps);
}
