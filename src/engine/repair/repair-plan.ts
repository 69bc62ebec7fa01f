/**
 * Chooses the pages of a prompt's cached blocks that are computed again, in context. Checkpoints that were never
 * trained for block attention need this. Knows lengths only; `prompt-repair.ts` knows pages, runs and steps.
 *
 * The first block stands right behind the sinks, so its keys and values are those of full attention already. It is
 * never repaired. Of all later blocks a share r of the tokens is repaired, in whole pages: the pages that begin a block
 * (`first`), or the pages whose values in the second layer differ most from those in context (`deviation`, after
 * CacheBlend, arXiv 2405.16444, section 4).
 *
 * Words: run = adjacent repaired pages; probe = the first layers, run in context to find deviating pages; budget =
 * pages to repair.
 */

/** A cached block as a repair reads it. */
export interface PagedBlock {
  readonly tokenIds: Int32Array;
  readonly pages: Int32Array;
}

/**
 * Pages to repair in the whole prompt: ceil(share * tokens / pageTokens) over all blocks but the first.
 *
 * @param lengths tokens of each block, in prompt order
 */
export function repairBudget(lengths: readonly number[], share: number, pageTokens: number): number {
  return firstPages(lengths, share, pageTokens).reduce((sum, pages) => sum + pages, 0);
}

/**
 * Spreads the budget over the blocks, for each block's first pages. The first b blocks together get
 * ceil(share * their tokens / pageTokens) pages. So short blocks take turns, and rounding does not add up.
 *
 * @returns pages by block; none for the first block
 */
export function firstPages(lengths: readonly number[], share: number, pageTokens: number): number[] {
  let tokens = 0;
  let spent = 0;
  return lengths.map((length, index) => {
    if (index === 0) return 0;
    tokens += length;
    const due = Math.ceil((share * tokens) / pageTokens - 1e-9) - spent;
    const pages = Math.max(0, Math.min(due, Math.ceil(length / pageTokens)));
    spent += pages;
    return pages;
  });
}

/** Flags for the first pages of each block. */
export function chooseFirst(lengths: readonly number[], share: number, pageTokens: number): Uint8Array[] {
  const counts = firstPages(lengths, share, pageTokens);
  return lengths.map((length, index) =>
    new Uint8Array(Math.ceil(length / pageTokens)).fill(1, 0, counts[index] as number),
  );
}

/**
 * Flags for the pages with the highest deviation, as many as the budget has. Among equal pages, earlier ones win.
 *
 * @param deviations by block and page
 */
export function chooseDeviating(deviations: readonly Float64Array[], budget: number): Uint8Array[] {
  const pages = deviations.flatMap((ofBlock, block) =>
    block === 0 ? [] : Array.from(ofBlock, (deviation, page) => ({ block, page, deviation })),
  );
  pages.sort((a, b) => b.deviation - a.deviation);
  const flags = deviations.map((ofBlock) => new Uint8Array(ofBlock.length));
  for (const { block, page } of pages.slice(0, budget)) (flags[block] as Uint8Array)[page] = 1;
  return flags;
}
