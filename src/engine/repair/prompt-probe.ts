/**
 * The probe of one prompt: it runs sinks and blocks in context through the first layers, to see which pages of the
 * cached blocks deviate most (CacheBlend, arXiv 2405.16444, section 4). It writes to a pool of its own, one layer deep,
 * and compares with the blocks' pages in the engine's pool.
 * Knows rows, pages and sums. `context-probe.ts` has the graph and compares; the scheduler decides when it runs.
 */
import { encodeStepMetadata, type StepSequence } from '../../kernels/step-metadata.js';
import { joined } from '../wire/int32-list.js';
import type { PagedBlock } from './repair-plan.js';

/** One run of the probe. */
export interface ProbeStep {
  /** [T]. */
  inputIds: Int32Array;
  metadata: Int32Array;
  /** [n, 3] page, slot, rows: the cached tokens to compare the rows with; a negative page is not compared. */
  places: Int32Array;
}

export interface ProbeLayout {
  poolId: number;
  /** Pages of the probe's pool that a prompt may use: 0..pages-1. The page after them is scratch. */
  pages: number;
  pageTokens: number;
  /** Rows are padded to a multiple of this, so that the choice does not depend on the chunks of the prompt. */
  rowMultiple: number;
}

/** Prompt tokens [start, end) that lie in one page. */
interface Place {
  start: number;
  end: number;
  block: number;
  blockPage: number;
  poolPage: number;
}

export class PromptProbe {
  readonly #tokenIds: Int32Array;
  readonly #places: Place[] = [];
  readonly #deviations: Float64Array[];
  /** Tokens that have run. */
  computed = 0;

  /** @param blocks ready and held until the probe is done */
  constructor(sinkTokenIds: Int32Array, blocks: readonly PagedBlock[], pageTokens: number) {
    this.#tokenIds = joined([sinkTokenIds, ...blocks.map(({ tokenIds }) => tokenIds)]);
    this.#deviations = blocks.map(({ pages }) => new Float64Array(pages.length));
    let start = sinkTokenIds.length;
    if (start > 0) this.#places.push({ start: 0, end: start, block: -1, blockPage: 0, poolPage: -1 });
    for (const [block, { tokenIds, pages }] of blocks.entries()) {
      for (const [blockPage, page] of pages.entries()) {
        const end = start + Math.min(pageTokens, tokenIds.length - blockPage * pageTokens);
        // The first block sees the same in the prompt as alone, so it is not compared.
        this.#places.push({ start, end, block, blockPage, poolPage: block === 0 ? -1 : page });
        start = end;
      }
    }
  }

  get pending(): number {
    return this.#tokenIds.length - this.computed;
  }

  /** The next `rows` tokens. */
  step(rows: number, { poolId, pages, pageTokens, rowMultiple }: ProbeLayout): ProbeStep {
    const padding = (rowMultiple - (rows % rowMultiple)) % rowMultiple;
    const inputIds = new Int32Array(rows + padding);
    inputIds.set(this.#tokenIds.subarray(this.computed, this.computed + rows));
    const used = Math.min(pages, Math.ceil((this.computed + rows) / pageTokens));
    const tail = { pages: Int32Array.from({ length: used }, (_, page) => page), position: 0, past: this.computed };
    const sequences: StepSequence[] = [{ rows, segments: [], tail }];
    if (padding > 0) {
      const scratch = { pages: Int32Array.of(pages), position: 0, past: 0 };
      sequences.push({ rows: padding, segments: [], tail: scratch });
    }
    const places = this.#placesOf(rows).flatMap(({ place, start, count }) => [
      place.poolPage,
      start - place.start,
      count,
    ]);
    return { inputIds, metadata: encodeStepMetadata(poolId, sequences), places: Int32Array.from(places) };
  }

  /** Takes the sums of a step, in the order of its places. */
  take(rows: number, sums: Float64Array): void {
    for (const [index, { place }] of this.#placesOf(rows).entries()) {
      const ofBlock = this.#deviations[place.block];
      if (ofBlock !== undefined)
        ofBlock[place.blockPage] = (ofBlock[place.blockPage] as number) + (sums[index] as number);
    }
    this.computed += rows;
  }

  /** By block and page: sum over tokens of the squared difference. Call once nothing is pending. */
  get deviations(): readonly Float64Array[] {
    return this.#deviations;
  }

  /** The places of the next `rows` tokens: which tokens of each, [start, start + count). */
  #placesOf(rows: number): { place: Place; start: number; count: number }[] {
    const end = this.computed + rows;
    const found: { place: Place; start: number; count: number }[] = [];
    let start = this.computed;
    for (const place of this.#places) {
      if (place.end <= start) continue;
      if (start >= end) break;
      const count = Math.min(place.end, end) - start;
      found.push({ place, start, count });
      start += count;
    }
    return found;
  }
}
