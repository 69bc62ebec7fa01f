/**
 * One request on its way through the engine: its tail (final block and generated tokens), the blocks that it holds, its
 * times. Knows its own state. The scheduler moves it between waiting and running; the sampler reads its tokens.
 */
import type { Segment } from '../../kernels/step-metadata.js';
import type { BlockReport } from '../engine.js';
import { PromptRepair } from '../repair/prompt-repair.js';
import { Int32List } from '../wire/int32-list.js';
import type { LoadTimes } from '../wire/messages.js';
import type { RequestSpec } from '../wire/specs.js';
import type { PoolBlock } from './block-table.js';

/** A request in the engine. */
export class Sequence {
  readonly spec: RequestSpec;
  /** Place in the line of arrivals. A lower one goes first and is preempted last. */
  readonly order: number;
  /** Tail tokens: the prompt's part, then the generated ones. */
  readonly tokens: Int32List;
  /** Local position of the tail's first token: k + the lengths of all blocks; 0 in full attention. */
  readonly position: number;
  readonly promptTokens: number;
  readonly pages = new Int32List(8);
  /** Tail tokens that have their KV in the pages. */
  computed = 0;
  running = false;
  sinks: PoolBlock | undefined;
  /** Held blocks, parallel to `spec.blocks`; empty while waiting and in full attention. */
  held: PoolBlock[] = [];
  /** Segments of the stitched prompt; defined when every held block is ready. */
  segments: Segment[] | undefined;
  /** Private pages and runs of a repaired prompt. */
  readonly repair: PromptRepair | undefined;
  /** Where each block was found, parallel to `spec.blocks`; kept through preemption. */
  readonly origins: (BlockReport['origin'] | undefined)[];
  sinksCached = false;
  generated = 0;
  admittedMs: number | undefined;
  /** Held blocks for which the tiers below had not answered when it was admitted. */
  awaited: readonly PoolBlock[] = [];
  prefilledReported = false;

  /** @param pageTokens token slots per page */
  constructor(spec: RequestSpec, order: number, pageTokens: number) {
    this.spec = spec;
    this.order = order;
    this.tokens = new Int32List(spec.tailTokenIds);
    this.origins = new Array(spec.blocks.length).fill(undefined);
    if (spec.attention === 'block' && spec.repair !== undefined) {
      const lengths = spec.blocks.map((block) => block.tokenIds.length);
      this.repair = new PromptRepair(spec.repair, lengths, pageTokens);
    }
    if (spec.attention === 'full') {
      this.position = 0;
      this.promptTokens = spec.tailTokenIds.length;
    } else {
      let position = spec.sinks?.tokenIds.length ?? 0;
      for (const block of spec.blocks) position += block.tokenIds.length;
      this.position = position;
      this.promptTokens = position + spec.tailTokenIds.length;
    }
  }

  /** Tail tokens that have not run through the model. The logits of the last one give the next token. */
  get pending(): number {
    return this.tokens.length - this.computed;
  }

  get blocksReady(): boolean {
    const isReady = ({ state }: PoolBlock) => state === 'ready';
    return (this.sinks === undefined || isReady(this.sinks)) && this.held.every(isReady);
  }

  /** Tokens of repaired runs that have not run through the model. The tail waits for them. */
  get pendingRepair(): number {
    return this.repair?.pending ?? 0;
  }

  /**
   * Places the held blocks one after another behind the sinks (block i starts at k + the earlier lengths).
   * @returns false if one of them is not ready, or if a repair's pages are not chosen yet
   */
  stitch(): boolean {
    if (this.segments !== undefined) return true;
    if (!this.blocksReady || this.repair?.awaitsChoice) return false;
    const segments: Segment[] = [];
    if (this.sinks !== undefined) {
      segments.push({ pages: this.sinks.pages, length: this.sinks.tokenIds.length, delta: 0 });
    }
    let delta = 0;
    for (const [index, block] of this.held.entries()) {
      this.origins[index] ??= block.origin;
      segments.push({ pages: block.pages, length: block.tokenIds.length, delta });
      delta += block.tokenIds.length;
    }
    const [front] = this.sinks === undefined ? [] : segments;
    this.segments = this.repair === undefined ? segments : this.repair.layOut(front, this.held);
    return true;
  }

  /** A report on each block, for the caller. Call it when all are ready. */
  blockReports(): BlockReport[] {
    return this.spec.blocks.map((block, index) => {
      const repairedTokens = this.repair?.repairedTokens(index) ?? 0;
      return {
        key: block.key,
        tokens: block.tokenIds.length,
        origin: this.origins[index] ?? 'computed',
        kind: block.kind,
        ...(repairedTokens === 0 ? {} : { repairedTokens }),
      };
    });
  }

  /** How long it waited for the tiers below: loads run side by side, so the longest counts. */
  loadTimes(): LoadTimes {
    const longest = (of: (took: LoadTimes) => number) =>
      Math.max(0, ...this.awaited.map(({ took }) => (took === undefined ? 0 : of(took))));
    const findMs = longest((took) => took.findMs);
    return { findMs, loadMs: longest((took) => took.findMs + took.loadMs) - findMs };
  }

  /** Prompt tokens that were not computed for this request. Repaired tokens were computed. */
  cachedTokens(): number {
    if (this.spec.attention === 'full') return 0;
    let tokens = this.sinksCached ? (this.spec.sinks?.tokenIds.length ?? 0) : 0;
    for (const [index, block] of this.spec.blocks.entries()) {
      if ((this.origins[index] ?? 'computed') === 'computed') continue;
      tokens += block.tokenIds.length - (this.repair?.repairedTokens(index) ?? 0);
    }
    return tokens;
  }
}
