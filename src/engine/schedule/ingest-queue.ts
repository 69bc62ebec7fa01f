/**
 * Blocks to compute before any request needs them: a queue of tasks. Only a few tasks hold pages at a time.
 * Knows ingestions and their order. `holdings.ts` knows what a task holds; the scheduler decides when it runs.
 */
import type { BlockSpec, Handle, IngestSpec, SinkSpec } from '../wire/specs.js';
import type { PoolBlock } from './block-table.js';

/** One block of an ingestion. */
export interface IngestTask {
  /** Handle of its ingestion. */
  readonly handle: Handle;
  readonly index: number;
  readonly wanted: BlockSpec;
  readonly sinksWanted: SinkSpec | undefined;
  /** Held while the task is active. */
  block: PoolBlock | undefined;
  sinks: PoolBlock | undefined;
  /** Ready in the pool before the task came. */
  wasInPool: boolean;
  /** In the pool before the task came, also if somebody else was still loading or computing it: that is counted there. */
  joined: boolean;
  /** Whether its save was asked for when it was computed. */
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
        handle: spec.handle,
        index,
        wanted,
        sinksWanted: spec.sinks,
        block: undefined,
        sinks: undefined,
        wasInPool: false,
        joined: false,
        saveAsked: false,
      });
    }
  }

  /** Marks the next task as active: it holds its pages now. */
  activate(): void {
    const task = this.#pending.shift();
    if (task !== undefined) this.#active.push(task);
  }

  /** Takes back a task that gave its pages back. It waits before the others. */
  putBack(task: IngestTask): void {
    this.#active = this.#active.filter((other) => other !== task);
    this.#pending.unshift(task);
  }

  remove(task: IngestTask): void {
    this.#active = this.#active.filter((other) => other !== task);
  }

  removeAll(handle: Handle): IngestTask[] {
    return this.removeWhere((task) => task.handle === handle);
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
