/**
 * `context`: time to first token against the length of the context, by three ways over the same tokens: full prefill, blocks prefilled for
 * the first time, and blocks cached, in a new order. With --plot FILE also as an SVG.
 */
import { writeFileSync } from 'node:fs';
import type { PromptPlan } from '../src/prompt/prompt-plan.js';
import { type ContextPoint, contextPlot } from './context-plot.js';
import { documentBlocks, randomEngine, randomTokens, THREADS, timed, tokenTimes } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const SHAPE = 'qwen2.5-0.5b';
const WEIGHTS = 'int8';
const QUESTION_TOKENS = 32;
/** What a full prefill must cost more than a cached one, at the longest context. */
const LEAST_RATIO = 60;

export async function run({ quick, progress, plot }: BenchOptions): Promise<BenchReport> {
  const lengths = quick ? [512, 1024, 2048] : [512, 1024, 2048, 4096, 8192];
  const rounds = quick ? 1 : 3;
  const { engine, model, close } = await randomEngine({
    shape: SHAPE,
    weights: WEIGHTS,
    kvMemoryBytes: 1 << 29,
    progress,
  });
  try {
    const { vocabSize } = model.config;
    let question = 0;
    const firstToken = async (blocks: PromptPlan['blocks'], attention: PromptPlan['attention'] = 'block') => {
      question += 1;
      const finalTokenIds = randomTokens(5000 + question, QUESTION_TOKENS, vocabSize);
      const sinkTokenIds = Int32Array.of(1, 2, 3, 4);
      return tokenTimes(await timed(engine, { attention, sinkTokenIds, blocks, finalTokenIds }))[0] as number;
    };
    const points: ContextPoint[] = [];
    for (const tokens of lengths) {
      const blocks = documentBlocks(tokens, tokens, vocabSize);
      const coldMs = await firstToken(blocks);
      const cached: number[] = [];
      const full: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const at = (round + 1) % blocks.length;
        cached.push(await firstToken([...blocks.slice(at), ...blocks.slice(0, at)].reverse()));
        full.push(await firstToken(blocks, 'full'));
      }
      const point = { tokens, fullMs: median(full), coldMs, cachedMs: median(cached) };
      progress(
        `${tokens} tokens: full ${point.fullMs.toFixed(0)} ms, cold ${coldMs.toFixed(0)}, cached ${point.cachedMs.toFixed(0)}`,
      );
      points.push(point);
    }
    if (plot !== undefined)
      writeFileSync(plot, contextPlot(points, `${SHAPE}, ${WEIGHTS}, ${THREADS} threads of ${describeMachine().cpu}`));
    return report(points, rounds);
  } finally {
    await close();
  }
}

function report(points: readonly ContextPoint[], rounds: number): BenchReport {
  const last = points.at(-1) as ContextPoint;
  const ratio = last.fullMs / last.cachedMs;
  const named = points.flatMap(({ tokens, fullMs, coldMs, cachedMs }) => [
    [`full${tokens}Ms`, fullMs],
    [`cold${tokens}Ms`, coldMs],
    [`cached${tokens}Ms`, cachedMs],
  ]);
  return {
    name: 'context',
    machine: describeMachine(),
    config: { shape: SHAPE, weights: WEIGHTS, threads: THREADS, questionTokens: QUESTION_TOKENS, rounds },
    medians: Object.fromEntries(named) as Record<string, number>,
    ratios: Object.fromEntries(
      points.map(({ tokens, fullMs, cachedMs }) => [`full / cached at ${tokens}`, fullMs / cachedMs]),
    ),
    checks: [
      { claim: `full / cached at ${last.tokens} tokens >= ${LEAST_RATIO}`, value: ratio, holds: ratio >= LEAST_RATIO },
    ],
  };
}
