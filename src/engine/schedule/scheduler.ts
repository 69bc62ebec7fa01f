/**
 * Decides what runs in the next step: continuous batching with chunked prefill, generation before ingestion, admission
 * by pages, preemption by recompute. Pure policy: no I/O, no clock of its own, the same calls give the same plans.
 * Knows sequences, blocks and pages. The engine core runs the plans; the sampler chooses tokens.
 *
 * An admitted request can finish: its worst need fits the pool (checked before it is submitted), the oldest running
 * request is never preempted, and page copies in flight give their pages back on their own.
 *
 * Words: plan = the rows of one step; row = one new token of one sequence or block; draft = tokens that are tried behind
 * an answer's last one; admit = give a waiting request its pages; preempt = take them away again, so that it computes
 * anew later; settle = the tiers below have answered.
 */
import type { BlockSelection, CacheTier, LowerTier } from '../../cache/tiers.js';
import type { LoadTimes } from '../wire/messages.js';
import type { Handle, IngestSpec, RequestSpec } from '../wire/specs.js';
import type { SchedulerPolicy } from '../wire/worker-setup.js';
import type { BlockTable, PoolBlock } from './block-table.js';
import { type DraftProposer, DraftRows } from './draft-rows.js';
import { Holdings } from './holdings.js';
import { IngestQueue, type IngestTask } from './ingest-queue.js';
import { Sequence } from './sequence.js';
import {
  NO_DRAFT,
  noNews,
  type PlannedRows,
  type SampledRows,
  type SchedulerNews,
  type StepPlan,
} from './step-plan.js';

export class Scheduler {
  readonly #table: BlockTable;
  readonly #policy: SchedulerPolicy;
  readonly #holdings: Holdings;
  readonly #ingest = new IngestQueue();
  readonly #drafts: DraftRows | undefined;
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #order = 0;
  #stepsSinceIngest = 0;
  #preemptions = 0;
  #news = noNews();

  /** @param proposer of drafts; absent: there are none */
  constructor(table: BlockTable, policy: SchedulerPolicy, proposer?: DraftProposer) {
    if (policy.maxBatchTokens < policy.maxRunning) throw new TypeError('maxBatchTokens must be at least maxRunning');
    this.#table = table;
    this.#policy = policy;
    this.#holdings = new Holdings(table, (block) => this.#news.loads.push(block));
    this.#drafts = proposer && new DraftRows(table, this.#holdings, proposer);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return this.#running.length;
  }

  get preemptions(): number {
    return this.#preemptions;
  }

  /** True if neither a request nor an ingestion is in the engine. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#running.length === 0 && this.#ingest.empty;
  }

  /** The next deadline of any request, by the clock of the requests. */
  get nextDeadlineMs(): number | undefined {
    let next: number | undefined;
    for (const list of [this.#waiting, this.#running]) {
      for (const { spec } of list) {
        if (spec.deadlineMs !== undefined && (next === undefined || spec.deadlineMs < next)) next = spec.deadlineMs;
      }
    }
    return next;
  }

  submit(spec: RequestSpec): Sequence {
    const sequence = new Sequence(spec, this.#order++, this.#table.pageTokens);
    this.#waiting.push(sequence);
    return sequence;
  }

  ingest(spec: IngestSpec): void {
    this.#ingest.push(spec);
  }

  find(handle: Handle): Sequence | undefined {
    const same = (sequence: Sequence) => sequence.spec.handle === handle;
    return this.#running.find(same) ?? this.#waiting.find(same);
  }

  /** Takes a request out, in any state, and frees its pages at once. */
  finish(sequence: Sequence): void {
    if (sequence.running) this.#holdings.releaseSequence(sequence);
    this.#running = this.#running.filter((other) => other !== sequence);
    this.#waiting = this.#waiting.filter((other) => other !== sequence);
  }

  /** Gives an ingestion up and releases its blocks. */
  cancelIngest(handle: Handle): void {
    for (const task of this.#ingest.removeAll(handle)) this.#holdings.releaseTask(task);
  }

  /** Takes the answer of the tiers below for a loading block. If `tier` is given, its pages are filled. */
  settle(stay: number, tier: LowerTier | undefined, took?: LoadTimes): void {
    const block = this.#table.byStay(stay);
    if (block !== undefined) this.#table.settle(block, tier, took);
  }

  /** Notes that a block's pages were copied out, or that its save was given up. */
  copied(stay: number): void {
    const block = this.#table.byStay(stay);
    if (block !== undefined) this.#table.unpin(block);
  }

  forget(selection: BlockSelection, tiers: ReadonlySet<CacheTier>): void {
    this.#table.forget(selection, tiers);
  }

  /** Whether rows of a plan can still run: nobody has given up their sequence or block since. */
  holds({ sequence, block }: PlannedRows): boolean {
    return sequence === undefined ? block.state === 'missing' && block.pins > 0 : sequence.running;
  }

  takeNews(): SchedulerNews {
    const news = this.#news;
    this.#news = noNews();
    return news;
  }

  /** Plans the next step. An empty plan means: nothing can run before the next `submit`, `settle` or `copied`. */
  plan(nowMs: number): StepPlan {
    this.#expire(nowMs);
    this.#admit(nowMs);
    this.#admitIngest();
    const plan: StepPlan = { entries: [], rows: 0 };
    const decoding = this.#planDecode(plan);
    const limit = this.#policy.maxBatchTokens - plan.rows;
    this.#planPrefill(plan, decoding ? Math.min(limit, this.#policy.mixedPrefillTokens) : limit);
    this.#planIngest(plan);
    this.#drafts?.extend(plan, this.#policy.maxBatchTokens);
    return plan;
  }

  /**
   * Notes that a plan was run.
   * @returns the sequences that got logits for their last row, in the order of their rows. Call `verified` for each draft
   */
  advance(plan: StepPlan): SampledRows[] {
    const sampled: SampledRows[] = [];
    for (const { sequence, block, run, rows, draft = NO_DRAFT } of plan.entries) {
      if (run !== undefined) {
        run.computed += rows;
        continue;
      }
      if (sequence !== undefined) {
        sequence.computed += rows - draft.length;
        if (sequence.pending === 0) sampled.push({ sequence, draft });
        continue;
      }
      block.computed += rows;
      if (block.computed < block.tokenIds.length) continue;
      this.#table.complete(block);
      if (!block.stored) continue;
      this.#saveComputed(block);
      // Now, not in the next plan: by then the save may be over, and the task would not find it.
      for (const task of [...this.#ingest.active]) if (task.block === block) this.#completeTask(task, block);
    }
    return sampled;
  }

  /** Notes that the first `accepted` tokens of a sequence's draft came out. Nothing of the others stays. */
  verified(sequence: Sequence, accepted: number): void {
    this.#drafts?.verified(sequence, accepted);
  }

  /**
   * Notes that a step failed. Gives up everything that had rows in it and frees its pages.
   * @returns the requests and ingest tasks that fail with it
   */
  fail(plan: StepPlan): { sequences: Sequence[]; tasks: IngestTask[] } {
    const blocks = new Set<PoolBlock>();
    const sequences = new Set<Sequence>();
    for (const { sequence, block } of plan.entries) {
      if (sequence !== undefined) sequences.add(sequence);
      else blocks.add(block);
    }
    const touches = (block: PoolBlock | undefined) => block !== undefined && blocks.has(block);
    for (const sequence of this.#running) {
      const stands = (block: PoolBlock) => touches(block) || touches(block.sinks);
      if (touches(sequence.sinks) || sequence.held.some(stands)) sequences.add(sequence);
    }
    const tasks = this.#ingest.removeWhere((task) => touches(task.block) || touches(task.block?.sinks));
    this.#table.drop(blocks);
    for (const sequence of sequences) this.finish(sequence);
    for (const task of tasks) this.#holdings.releaseTask(task);
    return { sequences: [...sequences], tasks };
  }

  #expire(nowMs: number): void {
    const late = ({ spec }: Sequence) => spec.deadlineMs !== undefined && spec.deadlineMs <= nowMs;
    for (const sequence of [...this.#running, ...this.#waiting].filter(late)) {
      this.finish(sequence);
      this.#news.expired.push(sequence);
    }
  }

  /** First come, first served. A request that does not fit yet holds the line, so that it does not starve. */
  #admit(nowMs: number): void {
    while (this.#running.length < this.#policy.maxRunning) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      while (!this.#holdings.takeSequence(next, this.#running.length)) {
        if (!this.#preemptIngest()) return;
      }
      this.#waiting.shift();
      this.#running.push(next);
      this.#running.sort((a, b) => a.order - b.order);
      next.running = true;
      if (next.admittedMs === undefined) {
        next.admittedMs = nowMs;
        next.awaited = next.held.filter(({ state }) => state === 'loading');
        this.#news.admitted.push(next);
      }
    }
  }

  /** Collects ingested blocks that are ready and lets the next ones take pages, unless requests wait for them. */
  #admitIngest(): void {
    for (const task of [...this.#ingest.active])
      if (task.block?.state === 'ready') this.#completeTask(task, task.block);
    while (this.#waiting.length === 0 && this.#ingest.activeTokens < 2 * this.#policy.ingestTokens) {
      const task = this.#ingest.next;
      if (task === undefined || !this.#holdings.takeTask(task, this.#running.length)) return;
      this.#ingest.activate();
      if (task.block?.state === 'ready') this.#completeTask(task, task.block);
    }
  }

  #completeTask(task: IngestTask, block: PoolBlock): void {
    const inStore = block.origin === 'store' && !task.wasInPool && !block.forgotten.has('store');
    if (!task.saveAsked && !inStore) this.#save(block, true);
    const origin = task.joined ? 'pool' : (block.origin ?? 'computed');
    this.#news.ingested.push({ task, origin, saved: !inStore, prefillMs: origin === 'computed' ? block.prefillMs : 0 });
    this.#ingest.remove(task);
    this.#holdings.releaseTask(task);
  }

  /** One row for every sequence with only its last token left to run. @returns whether there was any */
  #planDecode(plan: StepPlan): boolean {
    for (const sequence of [...this.#running]) {
      if (!sequence.running || !sequence.stitch() || sequence.pending !== 1 || sequence.pendingRepair > 0) continue;
      if (this.#ensureTailPage(sequence)) this.#add(plan, { sequence, rows: 1 });
    }
    return plan.rows > 0;
  }

  /** Makes room for one more token, from ingestion first, then from the youngest requests. */
  #ensureTailPage(sequence: Sequence): boolean {
    if (sequence.computed < this.#table.pageTokens * sequence.pages.length) return true;
    while (!this.#holdings.growTail(sequence)) {
      if (this.#preemptIngest()) continue;
      const youngest = this.#running.at(-1);
      if (youngest === undefined || (youngest === sequence && this.#running.length === 1)) return false;
      this.#preempt(youngest);
      if (youngest === sequence) return false;
    }
    return true;
  }

  /** Sends a running request back to the front of the line. Its tail is computed anew when it returns. */
  #preempt(sequence: Sequence): void {
    this.#preemptions++;
    this.#holdings.releaseSequence(sequence);
    this.#running = this.#running.filter((other) => other !== sequence);
    this.#waiting.unshift(sequence);
  }

  /** Takes the pages of the newest half-computed ingestion. @returns false if there is none */
  #preemptIngest(): boolean {
    const task = this.#ingest.active.findLast(({ block }) => block?.state === 'missing' && block.pins === 1);
    if (task === undefined) return false;
    this.#holdings.releaseTask(task);
    this.#ingest.putBack(task);
    return true;
  }

  /** Plans chunks of sinks, blocks and final blocks within `budget` tokens, in the order in which requests came. */
  #planPrefill(plan: StepPlan, budget: number): void {
    const planned = new Set<PoolBlock>();
    let left = budget;
    for (const sequence of this.#running) {
      if (left <= 0) return;
      if (sequence.sinks !== undefined) left -= this.#planBlock(plan, planned, sequence.sinks, left);
      for (const block of sequence.held) {
        if (left <= 0) return;
        left -= this.#planBlock(plan, planned, block, left);
      }
      if (left <= 0) return;
      left -= this.#planProbe(plan, sequence, left);
      if (!sequence.stitch()) continue;
      const repairing = sequence.pendingRepair;
      const repaired = this.#planRepair(plan, sequence, left);
      left -= repaired;
      if (left <= 0 || repaired < repairing || sequence.pending <= 1) continue;
      const rows = Math.min(left, sequence.pending);
      this.#add(plan, { sequence, rows });
      left -= rows;
    }
  }

  /** The probe's pool holds one prompt. The request that began keeps it until its pages are chosen. */
  #planProbe(plan: StepPlan, sequence: Sequence, budget: number): number {
    const { repair } = sequence;
    if (repair === undefined || !repair.awaitsChoice || !sequence.blocksReady || plan.probe !== undefined) return 0;
    if (this.#running.some((other) => other !== sequence && other.repair?.probe !== undefined)) return 0;
    const probe = repair.startProbe(sequence.sinks, sequence.held);
    const rows = Math.min(budget, probe.pending);
    plan.probe = { sequence, probe, rows };
    return rows;
  }

  /** Plans runs of a repaired prompt, in prompt order: a run may attend to an earlier run of the same step. */
  #planRepair(plan: StepPlan, sequence: Sequence, budget: number): number {
    let planned = 0;
    for (const run of sequence.repair?.runs ?? []) {
      const rows = Math.min(budget - planned, run.tokenIds.length - run.computed);
      if (rows > 0) this.#add(plan, { sequence, run, rows });
      planned += rows;
    }
    return planned;
  }

  #planIngest(plan: StepPlan): void {
    if (this.#ingest.active.length === 0) return;
    let left = this.#policy.ingestTokens;
    if (plan.rows > 0) {
      this.#stepsSinceIngest++;
      if (this.#stepsSinceIngest < this.#policy.ingestEverySteps) return;
      left = Math.min(this.#policy.ingestSliceTokens, this.#policy.maxBatchTokens - plan.rows);
    }
    this.#stepsSinceIngest = 0;
    const planned = new Set(plan.entries.flatMap(({ block }) => block ?? []));
    for (const { block } of this.#ingest.active) {
      if (left <= 0) return;
      if (block !== undefined) left -= this.#planBlock(plan, planned, block, left);
    }
  }

  /** Plans a chunk of a block, or of the sinks it stands on. @returns the rows planned */
  #planBlock(plan: StepPlan, planned: Set<PoolBlock>, wanted: PoolBlock, budget: number): number {
    const block = wanted.sinks !== undefined && wanted.sinks.state !== 'ready' ? wanted.sinks : wanted;
    if (wanted.state !== 'missing' || block.state !== 'missing' || planned.has(block)) return 0;
    planned.add(block);
    const rows = Math.min(budget, block.tokenIds.length - block.computed);
    this.#add(plan, { block, rows });
    return rows;
  }

  #add(plan: StepPlan, entry: PlannedRows): void {
    plan.entries.push(entry);
    plan.rows += entry.rows;
  }

  /** Orders the save of a computed block. Requests do not wait for it; an ingestion does. */
  #saveComputed(block: PoolBlock): void {
    let durable = false;
    for (const task of this.#ingest.active) {
      if (task.block !== block) continue;
      task.saveAsked = true;
      durable = true;
    }
    this.#save(block, durable);
  }

  #save(block: PoolBlock, durable: boolean): void {
    this.#table.pin(block);
    this.#news.saves.push({ block, durable, forgotten: [...block.forgotten] });
    this.#table.leaseHandedOn(block);
  }
}
