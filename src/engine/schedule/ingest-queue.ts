/**
 * Blocks to be computed ahead of any request: a queue of tasks, of which a few hold pages at a time.
 * Knows jobs and their order; what a task holds is `holdings.ts`, when it runs is the scheduler's.
 */
import type { PoolBlock } from './block-table.js';
import type { BlockSpec, SinkSpec } from './sequence.js';

/** An ingestion as the scheduler takes it. */
export interface IngestSpec {
  jobId: string;
  sinks: SinkSpec | undefined;
  /** `index` is the caller's own number of the block. */
  blocks: readonly (BlockSpec & { index: number })[];
}

/** One block of an ingestion. */
export interface IngestTask {
  readonly jobId: string;
  readonly index: number;
  readonly wanted: BlockSpec;
  readonly sinksWanted: SinkSpec | undefined;
  /** Held while active. */
  block: PoolBlock | undefined;
  sinks: PoolBlock | undefined;
  /** Ready in the pool before the task came. */
  wasInPool: boolean;
  /** Its save was asked for when it was computed. */
  saveAsked: boolean;
}

export class IngestQueue {
  #pending: IngestTask[] = [];
  #active: IngestTask[] = [];

  get empty(): boolean {
    return this.#pending.length === 0 && this.#active.length === 0;
  }

  get next(): IngestTask | undefined {
    return this.#pending[0];
  }

  /** Tasks that hold pages, oldest first. */
  get active(): readonly IngestTask[] {
    return this.#active;
  }

  /** Tokens of the tasks that hold pages. */
  get activeTokens(): number {
    return this.#active.reduce((tokens, task) => tokens + task.wanted.tokenIds.length, 0);
  }

  push(spec: IngestSpec): void {
    for (const { index, ...wanted } of spec.blocks) {
      this.#pending.push({
        jobId: spec.jobId,
        index,
        wanted,
        sinksWanted: spec.sinks,
        block: undefined,
        sinks: undefined,
        wasInPool: false,
        saveAsked: false,
      });
    }
  }

  /** The next task holds its pages now. */
  activate(): void {
    const task = this.#pending.shift();
    if (task !== undefined) this.#active.push(task);
  }

  /** A task gave its pages back and waits again, before the others. */
  putBack(task: IngestTask): void {
    this.#active = this.#active.filter((other) => other !== task);
    this.#pending.unshift(task);
  }

  remove(task: IngestTask): void {
    this.#active = this.#active.filter((other) => other !== task);
  }

  removeJob(jobId: string): IngestTask[] {
    return this.removeWhere((task) => task.jobId === jobId);
  }

  /** @returns the tasks taken out, pending or active */
  removeWhere(matches: (task: IngestTask) => boolean): IngestTask[] {
    const removed = [...this.#active, ...this.#pending].filter(matches);
    if (removed.length === 0) return removed;
    const gone = new Set(removed);
    this.#active = this.#active.filter((task) => !gone.has(task));
    this.#pending = this.#pending.filter((task) => !gone.has(task));
    return removed;
  }
}
