/**
 * The repair of one request: its private pages, and the runs of tokens that are computed into them.
 *
 * Adjacent repaired pages make a run, also across the border of two blocks. The kernel sees a run as a sequence of its
 * own. Its tail is private pages at the tokens' true positions. Its segments are everything before it in the prompt
 * (sinks, pages of cached blocks, earlier runs). The operator appends the keys and values of all sequences of a step
 * before any of them attends, so all runs of a request can go into one step. Under a token budget they go in prompt
 * order. Cached blocks are only read: a part of one is a segment of some of its pages, with the block's delta.
 * Knows pages and positions. The scheduler decides when to take pages and when to run; `repair-plan.ts` chooses pages.
 */
import type { Segment } from '../../kernels/step-metadata.js';
import type { RepairOptions } from '../engine.js';
import { joined } from '../wire/int32-list.js';
import { PromptProbe } from './prompt-probe.js';
import { chooseDeviating, chooseFirst, type PagedBlock, repairBudget } from './repair-plan.js';

/** Tokens that are computed again and follow one another in the prompt. */
export interface RepairRun {
  /** Position of the first token in the prompt. It is also its rotary position. */
  position: number;
  tokenIds: Int32Array;
  pages: Int32Array;
  /** Everything before the run in the prompt. */
  segments: readonly Segment[];
  /** Tokens whose KV is in the pages. */
  computed: number;
}

const NO_PAGES = new Int32Array();
const NO_FLAGS = new Uint8Array();

export class PromptRepair {
  readonly #lengths: readonly number[];
  readonly #pageTokens: number;
  /** By block: a flag for each page; undefined until the deviations are known. */
  #chosen: readonly Uint8Array[] | undefined;
  /** Most private pages that the runs need. */
  readonly pageBudget: number;
  /** Private pages, while the request runs. */
  pages: Int32Array = NO_PAGES;
  runs: RepairRun[] = [];
  /** The probe under way. */
  probe: PromptProbe | undefined;

  /** @param lengths tokens of each block, in prompt order */
  constructor({ share, by }: RepairOptions, lengths: readonly number[], pageTokens: number) {
    this.#lengths = lengths;
    this.#pageTokens = pageTokens;
    this.pageBudget = repairBudget(lengths, share, pageTokens);
    if (by === 'first' || this.pageBudget === 0) this.#chosen = chooseFirst(lengths, share, pageTokens);
  }

  /** Tokens of runs that have not yet run through the model. */
  get pending(): number {
    return this.runs.reduce((sum, run) => sum + run.tokenIds.length - run.computed, 0);
  }

  /** Whether a probe of the whole prompt must still choose the pages. */
  get awaitsChoice(): boolean {
    return this.#chosen === undefined;
  }

  /** Begins the probe, or goes on with it. @param blocks all ready */
  startProbe(sinks: PagedBlock | undefined, blocks: readonly PagedBlock[]): PromptProbe {
    this.probe ??= new PromptProbe(sinks?.tokenIds ?? NO_PAGES, blocks, this.#pageTokens);
    return this.probe;
  }

  /** Takes the sums of the probe's next rows; the last ones decide. */
  takeProbe(rows: number, sums: Float64Array): void {
    if (this.probe === undefined) throw new Error('a probe ended, but none was begun');
    this.probe.take(rows, sums);
    if (this.probe.pending > 0) return;
    this.choose(chooseDeviating(this.probe.deviations, this.pageBudget));
    this.probe = undefined;
  }

  /** @param pages by block: a flag for each of its pages, at most `pageBudget` of them set, none in the first block */
  choose(pages: readonly Uint8Array[]): void {
    this.#chosen = pages;
  }

  /** Tokens of a block that are computed again. */
  repairedTokens(block: number): number {
    const length = this.#lengths[block] as number;
    let tokens = 0;
    for (const [page, repaired] of this.#flags(block).entries()) {
      if (repaired === 1) tokens += Math.min(this.#pageTokens, length - page * this.#pageTokens);
    }
    return tokens;
  }

  /**
   * Lays the prompt out: runs into private pages, the rest from the blocks' own.
   *
   * @param sinks  the segment in front, if there are sinks
   * @param blocks all ready
   * @returns the segments that the final block attends to
   */
  layOut(sinks: Segment | undefined, blocks: readonly PagedBlock[]): Segment[] {
    const segments: Segment[] = sinks === undefined ? [] : [sinks];
    let position = sinks?.length ?? 0;
    let delta = 0;
    let open: { position: number; parts: Int32Array[] } | undefined;
    let pagesUsed = 0;
    this.runs = [];
    const close = () => {
      if (open === undefined) return;
      const tokenIds = joined(open.parts);
      const pages = this.pages.subarray(pagesUsed, pagesUsed + Math.ceil(tokenIds.length / this.#pageTokens));
      pagesUsed += pages.length;
      this.runs.push({ position: open.position, tokenIds, pages, segments: [...segments], computed: 0 });
      segments.push({ pages, length: tokenIds.length, delta: 0 });
      open = undefined;
    };
    for (const [index, block] of blocks.entries()) {
      for (const { first, end, repaired } of ranges(this.#flags(index))) {
        const start = first * this.#pageTokens;
        const tokenIds = block.tokenIds.subarray(start, end * this.#pageTokens);
        if (repaired) {
          open ??= { position, parts: [] };
          open.parts.push(tokenIds);
        } else {
          close();
          segments.push({ pages: block.pages.subarray(first, end), length: tokenIds.length, delta });
        }
        position += tokenIds.length;
      }
      delta += block.tokenIds.length;
    }
    close();
    return segments;
  }

  /** Forgets pages and progress, but keeps the choice. @returns the pages, for the caller to free */
  release(): Int32Array {
    const pages = this.pages;
    this.pages = NO_PAGES;
    this.runs = [];
    this.probe = undefined;
    return pages;
  }

  #flags(block: number): Uint8Array {
    return this.#chosen?.[block] ?? NO_FLAGS;
  }
}

/** Stretches of equal flags, [first, end) in pages. */
function* ranges(flags: Uint8Array): Generator<{ first: number; end: number; repaired: boolean }> {
  for (let first = 0; first < flags.length; ) {
    const repaired = flags[first] === 1;
    let end = first + 1;
    while (end < flags.length && (flags[end] === 1) === repaired) end++;
    yield { first, end, repaired };
    first = end;
  }
}
