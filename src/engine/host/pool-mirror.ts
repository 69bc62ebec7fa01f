/**
 * The engine's pool as the cache asks it: which blocks are found there, by what the worker says, and the way to have them
 * forgotten. While no worker runs the pool is empty.
 * Knows keys and calls; pages are the worker's.
 */
import type { Pool } from '../../cache/block-cache.js';
import type { BlockKey, BlockSelection, CacheTier } from '../../cache/tiers.js';
import type { EngineNews } from '../wire/messages.js';
import type { WorkerLink } from './worker-link.js';

export class PoolMirror implements Pool {
  readonly payloadBytes: (tokens: number) => number;
  readonly #link: () => WorkerLink | undefined;
  readonly #blocks = new Map<BlockKey, number>();
  readonly #calls = new Map<number, () => void>();
  #nextCall = 1;

  /** @param link of the worker that runs, undefined while none does */
  constructor(payloadBytes: (tokens: number) => number, link: () => WorkerLink | undefined) {
    this.payloadBytes = payloadBytes;
    this.#link = link;
  }

  get blocks(): ReadonlyMap<BlockKey, number> {
    return this.#blocks;
  }

  async forget(selection: BlockSelection, tiers: ReadonlySet<CacheTier>): Promise<void> {
    const link = this.#link();
    if (link === undefined) return;
    const call = this.#nextCall++;
    await new Promise<void>((resolve) => {
      this.#calls.set(call, resolve);
      link.post({ type: 'forget', call, selection, tiers });
    });
  }

  take({ findable }: EngineNews): void {
    for (const { key, tokens } of findable) {
      if (tokens > 0) this.#blocks.set(key, tokens);
      else this.#blocks.delete(key);
    }
  }

  carriedOut(calls: readonly number[]): void {
    for (const call of calls) {
      this.#calls.get(call)?.();
      this.#calls.delete(call);
    }
  }

  /** The worker has ended: nothing is in the pool, and nothing will come of it. */
  clear(): void {
    this.#blocks.clear();
    this.carriedOut([...this.#calls.keys()]);
  }
}
