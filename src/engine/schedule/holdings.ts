/**
 * Takes and gives back what a request or an ingestion holds: its blocks, its sinks, its tail's pages. All or nothing.
 * Knows the block table. The scheduler decides when to take, and from whom to take away.
 */
import type { BlockSpec, SinkSpec } from '../wire/specs.js';
import type { BlockTable, PoolBlock } from './block-table.js';
import type { IngestTask } from './ingest-queue.js';
import type { Sequence } from './sequence.js';

export class Holdings {
  readonly #table: BlockTable;
  readonly #onLoad: (block: PoolBlock) => void;

  /** @param onLoad called for each block that enters the pool and that the tiers below may have */
  constructor(table: BlockTable, onLoad: (block: PoolBlock) => void) {
    this.#table = table;
    this.#onLoad = onLoad;
  }

  /**
   * Takes everything that a request needs to prefill and to generate its first token.
   *
   * @param sparePages pages to leave for the growth of others
   * @returns false if it does not fit; then nothing is taken
   */
  takeSequence(sequence: Sequence, sparePages: number): boolean {
    const { spec } = sequence;
    const blocks = spec.attention === 'full' ? [] : spec.blocks;
    const sinks = spec.attention === 'full' ? undefined : spec.sinks;
    const tailPages = this.#table.pagesFor(sequence.tokens.length + 1);
    const repairPages = sequence.repair?.pageBudget ?? 0;
    if (!this.#fits(blocks, sinks, tailPages + repairPages + sparePages)) return false;
    if (sinks !== undefined) sequence.sinksCached ||= this.#table.find(sinks.key)?.state === 'ready';
    const present = this.#pinPresent(blocks);
    sequence.sinks = this.#takeSinks(sinks);
    sequence.held = blocks.map((wanted, index) => {
      const block = present[index];
      if (block === undefined) return this.#takeBlock(wanted, sequence.sinks);
      if (block.state === 'ready') sequence.origins[index] ??= 'pool';
      return block;
    });
    sequence.pages.append(this.#takePages(tailPages));
    if (sequence.repair !== undefined) sequence.repair.pages = this.#takePages(repairPages);
    return true;
  }

  /** Gives back everything a request holds. */
  releaseSequence(sequence: Sequence): void {
    for (const block of sequence.held) this.#table.unpin(block);
    if (sequence.sinks !== undefined) this.#table.unpin(sequence.sinks);
    this.#table.free(sequence.pages.view());
    if (sequence.repair !== undefined) this.#table.free(sequence.repair.release());
    sequence.pages.clear();
    sequence.held = [];
    sequence.sinks = undefined;
    sequence.segments = undefined;
    sequence.computed = 0;
    sequence.running = false;
  }

  /** Adds a page to a tail. @returns false if there is none */
  growTail(sequence: Sequence): boolean {
    const pages = this.#table.allocate(1);
    if (pages === undefined) return false;
    sequence.pages.append(pages);
    return true;
  }

  /** Gives back the pages of a tail behind its last token. */
  trimTail(sequence: Sequence): void {
    this.#table.free(sequence.pages.cut(this.#table.pagesFor(sequence.tokens.length)));
  }

  /** Takes the block of an ingestion. @returns false if it does not fit; then nothing is taken */
  takeTask(task: IngestTask, sparePages: number): boolean {
    if (!this.#fits([task.wanted], task.sinksWanted, sparePages)) return false;
    const [present] = this.#pinPresent([task.wanted]);
    task.sinks = this.#takeSinks(task.sinksWanted);
    task.block = present ?? this.#takeBlock(task.wanted, task.sinks, true);
    task.wasInPool = present?.state === 'ready';
    task.joined = present !== undefined;
    return true;
  }

  releaseTask(task: IngestTask): void {
    if (task.block !== undefined) this.#table.unpin(task.block);
    if (task.sinks !== undefined) this.#table.unpin(task.sinks);
    task.block = undefined;
    task.sinks = undefined;
  }

  /** Takes pages that `#fits` has counted. */
  #takePages(count: number): Int32Array {
    const pages = this.#table.allocate(count);
    if (pages === undefined) throw new Error('pages were counted that are not there');
    return pages;
  }

  #fits(blocks: readonly BlockSpec[], sinks: SinkSpec | undefined, otherPages: number): boolean {
    let needed = otherPages;
    let takenFromIdle = 0;
    const seen = new Set<string>();
    for (const wanted of sinks === undefined ? blocks : [sinks, ...blocks]) {
      if (seen.has(wanted.key)) continue;
      seen.add(wanted.key);
      const block = this.#table.find(wanted.key);
      if (block === undefined) needed += this.#table.pagesFor(wanted.tokenIds.length);
      else takenFromIdle += this.#table.idlePagesOf(block);
    }
    return this.#table.availablePages - takenFromIdle >= needed;
  }

  /** Pins the blocks that are there before anything is allocated, so that making room cannot evict them. */
  #pinPresent(blocks: readonly BlockSpec[]): (PoolBlock | undefined)[] {
    return blocks.map((wanted) => {
      const block = this.#table.find(wanted.key);
      if (block !== undefined) this.#table.pin(block);
      return block;
    });
  }

  #takeBlock(wanted: BlockSpec, sinks: PoolBlock | undefined, patient = false): PoolBlock {
    const found = this.#table.find(wanted.key);
    if (found !== undefined) {
      // The same text twice in one prompt: one copy, two segments.
      this.#table.pin(found);
      return found;
    }
    const block = this.#table.add({ key: wanted.key, tokenIds: wanted.tokenIds, sinks, stored: true, patient });
    if (block === undefined) throw new Error('pages were counted that are not there');
    this.#onLoad(block);
    return block;
  }

  /** No tier below keeps sinks: they are a few tokens, and computing them is cheaper than asking for them. */
  #takeSinks(sinks: SinkSpec | undefined): PoolBlock | undefined {
    if (sinks === undefined) return undefined;
    const found = this.#table.find(sinks.key);
    if (found !== undefined) {
      this.#table.pin(found);
      return found;
    }
    const block = this.#table.add({ key: sinks.key, tokenIds: sinks.tokenIds, sinks: undefined, stored: false });
    if (block === undefined) throw new Error('pages were counted that are not there');
    return block;
  }
}
