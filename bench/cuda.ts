/**
 * `cuda`: the whole path on GPU 0, with random weights in Llama-3.1-8B's shape. Compares the time to first token over
 * 32k cached tokens and a question of 50 with full prefill of the same tokens, and the decode step with the bytes that
 * it must move. Without a GPU, its library or ONNX Runtime's CUDA provider it says what is missing and measures
 * nothing.
 */
import { BlockstitchError } from '../src/errors.js';
import { loadAddon } from '../src/kernels/load-addon.js';
import { loadCuda } from '../src/kernels/load-cuda.js';
import type { PromptPlan } from '../src/prompt/prompt-plan.js';
import { documentBlocks, randomEngine, randomTokens, timed, tokenTimes } from './random-model.js';
import { type BenchOptions, type BenchReport, describeMachine, median } from './report.js';

const WEIGHTS = 'int4';
const QUESTION_TOKENS = 50;
const DECODE_TOKENS = 64;
/** Exit code if nothing could be measured; the harness has the same. */
const NOT_RUN = 77;
/** 45 ms: the figure of arXiv 2409.15355 for 32k tokens and a question of 50 tokens, on its machine. */
const PAPER_TTFT_MS = 45;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const shape = quick ? 'qwen2.5-0.5b' : 'llama-3.1-8b';
  const cachedTokens = quick ? 4096 : 32_768;
  const rounds = quick ? 3 : 9;
  requireGpu();
  const { engine, model, close } = await randomEngine({
    ...{ shape, weights: WEIGHTS, kvMemoryBytes: 0, gpu: 0, progress },
    // A GPU needs longer steps than a CPU to be busy.
    policy: { maxBatchTokens: 4096, ingestTokens: 4096 },
  });
  try {
    const { vocabSize, layers, kvHeads, headDim } = model.config;
    const blocks = documentBlocks(1, cachedTokens, vocabSize);
    const prompt = (question: number, attention: PromptPlan['attention'] = 'block'): PromptPlan => ({
      attention,
      sinkTokenIds: Int32Array.of(1, 2, 3, 4),
      blocks: question % 2 === 0 ? blocks : blocks.toReversed(),
      finalTokenIds: randomTokens(5000 + question, QUESTION_TOKENS, vocabSize),
    });
    const firstToken = async (plan: PromptPlan) => tokenTimes(await timed(engine, plan))[0] as number;
    progress(`prefilling ${cachedTokens} tokens in blocks`);
    const coldMs = await firstToken(prompt(0));
    const cached: number[] = [];
    const full: number[] = [];
    const gaps: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      cached.push(await firstToken(prompt(round)));
      if (round <= 3) full.push(await firstToken(prompt(100 + round, 'full')));
      const times = tokenTimes(await timed(engine, prompt(round), { maxTokens: DECODE_TOKENS }));
      gaps.push(...times.slice(2).map((at, index) => at - (times[index + 1] as number)));
      progress(`round ${round}: cached ${cached.at(-1)?.toFixed(1)} ms, full ${full.at(-1)?.toFixed(0)} ms`);
    }
    const gain = median(full) / median(cached);
    return {
      name: 'cuda',
      machine: describeMachine(),
      config: { shape, weights: WEIGHTS, kvDtype: 'float16', cachedTokens, questionTokens: QUESTION_TOKENS, rounds },
      medians: {
        cachedTtftMs: median(cached),
        fullPrefillTtftMs: median(full),
        coldBlocksTtftMs: coldMs,
        decodeStepMs: median(gaps),
        // One decode step must read the keys and values of the context. The weights come on top.
        decodeKvBytes: (cachedTokens + QUESTION_TOKENS) * layers * 2 * kvHeads * headDim * 2,
        paperCachedTtftMs: PAPER_TTFT_MS,
      },
      ratios: { 'full prefill / cached': gain, 'cached / 45 ms': median(cached) / PAPER_TTFT_MS },
      checks: quick ? [] : [{ claim: 'full prefill / cached TTFT >= 70', value: gain, holds: gain >= 70 }],
    };
  } finally {
    await close();
  }
}

function requireGpu(): void {
  try {
    loadAddon();
    loadCuda([0]);
  } catch (error) {
    if (!(error instanceof BlockstitchError) || error.details['setting'] !== '--device') throw error;
    console.log(`not run: no GPU: ${error.details['reason']}`);
    process.exit(NOT_RUN);
  }
}
