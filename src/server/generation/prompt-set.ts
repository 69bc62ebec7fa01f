/**
 * The choices of several prompts of one request, as OpenAI numbers them: choice j of prompt i is choice i * n + j. One
 * failure fails all. Knows nothing of texts; `choices.ts` runs each prompt.
 */
import type { Report, Usage } from '../schemas/usage-schema.js';
import type { ChoiceEvent } from './choice-stream.js';
import type { Choices, CollectedChoice } from './choices.js';
import { mergeStreams } from './merge-streams.js';

export class PromptSet {
  /** @param prompts at least one @param count choices of each */
  constructor(
    private readonly prompts: readonly [Choices, ...Choices[]],
    private readonly count: number,
  ) {}

  /** Choices of all prompts. */
  get size(): number {
    return this.prompts.length * this.count;
  }

  get mostTokens(): number {
    return this.prompts.reduce((sum, { mostTokens }) => sum + mostTokens, 0);
  }

  get tokensSoFar(): number {
    return this.prompts.reduce((sum, { tokensSoFar }) => sum + tokensSoFar, 0);
  }

  /** Events of all choices as they come. Use `stream` or `collect`, once. */
  async *stream(signal: AbortSignal): AsyncGenerator<{ index: number; event: ChoiceEvent }> {
    // A prompt that waits in the queue has no next event soon: it is told when the others end.
    const ending = new AbortController();
    const either = AbortSignal.any([signal, ending.signal]);
    try {
      for await (const { index: prompt, event } of mergeStreams(this.prompts.map((each) => each.stream(either)))) {
        yield { index: prompt * this.count + event.index, event: event.event };
      }
    } finally {
      ending.abort();
    }
  }

  async collect(signal: AbortSignal): Promise<CollectedChoice[]> {
    const ending = new AbortController();
    const either = AbortSignal.any([signal, ending.signal]);
    try {
      return (await Promise.all(this.prompts.map((each) => each.collect(either)))).flat();
    } finally {
      ending.abort();
    }
  }

  usage(): Usage {
    const all = this.prompts.map((each) => each.usage());
    const sum = (of: (usage: Usage) => number) => all.reduce((total, usage) => total + of(usage), 0);
    return {
      prompt_tokens: sum((usage) => usage.prompt_tokens),
      completion_tokens: sum((usage) => usage.completion_tokens),
      total_tokens: sum((usage) => usage.total_tokens),
      prompt_tokens_details: { cached_tokens: sum((usage) => usage.prompt_tokens_details.cached_tokens) },
      completion_tokens_details: {
        accepted_prediction_tokens: sum(({ completion_tokens_details: of }) => of.accepted_prediction_tokens),
        rejected_prediction_tokens: sum(({ completion_tokens_details: of }) => of.rejected_prediction_tokens),
      },
    };
  }

  /** The blocks of all prompts, each with its prompt if there are several; the longest times. */
  async report(): Promise<Report> {
    const [first, ...others] = this.prompts;
    if (others.length === 0) return first.report();
    const all = await Promise.all(this.prompts.map((each) => each.report()));
    const longest = (of: (timings: Report['timings']) => number) => Math.max(...all.map(({ timings }) => of(timings)));
    return {
      attention: (all[0] as Report).attention,
      blocks: all.flatMap(({ blocks }, prompt) => blocks.map((block) => ({ ...block, prompt }))),
      timings: {
        queue_ms: longest((timings) => timings.queue_ms),
        prefill_ms: longest((timings) => timings.prefill_ms),
        ttft_ms: longest((timings) => timings.ttft_ms),
        total_ms: longest((timings) => timings.total_ms),
      },
    };
  }

  /** Sums; of the times to the first token the first prompt's. */
  reportHeaders(): Record<string, number> {
    const [first, ...others] = this.prompts.map((each) => each.reportHeaders());
    const total: Record<string, number> = { ...first };
    for (const name of ['x-blockstitch-cached-tokens', 'x-blockstitch-blocks-hit']) {
      for (const headers of others) total[name] = (total[name] ?? 0) + (headers[name] ?? 0);
    }
    return total;
  }
}
