/**
 * What the cache knows of an engine's pool: the blocks that the worker has there. Passes a forget on to the worker.
 * While no worker runs, the pool is empty.
 * Knows keys and calls. The worker knows pages.
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

  /** @param link gives the line to the running worker; undefined while none runs */
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

  /** The worker has ended: the pool is empty, and every forget is over. */
  clear(): void {
    this.#blocks.clear();
    this.carriedOut([...this.#calls.keys()]);
  }
}
