/**
 * `ttft`: time to first token with cached documents, compared with full prefill of the same tokens; its growth with the
 * cached length; and decode at that depth. All of it goes through the engine, in turns, in one run.
 */
import type { PromptPlan } from '../src/prompt/prompt-plan.js';
import { documentBlocks, randomEngine, randomTokens, THREADS, timed, tokenTimes } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const SHAPE = 'qwen2.5-0.5b';
const WEIGHTS = 'int8';
const QUESTION_TOKENS = 32;
const SHORT_TOKENS = 1024;
const DECODE_TOKENS = 64;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const longTokens = quick ? 2048 : 8192;
  const cachedRounds = quick ? 3 : 9;
  const fullRounds = quick ? 1 : 3;
  const { engine, model, close } = await randomEngine({
    shape: SHAPE,
    weights: WEIGHTS,
    kvMemoryBytes: 1 << 29,
    progress,
  });
  try {
    const { vocabSize } = model.config;
    const prompt = (tokens: number, question: number, order: 1 | -1 = 1): PromptPlan => {
      const blocks = documentBlocks(1, tokens, vocabSize);
      return {
        attention: 'block',
        sinkTokenIds: Int32Array.of(1, 2, 3, 4),
        blocks: order === 1 ? blocks : blocks.reverse(),
        finalTokenIds: randomTokens(5000 + question, QUESTION_TOKENS, vocabSize),
      };
    };
    const firstToken = async (plan: PromptPlan) => tokenTimes(await timed(engine, plan))[0] as number;
    progress(`prefilling ${longTokens} tokens in blocks`);
    const coldMs = await firstToken(prompt(longTokens, 0));
    const cached: number[] = [];
    const short: number[] = [];
    const full: number[] = [];
    const stepsMs: number[] = [];
    const shallowStepsMs: number[] = [];
    for (let round = 0; round < Math.max(cachedRounds, fullRounds); round++) {
      if (round < cachedRounds) {
        // Every other question has its documents in reverse order.
        const order = round % 2 === 0 ? 1 : -1;
        cached.push(await firstToken(prompt(longTokens, 1 + round, order)));
        short.push(await firstToken(prompt(SHORT_TOKENS, 1 + round, order)));
        progress(
          `round ${round + 1}: cached ${longTokens} ${cached.at(-1)?.toFixed(0)} ms, cached ${SHORT_TOKENS} ${short.at(-1)?.toFixed(0)} ms`,
        );
        stepsMs.push(await decodeStepMs(prompt(longTokens, 1 + round)));
        shallowStepsMs.push(await decodeStepMs({ ...prompt(SHORT_TOKENS, 1 + round), blocks: [] }));
      }
      if (round < fullRounds) {
        full.push(await firstToken({ ...prompt(longTokens, 100 + round), attention: 'full' }));
        progress(`round ${round + 1}: full prefill ${((full.at(-1) as number) / 1000).toFixed(1)} s`);
      }
    }
    return report({ longTokens, coldMs, cached, short, full, stepsMs, shallowStepsMs }, quick);
  } finally {
    await close();
  }

  /** Mean milliseconds between the tokens of one answer, without the first: its step was the prefill. */
  async function decodeStepMs(plan: PromptPlan): Promise<number> {
    const times = tokenTimes(await timed(engine, plan, { maxTokens: DECODE_TOKENS }));
    return ((times.at(-1) as number) - (times[0] as number)) / (times.length - 1);
  }
}

interface Measured {
  longTokens: number;
  coldMs: number;
  cached: number[];
  short: number[];
  full: number[];
  stepsMs: number[];
  shallowStepsMs: number[];
}

function report(measured: Measured, quick: boolean): BenchReport {
  const { longTokens } = measured;
  const cached = median(measured.cached);
  const short = median(measured.short);
  const full = median(measured.full);
  const stepMs = median(measured.stepsMs);
  const shallowStepMs = median(measured.shallowStepsMs);
  const gain = full / cached;
  const growth = cached / short;
  return {
    name: 'ttft',
    machine: describeMachine(),
    config: {
      shape: SHAPE,
      weights: WEIGHTS,
      kvDtype: 'float16',
      threads: THREADS,
      cachedTokens: longTokens,
      blockTokens: '150 to 250',
      questionTokens: QUESTION_TOKENS,
      cachedRounds: measured.cached.length,
      fullRounds: measured.full.length,
    },
    medians: {
      cachedTtftMs: cached,
      [`cached${SHORT_TOKENS}TtftMs`]: short,
      fullPrefillTtftMs: full,
      coldBlocksTtftMs: measured.coldMs,
      fullPrefillTokensPerSecond: (1000 * longTokens) / full,
      decodeAtDepthTokensPerSecond: 1000 / stepMs,
      decodeEmptyTokensPerSecond: 1000 / shallowStepMs,
    },
    ratios: {
      'full prefill / cached': gain,
      [`cached ${longTokens} / cached ${SHORT_TOKENS}`]: growth,
      'cold blocks / cached': measured.coldMs / cached,
      'decode step at depth / empty': stepMs / shallowStepMs,
    },
    checks: [
      // Prefill's attention grows with the square of the length, so the claim holds for the full size only.
      ...(quick ? [] : [{ claim: 'full prefill / cached TTFT >= 60', value: gain, holds: gain >= 60 }]),
      { claim: `cached TTFT at ${longTokens} / at ${SHORT_TOKENS} <= 3`, value: growth, holds: growth <= 3 },
    ],
  };
}
