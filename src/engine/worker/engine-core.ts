/**
 * The engine without threads: takes commands, runs one step per turn, says what happened.
 * Knows scheduler, blocks and samplers. `StepRunner` hides the graph, `engine-worker.ts` waits and sends messages, and
 * the HTTP thread copies pages and asks stores.
 *
 * Words: turn = one pass of the loop, with at most one step; news = what happened in a turn; runner = it runs the
 * graph.
 */

import type { MaskLink } from '../../grammar/mask-link.js';
import type { ProbeLayout, ProbeStep } from '../repair/prompt-probe.js';
import type { LogitRow } from '../sampling/best-tokens.js';
import { Sampler } from '../sampling/sampler.js';
import { BlockTable } from '../schedule/block-table.js';
import type { DraftProposer } from '../schedule/draft-rows.js';
import { PagePool } from '../schedule/page-pool.js';
import { Scheduler } from '../schedule/scheduler.js';
import type { Sequence } from '../schedule/sequence.js';
import { NO_DRAFT, type SampledRows, type StepPlan } from '../schedule/step-plan.js';
import { type CoreCommand, type EngineNews, noNews, type RequestEvent } from '../wire/messages.js';
import type { SharedCounters } from '../wire/shared-counters.js';
import type { Handle, RequestSpec } from '../wire/specs.js';
import type { SchedulerPolicy } from '../wire/worker-setup.js';
import { type BatchLayout, buildStep, type ModelOutput, type ModelStep } from './step-batch.js';

/** Runs the graph. A rejection fails the requests in the step, nothing else. */
export interface StepRunner {
  /** Whether the graph can draw tokens itself. */
  readonly draws: boolean;
  run(step: ModelStep): Promise<ModelOutput>;
  /** Runs the first layers in context. @returns for each place, how far the cached values lie from those in context */
  probe?(step: ProbeStep): Promise<Float64Array>;
}

export interface CoreOptions {
  runner: StepRunner;
  /** Pages that sequences and blocks may use: 0..pages-1. */
  pages: number;
  pageTokens: number;
  vocabSize: number;
  layout: BatchLayout;
  /** Layout of the probe's pool; absent for models that have no probe. */
  probeLayout?: ProbeLayout;
  /** Which tokens the requests' grammars allow; absent: no request has a grammar. */
  masks?: Pick<MaskLink, 'open' | 'next' | 'accept' | 'close'>;
  /** Proposes tokens that a step then verifies; absent: a step gives one token. */
  drafts?: DraftProposer;
  policy: SchedulerPolicy;
  counters: SharedCounters;
  /** The clock of the requests' times, in milliseconds. */
  now: () => number;
}

/** A step waits so long at most for the masks of all its requests. */
const MASK_WAIT_MS = 2;

export class EngineCore {
  readonly #options: CoreOptions;
  readonly #table: BlockTable;
  readonly #scheduler: Scheduler;
  readonly #samplers = new Map<Sequence, Sampler>();
  #news = noNews();

  constructor(options: CoreOptions) {
    this.#options = options;
    this.#table = new BlockTable(new PagePool(options.pages), options.pageTokens);
    this.#scheduler = new Scheduler(this.#table, options.policy, options.drafts);
    this.#publish();
  }

  /** True if no request and no ingestion is in the engine. */
  get idle(): boolean {
    return this.#scheduler.idle;
  }

  get nextDeadlineMs(): number | undefined {
    return this.#scheduler.nextDeadlineMs;
  }

  handle(command: CoreCommand): void {
    switch (command.type) {
      case 'submit': {
        const sequence = this.#scheduler.submit(command.request);
        const { request } = command;
        this.#samplers.set(sequence, samplerOf(request, this.#options.runner.draws));
        if (request.grammar !== undefined) this.#options.masks?.open(request.handle, request.grammar);
        break;
      }
      case 'cancel': {
        const sequence = this.#scheduler.find(command.handle);
        if (sequence !== undefined)
          this.#finish(sequence, { type: 'finish', reason: 'cancelled', generatedTokens: sequence.generated });
        break;
      }
      case 'ingest':
        this.#scheduler.ingest(command.spec);
        break;
      case 'cancelIngest':
        this.#scheduler.cancelIngest(command.handle);
        break;
      case 'settled':
        this.#scheduler.settle(command.stay, command.tier, command.took);
        break;
      case 'copied':
        this.#scheduler.copied(command.stay);
        break;
      case 'forget':
        this.#scheduler.forget(command.selection, command.tiers);
        this.#news.forgotten.push(command.call);
        break;
    }
  }

  /**
   * Runs one step, if there is anything to run.
   * @returns false if nothing can run until the next command or deadline
   */
  async turn(): Promise<boolean> {
    const { now, counters } = this.#options;
    const startMs = now();
    const plan = this.#scheduler.plan(startMs);
    this.#takeSchedulerNews();
    if (plan.probe !== undefined) await this.#probe(plan.probe);
    if (plan.rows === 0) {
      this.#publish();
      return plan.probe !== undefined;
    }
    await this.#run(plan);
    counters.add('stepMs', now() - startMs);
    this.#publish();
    return true;
  }

  /** Hands out what happened since the last call. */
  takeNews(): EngineNews {
    const { findable, abandoned } = this.#table.takeChanges();
    const news = this.#news;
    news.findable.push(...findable);
    news.abandoned.push(...abandoned);
    this.#news = noNews();
    return news;
  }

  /**
   * Runs a plan. If that fails, runs each of its entries alone and without its draft: one that cannot run must not end
   * the others.
   */
  async #run(plan: StepPlan): Promise<void> {
    const { now, runner, layout, counters } = this.#options;
    const startMs = now();
    let output: ModelOutput;
    try {
      output = await runner.run(buildStep(plan, layout, this.#samplers));
    } catch (error) {
      if (plan.entries.length === 1 && plan.entries[0]?.draft === undefined) this.#failStep(plan, error);
      else {
        for (const { draft = NO_DRAFT, ...entry } of plan.entries) {
          const rows = entry.rows - draft.length;
          if (this.#scheduler.holds(entry)) await this.#run({ entries: [{ ...entry, rows }], rows });
        }
      }
      return;
    }
    const endMs = now();
    const rowMs = (endMs - startMs) / plan.rows;
    for (const { block, rows } of plan.entries) if (block !== undefined) block.prefillMs += rowMs * rows;
    const sampled = this.#scheduler.advance(plan);
    this.#takeSchedulerNews();
    const waitUntilMs = endMs + MASK_WAIT_MS;
    let row = 0;
    for (const rows of sampled) {
      this.#sampleRows(rows, output, row, endMs, waitUntilMs);
      row += 1 + rows.draft.length;
    }
    const blockRows = plan.entries.reduce((rows, entry) => rows + (entry.block === undefined ? 0 : entry.rows), 0);
    counters.add('blockTokens', blockRows);
    counters.add('blockMs', rowMs * blockRows);
    counters.add('steps', 1);
    counters.add('runMs', output.runMs ?? endMs - startMs);
  }

  async #probe({ sequence, probe, rows }: NonNullable<StepPlan['probe']>): Promise<void> {
    const { runner, probeLayout, now, counters } = this.#options;
    const startMs = now();
    try {
      if (runner.probe === undefined || probeLayout === undefined) throw new Error('this model has no probe');
      const sums = await runner.probe(probe.step(rows, probeLayout));
      sequence.repair?.takeProbe(rows, sums);
    } catch (error) {
      this.#finish(sequence, failure(error));
    }
    counters.add('runMs', now() - startMs);
  }

  /**
   * The tokens that may come next; undefined: all. `later`: the grammar thread does not know yet, or the request has
   * ended. In the first case the sequence's last row runs again in the next step.
   */
  #allowed(sequence: Sequence, waitUntilMs: number): Int32Array | undefined | 'later' {
    const { masks, now } = this.#options;
    const { handle, grammar } = sequence.spec;
    if (grammar === undefined) return undefined;
    const next = masks?.next(handle, Math.max(0, waitUntilMs - now())) ?? 'failed';
    if (typeof next === 'object') return next.allowed;
    if (next === 'waiting') sequence.computed -= 1;
    else if (next === 'failed') this.#finish(sequence, failure(new Error('the grammar thread has ended')));
    else {
      this.#reportPrefill(sequence, now());
      this.#finish(sequence, { type: 'finish', reason: 'stop', generatedTokens: sequence.generated });
    }
    return 'later';
  }

  /**
   * Chooses the sequence's next token, and one more for each token of its draft that was chosen: its row has seen the
   * right text. The first choice that differs from the draft is the last.
   * @param row of the sequence's first logits
   */
  #sampleRows(rows: SampledRows, output: ModelOutput, row: number, nowMs: number, waitUntilMs: number): void {
    const { counters } = this.#options;
    const { sequence, draft } = rows;
    let accepted = 0;
    for (;;) {
      const allowed = this.#allowed(sequence, waitUntilMs);
      if (allowed === 'later') break;
      const tokenId = this.#sample(rows, accepted, output, row + accepted, nowMs, allowed);
      if (tokenId === undefined || tokenId !== draft[accepted]) break;
      accepted++;
    }
    if (draft.length === 0) return;
    counters.add('drafts', 1);
    counters.add('draftTokens', draft.length);
    counters.add('acceptedTokens', accepted);
    this.#scheduler.verified(sequence, accepted);
  }

  /**
   * @param at tokens of the draft that were chosen before
   * @returns the token; undefined if the request has ended
   */
  #sample(
    { sequence, draft }: SampledRows,
    at: number,
    output: ModelOutput,
    row: number,
    nowMs: number,
    allowed: Int32Array | undefined,
  ): number | undefined {
    this.#reportPrefill(sequence, nowMs);
    const { spec } = sequence;
    let sampled: ReturnType<Sampler['next']>;
    try {
      const sampler = this.#samplers.get(sequence);
      if (sampler === undefined) throw new Error(`request ${spec.handle} has no sampler`);
      sampled = sampler.next(rowOf(output, row, sampler, this.#options.vocabSize), allowed);
    } catch (error) {
      this.#finish(sequence, failure(error));
      return undefined;
    }
    const { tokenId } = sampled;
    sequence.generated++;
    const { generated: generatedTokens } = sequence;
    this.#options.counters.add('generatedTokens', 1);
    const proposed = at === 0 && draft.length > 0 ? { proposedTokens: draft.length } : {};
    if (spec.sampling.stopTokenIds.includes(tokenId)) {
      this.#finish(sequence, { type: 'finish', reason: 'stop', stopTokenId: tokenId, generatedTokens, ...proposed });
      return undefined;
    }
    sequence.tokens.push(tokenId);
    if (allowed !== undefined) this.#options.masks?.accept(spec.handle, tokenId);
    const accepted = tokenId === draft[at] ? { accepted: true as const } : {};
    this.#say(spec.handle, { type: 'token', ...sampled, ...proposed, ...accepted });
    if (generatedTokens < spec.sampling.maxTokens) return tokenId;
    this.#finish(sequence, { type: 'finish', reason: 'length', generatedTokens });
    return undefined;
  }

  /** Called once per request, when its first logits are there. */
  #reportPrefill(sequence: Sequence, nowMs: number): void {
    if (sequence.prefilledReported) return;
    sequence.prefilledReported = true;
    const { counters } = this.#options;
    const { spec } = sequence;
    const blocks = sequence.blockReports();
    const admittedMs = sequence.admittedMs ?? nowMs;
    counters.add('promptTokens', sequence.promptTokens);
    if (spec.attention === 'block') {
      for (const { origin, tokens, repairedTokens } of blocks) {
        counters.add('queriedTokens', tokens);
        counters.add('repairedTokens', repairedTokens ?? 0);
        if (origin !== 'computed') counters.add(HIT_COUNTER[origin], tokens);
      }
    }
    this.#say(spec.handle, {
      type: 'prefilled',
      blocks,
      promptTokens: sequence.promptTokens,
      cachedTokens: sequence.cachedTokens(),
      queueMs: admittedMs - spec.submittedMs,
      prefillMs: nowMs - admittedMs,
      ...sequence.loadTimes(),
    });
  }

  #failStep(plan: StepPlan, error: unknown): void {
    const event = failure(error);
    const { sequences, tasks } = this.#scheduler.fail(plan);
    for (const sequence of sequences) this.#finish(sequence, event);
    const reason = String(event.details.reason);
    for (const handle of new Set(tasks.map((task) => task.handle))) {
      this.#news.failedIngests.push({ handle, reason });
      this.#scheduler.cancelIngest(handle);
    }
  }

  #finish(sequence: Sequence, event: RequestEvent): void {
    this.#scheduler.finish(sequence);
    this.#samplers.delete(sequence);
    if (sequence.spec.grammar !== undefined) this.#options.masks?.close(sequence.spec.handle);
    this.#say(sequence.spec.handle, event);
  }

  #takeSchedulerNews(): void {
    const { admitted, expired, loads, saves, ingested } = this.#scheduler.takeNews();
    for (const { spec } of admitted) this.#say(spec.handle, { type: 'admitted' });
    for (const sequence of expired) {
      this.#finish(sequence, { type: 'finish', reason: 'deadline', generatedTokens: sequence.generated });
    }
    for (const { stay, key, pages, tokenIds, patient } of loads) {
      this.#news.loads.push({ stay, key, pages, tokens: tokenIds.length, patient });
    }
    for (const { block, durable, forgotten } of saves) {
      const { stay, key, pages, tokenIds } = block;
      this.#news.saves.push({ stay, key, pages, tokens: tokenIds.length, durable, forgotten });
    }
    for (const { task, origin, saved, prefillMs } of ingested) {
      const { handle, index, wanted } = task;
      this.#news.ingested.push({ handle, index, key: wanted.key, origin, save: saved, prefillMs });
    }
  }

  #say(handle: Handle, event: RequestEvent): void {
    this.#news.events.push({ handle, event });
  }

  #publish(): void {
    const { counters } = this.#options;
    counters.set('running', this.#scheduler.running);
    counters.set('waiting', this.#scheduler.waiting);
    counters.set('preemptions', this.#scheduler.preemptions);
    counters.set('freePages', this.#table.freePages);
    counters.set('cachedPages', this.#table.cachedPages);
    counters.set('cachedBlocks', this.#table.readyBlocks);
  }
}

const HIT_COUNTER = { pool: 'hitPool', host: 'hitHost', store: 'hitStore' } as const;

function samplerOf(spec: RequestSpec, graphDraws: boolean): Sampler {
  const prompt = [spec.tailTokenIds];
  if (spec.attention === 'block') {
    if (spec.sinks !== undefined) prompt.push(spec.sinks.tokenIds);
    for (const block of spec.blocks) prompt.push(block.tokenIds);
  }
  return new Sampler(spec.sampling, spec.seed, prompt, { graphDraws, constrained: spec.grammar !== undefined });
}

/** One row of the outputs, cut to what its request needs: a batch may have fetched more for others. */
function rowOf(output: ModelOutput, index: number, { needed, drawnByGraph }: Sampler, vocabSize: number): LogitRow {
  const start = index * output.topK;
  const end = start + Math.min(needed.topK, output.topK);
  return {
    best: { values: output.topValues.subarray(start, end), ids: output.topIds.subarray(start, end) },
    logSumExp: output.logSumExp[index] as number,
    full: needed.fullRow ? output.logits?.subarray(index * vocabSize, (index + 1) * vocabSize) : undefined,
    ...(drawnByGraph ? { drawn: drawnOf(output, index) } : {}),
    vocabSize,
  };
}

function drawnOf({ drawnIds, drawnLogits }: ModelOutput, index: number): { id: number; logit: number } {
  return { id: drawnIds?.[index] as number, logit: drawnLogits?.[index] as number };
}

function failure(error: unknown): RequestEvent & { type: 'failed' } {
  const reason = error instanceof Error ? error.message : String(error);
  return { type: 'failed', code: 'engine_failed', details: { reason } };
}
