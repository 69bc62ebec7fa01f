/**
 * The n choices of one request: started together over one plan, merged into one stream, accounted as one.
 * Knows choices by index; `choice-stream.ts` makes text and stops, the routes word the result.
 */
import type { CacheScope } from '../../cache/tiers.js';
import type { RepairOptions, SamplingParams } from '../../engine/engine.js';
import type { GrammarId } from '../../grammar/mask-link.js';
import { type PlanBlock, type PromptPlan, promptTokens } from '../../prompt/prompt-plan.js';
import { CallParser, type CallParserOptions } from '../../tools/call-parser.js';
import { LoopTurns } from '../loop-turns.js';
import type { Prefilled, RequestObserver } from '../metrics/server-metrics.js';
import type { Report, Usage } from '../schemas/usage-schema.js';
import type { Services } from '../services.js';
import type { RequestTrace } from '../tracing/request-trace.js';
import { wireOrigin } from '../wire-tiers.js';
import type { CutMessage } from './auto-blocks.js';
import { type ChoiceEvent, type FinishReason, streamChoice, type TokenEntry } from './choice-stream.js';
import { citationSteps } from './citations.js';
import { mergeStreams } from './merge-streams.js';

/** Of all requests: one of them cites in a turn. */
const CITING = new LoopTurns();

export interface Generation {
  /** The request's id, for logs; choices append their index. */
  label: string;
  plan: PromptPlan;
  sampling: SamplingParams;
  stops: readonly string[];
  count: number;
  /** With whom blocks are shared. */
  scope: CacheScope;
  repair?: RepairOptions;
  /** The grammar that each choice follows. */
  grammar?: GrammarId;
  /** Tokens that are likely to be in the answer. */
  predicted?: Int32Array;
  /** Places of the request's documents that were left out. */
  skippedDocuments?: readonly number[];
  /** The functions that may be called. */
  tools?: CallParserOptions;
  /** If sentences shall be cited: the question, and the text of each block of the plan that is no template. */
  citing?: { question: string; texts: readonly (string | undefined)[] };
  trace?: RequestTrace | undefined;
  /** How messages were cut into blocks by themselves. */
  autoBlocks?: readonly CutMessage[];
}

export interface CollectedChoice {
  text: string;
  /** Arguments as JSON text. */
  calls: { name: string; arguments: string }[];
  logprobs: TokenEntry[];
  reason: FinishReason;
}

/** Runs a generation and keeps its accounts. Use `stream` or `collect`, once. */
export class Choices {
  private readonly started = performance.now();
  private readonly observers: RequestObserver[] = [];
  private prefilled: Prefilled | undefined;
  private generatedTokens = 0;
  private proposedTokens = 0;
  private acceptedTokens = 0;
  private readonly answers: string[] = [];

  constructor(
    private readonly services: Pick<Services, 'engine' | 'cache' | 'text' | 'metrics' | 'config'>,
    private readonly generation: Generation,
  ) {}

  /** New tokens that all choices together may have. */
  get mostTokens(): number {
    return this.generation.count * this.generation.sampling.maxTokens;
  }

  /** New tokens until now, also of choices that were given up. */
  get tokensSoFar(): number {
    return this.observers.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  /** Events of all choices as they come. Ends when all have finished; one failure fails all. */
  async *stream(signal: AbortSignal): AsyncGenerator<{ index: number; event: ChoiceEvent }> {
    const ending = new AbortController();
    const either = AbortSignal.any([signal, ending.signal]);
    const streams = Array.from({ length: this.generation.count }, (_, index) => this.choice(index, either));
    try {
      for await (const { index, event } of mergeStreams(streams)) {
        if (event.type === 'prefilled') this.prefilled ??= event;
        if (event.type === 'finish') {
          this.generatedTokens += event.generatedTokens;
          this.proposedTokens += event.predicted.proposed;
          this.acceptedTokens += event.predicted.accepted;
        }
        if (event.type === 'text' && this.generation.citing) {
          this.answers[index] = (this.answers[index] ?? '') + event.text;
        }
        yield { index, event };
      }
    } finally {
      ending.abort();
    }
  }

  async collect(signal: AbortSignal): Promise<CollectedChoice[]> {
    const choices = Array.from({ length: this.generation.count }, (): CollectedChoice & { parts: string[] } => ({
      text: '',
      parts: [],
      calls: [],
      logprobs: [],
      reason: 'stop',
    }));
    for await (const { index, event } of this.stream(signal)) {
      const choice = choices[index];
      if (!choice) continue;
      if (event.type === 'text') {
        choice.parts.push(event.text);
        choice.logprobs.push(...event.logprobs);
      } else if (event.type === 'call') {
        const { part } = event;
        if (part.type === 'call') choice.calls.push({ name: part.name, arguments: '' });
        else (choice.calls[part.index] as CollectedChoice['calls'][number]).arguments += part.text;
        choice.logprobs.push(...event.logprobs);
      } else if (event.type === 'finish') choice.reason = event.reason;
    }
    return choices.map(({ parts, ...choice }) => ({ ...choice, text: parts.join('') }));
  }

  /** OpenAI's usage: the prompt counts once, however many choices. */
  usage(): Usage {
    const prompt = this.prefilled?.promptTokens ?? promptTokens(this.generation.plan);
    return {
      prompt_tokens: prompt,
      completion_tokens: this.generatedTokens,
      total_tokens: prompt + this.generatedTokens,
      prompt_tokens_details: { cached_tokens: this.prefilled?.cachedTokens ?? 0 },
      completion_tokens_details: {
        accepted_prediction_tokens: this.acceptedTokens,
        rejected_prediction_tokens: this.proposedTokens - this.acceptedTokens,
      },
    };
  }

  /** The `blockstitch` extension: the first choice's blocks and timings. */
  async report(): Promise<Report> {
    const { plan, skippedDocuments = [], autoBlocks = [] } = this.generation;
    return {
      attention: plan.attention,
      blocks: (this.prefilled?.blocks ?? []).map(({ key, tokens, origin, kind, repairedTokens }, index) => ({
        hash: key,
        tokens,
        origin: wireOrigin(origin, this.services.cache.brand),
        kind,
        repaired_tokens: repairedTokens ?? 0,
        ...wireSource(plan.blocks[index]),
      })),
      ...(skippedDocuments.length === 0 ? {} : { skipped_documents: [...skippedDocuments] }),
      ...(await this.citations()),
      ...(autoBlocks.length === 0 ? {} : { auto_blocks: [...autoBlocks] }),
      timings: {
        queue_ms: round(this.prefilled?.queueMs ?? 0),
        prefill_ms: round(this.prefilled?.prefillMs ?? 0),
        ttft_ms: round(this.observers[0]?.ttftMs ?? 0),
        total_ms: round(performance.now() - this.started),
      },
    };
  }

  private async citations(): Promise<{ citations?: NonNullable<Report['citations']> }> {
    const { citing } = this.generation;
    if (citing === undefined) return {};
    const { question, texts } = citing;
    const citations: NonNullable<Report['citations']> = [];
    for (const [choice, answer] of this.answers.entries()) {
      const cited = await CITING.steps(citationSteps(answer ?? '', question, texts));
      citations.push(...cited.map((citation) => ({ choice, ...citation })));
    }
    return { citations };
  }

  /** The report in short, for clients that drop fields they do not know. In a stream it goes out with the first token. */
  reportHeaders(): Record<string, number> {
    const blocks = this.prefilled?.blocks ?? [];
    const firstMs = this.observers[0]?.ttftMs ?? performance.now() - this.started;
    return {
      'x-blockstitch-cached-tokens': this.prefilled?.cachedTokens ?? 0,
      'x-blockstitch-blocks-hit': blocks.filter(({ origin }) => origin !== 'computed').length,
      ...(this.prefilled === undefined ? {} : { 'x-blockstitch-ttft-ms': round(firstMs) }),
    };
  }

  private choice(index: number, signal: AbortSignal): AsyncGenerator<ChoiceEvent> {
    const { label, plan, sampling, stops, count, scope, repair, grammar, predicted, tools } = this.generation;
    const { deadlineMs } = this.services.config;
    const observer = this.services.metrics.request(scope.tenant, this.generation.trace?.traceId);
    this.observers.push(observer);
    // The low 32 bits of a seed count; beyond 2^53 the sum would be that of the choice before.
    const request = {
      label: count === 1 ? label : `${label}-${index}`,
      plan,
      sampling: sampling.seed === undefined ? sampling : { ...sampling, seed: (sampling.seed >>> 0) + index },
      scope,
      ...(repair === undefined ? {} : { repair }),
      ...(grammar === undefined ? {} : { grammar }),
      ...(predicted === undefined ? {} : { predicted }),
      ...(deadlineMs === 0 ? {} : { deadlineMs }),
    };
    const reading = {
      stops,
      // A grammar takes these tokens for their text.
      showMarkers: tools !== undefined || grammar !== undefined,
      ...(tools === undefined ? {} : { calls: new CallParser(tools) }),
    };
    const events = streamChoice(this.services, request, reading, signal, observer);
    return this.generation.trace?.choice(events) ?? events;
  }
}

function wireSource(block: PlanBlock | undefined) {
  if (block?.source === undefined) return {};
  const { source } = block;
  const { start, end } = source;
  if ('messageIndex' in source) return { message: { index: source.messageIndex, start, end } };
  const { documentIndex, documentId } = source;
  return { document: { index: documentIndex, ...(documentId === undefined ? {} : { id: documentId }), start, end } };
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
