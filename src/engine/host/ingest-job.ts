/**
 * One ingestion that a caller awaits: one report per block, as soon as the block is durable.
 * Knows reports. The worker computes; `block-traffic.ts` saves.
 */
import type { SaveOutcome } from '../../cache/block-cache.js';
import type { BlockKey } from '../../cache/tiers.js';
import { BlockstitchError } from '../../errors.js';
import type { BlockReport } from '../engine.js';
import type { IngestedBlock } from '../wire/messages.js';
import type { BlockSpec } from '../wire/specs.js';

export class IngestJob {
  readonly #blocks: readonly BlockSpec[];
  readonly #saves: { saved(key: BlockKey): Promise<SaveOutcome> };
  readonly #onBlock: ((report: BlockReport) => void) | undefined;
  readonly #reports: BlockReport[] = [];
  #left: number;
  #ended = false;
  /** One report per block, in order. Rejects with `store_failed` or `deleted_meanwhile` if one was not made durable. */
  readonly reports: Promise<BlockReport[]>;
  #resolve!: (reports: BlockReport[]) => void;
  #reject!: (error: BlockstitchError) => void;

  /** @param blocks length >= 1 */
  constructor(
    blocks: readonly BlockSpec[],
    saves: { saved(key: BlockKey): Promise<SaveOutcome> },
    onBlock: ((report: BlockReport) => void) | undefined,
  ) {
    this.#blocks = blocks;
    this.#saves = saves;
    this.#onBlock = onBlock;
    this.#left = blocks.length;
    this.reports = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.reports.catch(() => undefined);
  }

  /** Call when a block is in the pool, and after its save was ordered (if one is needed). */
  done({ index, key, origin, save, prefillMs }: IngestedBlock): void {
    const saved: Promise<SaveOutcome> = save ? this.#saves.saved(key) : Promise.resolve({ durable: true });
    void saved.then((outcome) => {
      const block = this.#blocks[index];
      if (this.#ended || block === undefined) return;
      if (!outcome.durable) {
        const { forgotten, reason } = outcome;
        this.fail(new BlockstitchError(forgotten ? 'deleted_meanwhile' : 'store_failed', { reason }));
        return;
      }
      const computed = origin === 'computed' ? { prefillMs } : {};
      const report: BlockReport = { key, tokens: block.tokenIds.length, origin, kind: block.kind, ...computed };
      this.#reports[index] = report;
      this.#onBlock?.(report);
      if (--this.#left > 0) return;
      this.#ended = true;
      this.#resolve(this.#reports);
    });
  }

  fail(error: BlockstitchError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reject(error);
  }
}
